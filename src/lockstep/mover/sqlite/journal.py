"""The state of a move whose target is a SQLite database.

Owns the tables ``lockstep_move_…`` in that database; they mean what the tables of
``postgresql/journal.py`` mean, and are written in the transactions of the rows.
A copy, and a move that undoes an earlier one, take them away when they are verified,
so that the target has nothing which the original had not.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lockstep.clock import SYSTEM_CLOCK
from lockstep.errors import InvalidPlan, LockstepError, TargetInUse
from lockstep.migrations.sqlite.tokens import fold, quote
from lockstep.mover.blocks.encoding import LineBlock, OddRow
from lockstep.mover.blocks.rejected import Rejected
from lockstep.mover.journal import STATE_COLUMNS, State, Status, TableProgress
from lockstep.mover.model.plan import Plan
from lockstep.mover.own_tables import OUR_PREFIX, journal_prefix, our_tables
from lockstep.schema.names import MOVE_PREFIXES

# The plan comes last: what is behind it in a row is read past all of it.
_CREATE = """
CREATE TABLE <prefix>state (one INTEGER PRIMARY KEY CHECK (one = 1),
  status TEXT NOT NULL, source TEXT NOT NULL, fingerprint TEXT NOT NULL,
  digest TEXT NOT NULL, began TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  plan TEXT NOT NULL);
CREATE TABLE <prefix>progress (table_name TEXT PRIMARY KEY, position TEXT,
  rows INTEGER NOT NULL, read INTEGER NOT NULL, is_done INTEGER NOT NULL);
CREATE TABLE <prefix>step (name TEXT PRIMARY KEY, purpose TEXT NOT NULL,
  problem TEXT NOT NULL);
CREATE TABLE <prefix>rejected (table_name TEXT NOT NULL, row_key TEXT NOT NULL,
  column_name TEXT NOT NULL, value TEXT NOT NULL, reason TEXT NOT NULL,
  mark BLOB NOT NULL);
"""


class SqliteJournal:
    """The journal of one target."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._prefix = OUR_PREFIX  # until ``state`` finds another, or ``create`` does
        self._run = ""  # as ``began`` has it, once this run fills the target

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Keep all of a block or nothing; the block's own error comes out of it.

        Raises:
            TargetInUse: Another run fills the target now.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            if self._run:
                self._check_run()
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # On a full disk SQLite has taken it back already, and a server that is
            # lost does so itself.
            with suppress(sqlite3.Error, LockstepError):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise

    def claim(self) -> None:
        """Make this run the one that fills the target; an earlier one stops.

        A killed run cannot be told from one that stands still, and a server's locks
        end with a transaction: each transaction looks whether the run is still named.
        """
        with self.transaction():
            self._run = _new_run()
            self._connection.execute(
                f"UPDATE {self._prefix}state SET began = ?", (self._run,)
            )

    def _check_run(self) -> None:
        if self._rows(f"SELECT began FROM {self._prefix}state") != [(self._run,)]:
            raise _overtaken()

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            if self._run and not journal_prefix(self._connection):
                raise _overtaken() from error
            raise

    def state(self) -> State | None:
        """Return what an earlier run left; None when there was none."""
        found = journal_prefix(self._connection)
        if not found:
            return None
        self._prefix = found
        rows = self._rows(f"SELECT {STATE_COLUMNS} FROM {self._prefix}state")
        return State.of_row(rows[0]) if rows else None

    def create(self, plan: Plan, source: str, fingerprint: str, request: str) -> None:
        """Make the journal of a new move; in the caller's transaction.

        Raises:
            InvalidPlan: Tables that move are called as all that it could be called.
        """
        if journal_prefix(self._connection):
            if not self._run:
                raise TargetInUse("another move began to fill the target just now")
            self._drop_tables()
        self._prefix, self._run = _free_prefix(plan), _new_run()
        for statement in _CREATE.replace("<prefix>", self._prefix).split(";\n"):
            if statement.strip():
                self._connection.execute(statement)
        self._connection.execute(
            f"INSERT INTO {self._prefix}state (one, status, source, fingerprint, "
            "digest, plan, began) VALUES (1, 'copying', ?, ?, ?, ?, ?)",
            (source, fingerprint, request, json.dumps(plan.to_json()), self._run),
        )

    def set_status(self, status: Status) -> None:
        """Say how far the move is; a target that leaves no trace loses its journal."""
        state = self.state()
        with self.transaction():
            is_whole = status == "verified" and not self.rejected_tables()
            if is_whole and state and state.plan.leaves_no_trace:
                self._drop_tables()
                return
            self._connection.execute(
                f"UPDATE {self._prefix}state SET status = ?", (status,)
            )

    def renew(self, plan: Plan, fingerprint: str) -> None:
        """Go on with another state of the source."""
        with self.transaction():
            self._connection.execute(
                f"UPDATE {self._prefix}state SET fingerprint = ?, plan = ?",
                (fingerprint, json.dumps(plan.to_json())),
            )

    def forget(self, table: str) -> None:
        """Know nothing of a table; in the transaction that empties it."""
        for kept in ("progress", "rejected"):
            self._connection.execute(
                f"DELETE FROM {self._prefix}{kept} WHERE table_name = ?", (table,)
            )

    def progress(self, table: str) -> TableProgress:
        """Return how far a table is."""
        rows = self._rows(
            f"SELECT position, rows, read, is_done FROM {self._prefix}progress "
            "WHERE table_name = ?",
            table,
        )
        if not rows:
            return TableProgress()
        position, count, read, is_done = rows[0]
        return TableProgress(position, count, read, bool(is_done))

    def advance(
        self, table: str, blocks: list[LineBlock], *, is_done: bool
    ) -> TableProgress:
        """Record blocks that were written, in the transaction of their rows."""
        after = self.progress(table).after(blocks, is_done=is_done)
        self._connection.execute(
            f"INSERT OR REPLACE INTO {self._prefix}progress VALUES (?, ?, ?, ?, ?)",
            (table, after.position, after.rows, after.read, is_done),
        )
        self._connection.executemany(
            f"INSERT INTO {self._prefix}rejected VALUES (?, ?, ?, ?, ?, ?)",
            [
                (row.table, row.key, row.column, row.value, row.reason, row.mark)
                for block in blocks
                for row in block.rejected
            ],
        )
        return after

    def odd_rows(self, table: str) -> Iterable[OddRow]:
        """Return nothing: SQLite's cells say their class themselves."""
        return ()

    def odd_counts(self) -> dict[str, int]:
        """Return nothing: SQLite's cells say their class themselves."""
        return {}

    def rejected(self) -> Iterator[Rejected]:
        """Yield the rows that were not carried; no more than some of them are held."""
        for row in self._of_rejected("*", "ORDER BY rowid"):
            yield Rejected(*row)

    def rejected_tables(self) -> set[str]:
        """Return the tables, by the source's names, that have such rows."""
        return {table for (table,) in self._of_rejected("DISTINCT table_name")}

    def marks(self, table: str) -> Iterator[bytes]:
        """Yield the mark of each such row of a table; some of them are held."""
        for (mark,) in self._of_rejected("mark", "WHERE table_name = ?", table):
            yield mark

    def _of_rejected(self, what: str, rest: str = "", *values: str) -> Iterable[Any]:
        prefix = journal_prefix(self._connection)
        if not prefix:
            return ()
        return self._connection.execute(
            f"SELECT {what} FROM {prefix}rejected {rest}", values
        )

    def steps(self) -> dict[str, str]:
        """Return what was built: ``{step: problem, or empty}``."""
        return dict(self._rows(f"SELECT name, problem FROM {self._prefix}step"))

    def add_step(self, name: str, purpose: str, problem: str) -> None:
        """Record that something was built, or why not."""
        self._connection.execute(
            f"INSERT INTO {self._prefix}step VALUES (?, ?, ?)", (name, purpose, problem)
        )

    def change_step(self, name: str, problem: str) -> None:
        """Record why something that was built was taken back."""
        self._connection.execute(
            f"UPDATE {self._prefix}step SET problem = ? WHERE name = ?", (problem, name)
        )

    def drop(self, plan: Plan) -> None:
        """Take away what an earlier, unfinished move made here.

        Tables that the history made are emptied, and get their triggers back.
        """
        with self.transaction():
            if plan.creates_tables:
                self._drop_made(plan)
            else:
                self._empty_adopted(plan)
            self._drop_tables()
        self._run = ""

    def _empty_adopted(self, plan: Plan) -> None:
        done = self.steps()
        for table in plan.carried():
            self._connection.execute(f"DELETE FROM {quote(table.target)}")
            for statement in table.statements:
                if statement.step not in done:
                    self._connection.execute(statement.sql)

    def _drop_made(self, plan: Plan) -> None:
        for kind, name in self._rows(
            "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'trigger')"
        ):
            self._connection.execute(f"DROP {kind} {quote(name)}")
        for table in plan.carried():
            self._connection.execute(f"DROP TABLE IF EXISTS {quote(table.target)}")
            for statement in table.statements:
                if statement.sql.lstrip().upper().startswith("CREATE VIRTUAL"):
                    name = quote(statement.name)
                    self._connection.execute(f"DROP TABLE IF EXISTS {name}")

    def _drop_tables(self) -> None:
        for name in sorted(our_tables(self._prefix)):
            self._connection.execute(f"DROP TABLE IF EXISTS {name}")


def _overtaken() -> TargetInUse:
    return TargetInUse(
        "another run of the move has taken over the target",
        hint="let that one go on, or give the command again when it has ended",
    )


def _new_run() -> str:
    """Return when a run began, and what no other run is called."""
    return f"{SYSTEM_CLOCK.now():%Y-%m-%d %H:%M:%S} {secrets.token_hex(8)}"


def _free_prefix(plan: Plan) -> str:
    """Return what the journal's tables begin with beside the tables that move."""
    taken = {fold(table.target) for table in plan.carried()}
    taken |= {fold(s.name) for table in plan.carried() for s in table.statements}
    for prefix in MOVE_PREFIXES:
        if taken.isdisjoint(our_tables(prefix)):
            return prefix
    raise InvalidPlan(
        "tables that move are called as the ones in which a move keeps its state: "
        f"{' and '.join(f'{prefix}…' for prefix in MOVE_PREFIXES)}",
        hint="rename them in the source",
    )
