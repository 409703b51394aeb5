"""The state of a move, kept in the target and committed with the data.

Owns the schema ``lockstep_move``: which plan, from which state of the source, how
far each table is, what was built, which cells are odd, which rows were rejected.
Whoever finds the target sees there whether it is complete.

    state      one row: status, plan, fingerprint of the source
    progress   a row per table: position, rows        (same transaction as the rows)
    step       a row per index or constraint: built, or refused and why
    odd_row    rows with cells whose class in SQLite the value here does not tell
    rejected   rows that were not carried

Invariant: ``status`` is ``verified`` only after every cell was compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.encoding import LineBlock, OddRow
from lockstep.mover.blocks.rejected import Rejected
from lockstep.mover.journal import STATE_COLUMNS, State, Status, TableProgress
from lockstep.mover.model.plan import Plan

if TYPE_CHECKING:
    import psycopg

SCHEMA = "lockstep_move"
ROWS_AT_ONCE: Final = 2_000
"""Of noted rows, fetched together."""

_CREATE = f"""
CREATE SCHEMA {SCHEMA};
COMMENT ON SCHEMA {SCHEMA} IS
  'State of the move that filled this database; state.status = verified: complete';
CREATE TABLE {SCHEMA}.state (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  status text NOT NULL,
  source text NOT NULL,
  fingerprint text NOT NULL,
  digest text NOT NULL,
  plan text NOT NULL,
  began timestamptz NOT NULL DEFAULT now(),
  changed timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE {SCHEMA}.progress (
  table_name text PRIMARY KEY, position text, rows bigint NOT NULL,
  read bigint NOT NULL, is_done boolean NOT NULL
);
CREATE TABLE {SCHEMA}.step (
  name text PRIMARY KEY, purpose text NOT NULL, problem text NOT NULL
);
CREATE TABLE {SCHEMA}.odd_row (
  table_name text NOT NULL, row_digest bytea NOT NULL, cells text NOT NULL
);
CREATE TABLE {SCHEMA}.rejected (
  table_name text NOT NULL, row_key text NOT NULL, column_name text NOT NULL,
  value text NOT NULL, reason text NOT NULL, mark bytea NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY
);
"""

_REJECTED: Final = "table_name, row_key, column_name, value, reason, mark"


class PostgresqlJournal:
    """The journal of one target."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        # The statements are literals of this module.
        return self._connection.execute(sql.encode(), values or None).fetchall()

    def _run(self, sql: str, values: tuple[Any, ...] = ()) -> None:
        self._connection.execute(sql.encode(), values or None)

    def _is_there(self) -> bool:
        (found,) = self._rows(f"SELECT to_regclass('{SCHEMA}.state') IS NOT NULL")
        return bool(found[0])

    def state(self) -> State | None:
        """Return what an earlier run left; None when there was none."""
        if not self._is_there():
            return None
        rows = self._rows(f"SELECT {STATE_COLUMNS} FROM {SCHEMA}.state")
        return State.of_row(rows[0]) if rows else None

    def schema(self) -> str | None:
        """Return where an earlier run made its tables; None when there was none."""
        if not self._is_there():
            return None
        rows = self._rows(f"SELECT plan::json ->> 'schema' FROM {SCHEMA}.state")
        return rows[0][0] if rows else None

    def create(self, plan: Plan, source: str, fingerprint: str, request: str) -> None:
        """Make the journal of a new move; in the caller's transaction."""
        self._run(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        self._connection.execute(_CREATE.encode())
        self._run(
            f"INSERT INTO {SCHEMA}.state (status, source, fingerprint, digest, plan) "
            "VALUES ('copying', %s, %s, %s, %s)",
            (source, fingerprint, request, json.dumps(plan.to_json())),
        )

    def claim(self) -> None:
        """Do nothing: the target's lock keeps every other run away."""

    def set_status(self, status: Status) -> None:
        """Say how far the move is, once everything before is on the server's disk.

        A move commits without waiting for it, so that a server that stops loses the
        end of what was written and nothing before that. Who is told that a move is
        complete may throw the source away: this commit waits as the server's own
        settings say.

        See https://www.postgresql.org/docs/current/wal-async-commit.html
        """
        with self._connection.transaction():
            self._run("SET LOCAL synchronous_commit TO DEFAULT")
            self._run(
                f"UPDATE {SCHEMA}.state SET status = %s, changed = now()",
                (status,),
            )

    def renew(self, plan: Plan, fingerprint: str) -> None:
        """Go on with another state of the source."""
        self._run(
            f"UPDATE {SCHEMA}.state SET fingerprint = %s, plan = %s, changed = now()",
            (fingerprint, json.dumps(plan.to_json())),
        )

    def forget(self, table: str) -> None:
        """Know nothing of a table; in the transaction that empties it."""
        for kept in ("progress", "odd_row", "rejected"):
            self._run(f"DELETE FROM {SCHEMA}.{kept} WHERE table_name = %s", (table,))

    def progress(self, table: str) -> TableProgress:
        """Return how far a table is."""
        rows = self._rows(
            f"SELECT position, rows, read, is_done FROM {SCHEMA}.progress "
            "WHERE table_name = %s",
            (table,),
        )
        return TableProgress(*rows[0]) if rows else TableProgress()

    def advance(
        self, table: str, blocks: list[LineBlock], *, is_done: bool
    ) -> TableProgress:
        """Record blocks that were written, in the transaction of their rows."""
        after = self.progress(table).after(blocks, is_done=is_done)
        self._run(
            f"INSERT INTO {SCHEMA}.progress VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT (table_name) DO UPDATE SET position = excluded.position, "
            "rows = excluded.rows, read = excluded.read, is_done = excluded.is_done",
            (table, after.position, after.rows, after.read, is_done),
        )
        odd = [cell for block in blocks for cell in block.odd]
        rejected = [row for block in blocks for row in block.rejected]
        self._add_odd(table, odd)
        self._add_rejected(rejected)
        return after

    def _add_odd(self, table: str, rows: list[OddRow]) -> None:
        if not rows:
            return
        statement = f"COPY {SCHEMA}.odd_row FROM STDIN"
        with self._connection.cursor().copy(statement.encode()) as copy:
            for odd in rows:
                copy.write_row((table, odd.row, json.dumps(odd.cells)))

    def _add_rejected(self, rows: list[Rejected]) -> None:
        if not rows:
            return
        statement = f"COPY {SCHEMA}.rejected ({_REJECTED}) FROM STDIN"
        with self._connection.cursor().copy(statement.encode()) as copy:
            for row in rows:
                texts = (row.table, row.key, row.column, row.value, row.reason)
                told = (text.replace("\0", "\\0") for text in texts)
                copy.write_row((*told, row.mark))

    def odd_rows(self, table: str) -> Iterator[OddRow]:
        """Yield the odd rows of a table; no more than some of them are held."""
        found = self._stored(
            f"SELECT row_digest, cells FROM {SCHEMA}.odd_row WHERE table_name = %s",
            (table,),
        )
        for digest, text in found:
            cells = tuple((name, kind) for name, kind in json.loads(text))
            yield OddRow(bytes(digest), cells)

    def odd_counts(self) -> dict[str, int]:
        """Return how many odd rows each table has that has some."""
        return dict(
            self._stored(
                f"SELECT table_name, count(*) FROM {SCHEMA}.odd_row GROUP BY table_name"
            )
        )

    def rejected(self) -> Iterator[Rejected]:
        """Yield the rows that were not carried; no more than some of them are held."""
        sql = f"SELECT {_REJECTED} FROM {SCHEMA}.rejected ORDER BY number"
        for row in self._stored(sql):
            yield Rejected(*row)

    def rejected_tables(self) -> set[str]:
        """Return the tables, by the source's names, that have such rows."""
        found = self._stored(f"SELECT DISTINCT table_name FROM {SCHEMA}.rejected")
        return {table for (table,) in found}

    def marks(self, table: str) -> Iterator[bytes]:
        """Yield the mark of each such row of a table; some of them are held."""
        sql = f"SELECT mark FROM {SCHEMA}.rejected WHERE table_name = %s"
        for (mark,) in self._stored(sql, (table,)):
            yield bytes(mark)

    def _stored(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[Any]:
        """Yield rows that a cursor of the server holds; none without a journal."""
        if not self._is_there():
            return
        with (
            self._connection.transaction(),
            self._connection.cursor("lockstep_stored") as cursor,
        ):
            cursor.itersize = ROWS_AT_ONCE
            yield from cursor.execute(sql.encode(), values or None)

    def steps(self) -> dict[str, str]:
        """Return what was built: ``{step: problem, or empty}``."""
        return dict(self._rows(f"SELECT name, problem FROM {SCHEMA}.step"))

    def add_step(self, name: str, purpose: str, problem: str) -> None:
        """Record that something was built, or why not."""
        self._run(
            f"INSERT INTO {SCHEMA}.step VALUES (%s, %s, %s)",
            (name, purpose, problem),
        )

    def change_step(self, name: str, problem: str) -> None:
        """Record why something that was built was taken back."""
        self._run(
            f"UPDATE {SCHEMA}.step SET problem = %s WHERE name = %s", (problem, name)
        )

    def drop(self, plan: Plan) -> None:
        """Take away what an earlier, unfinished move made here.

        Tables that the history made are emptied, and get their references back.
        """
        with self._connection.transaction():
            done = self.steps()
            for table in plan.carried():
                word = "DROP TABLE IF EXISTS" if plan.creates_tables else "TRUNCATE"
                self._run(f"{word} {quote(table.target)} CASCADE")
            for table in plan.carried():
                for statement in table.statements:
                    if not plan.creates_tables and statement.step not in done:
                        self._run(statement.sql)
            self._run(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
