"""PostgreSQL as the target of a move: create, fill, build, mark.

Owns what is written there and in which transactions:

    one      journal and all tables, empty         everything, or nothing
    many     COPY of some blocks + their progress  a kill loses the last chunk only
    many     one index or constraint + its step
    one      sequences, comments, status

Invariant: at every instant the journal says exactly what the tables hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lockstep.clock import SYSTEM_CLOCK
from lockstep.errors import InvalidPlan, TargetInUse
from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.encoding import Blocks, LineBlock
from lockstep.mover.blocks.long_values import WHOLE, LongCells
from lockstep.mover.inventory import Inventory, of_server
from lockstep.mover.journal import SEQUENCES, TableProgress, build_all
from lockstep.mover.model.plan import ColumnPlan, Plan, Statement, TablePlan
from lockstep.mover.model.postgresql import PgSchema
from lockstep.mover.postgresql.catalog import read_postgresql
from lockstep.mover.postgresql.filling import Filling, reason_of
from lockstep.mover.postgresql.journal import PostgresqlJournal
from lockstep.mover.postgresql.lines import (
    PostgresqlLines,
    long_columns,
    order_of,
    with_stand_in,
)
from lockstep.mover.postgresql.session import look_first_in, translated
from lockstep.schema.types.portable import quoted

if TYPE_CHECKING:
    import psycopg

_MISSTATED = ("22", "42")
"""Classes of what a server says of a statement, not of who gives it or when."""

LOCK_KEY = 0x10C5_7E90
LOCK_WAIT_S = 5.0
"""A server lets go of a move that has just ended, or was killed, a moment later; where
a statement of it still runs, within ``client_connection_check_interval``."""

LOCK_PAUSE_S = 0.05

TOGETHER_MAX: Final = 100
"""Statements that are sent together: each answer is waited for."""

_EACH: Final = "lockstep_each"
"""Where a transaction goes on behind a statement that was refused."""

Item = TypeVar("Item")


class PostgresqlTarget:
    """One database that is being filled.

    Args:
        connection: In autocommit, with the settings of a move.
    """

    dialect = "postgresql"

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.notices: list[str] = []
        self.journal = PostgresqlJournal(connection)
        home = self.journal.schema()
        if home is not None:
            look_first_in(connection, home)

    def lock(self) -> None:
        """Make sure that nobody else moves into this database now.

        Raises:
            TargetInUse: Somebody does.
        """
        give_up_s = SYSTEM_CLOCK.monotonic_s() + LOCK_WAIT_S
        while not self._try_lock():
            if SYSTEM_CLOCK.monotonic_s() >= give_up_s:
                raise TargetInUse(
                    "another move fills this database now",
                    hint="wait until it has finished; if its machine is gone, the "
                    "server notices within a minute, or at once by: "
                    f"SELECT pg_terminate_backend({self._lock_holder()})",
                )
            time.sleep(LOCK_PAUSE_S)
        self._run("SET synchronous_commit = off")

    def _try_lock(self) -> bool:
        row = self._run("SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)).fetchone()
        return bool(row and row[0])

    def _lock_holder(self) -> int | None:
        row = self._run(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted "
            "AND (classid::bigint << 32 | objid::bigint) = %s "
            "AND database = (SELECT oid FROM pg_database "
            "WHERE datname = current_database())",
            (LOCK_KEY,),
        ).fetchone()
        return row[0] if row else None

    def _run(self, sql: str, values: tuple[Any, ...] | None = None) -> Any:
        return self._connection.execute(sql.encode(), values)

    def is_made(self, plan: Plan) -> bool:
        """Return False: a move to PostgreSQL always leaves its journal."""
        return False

    def _home(self) -> str:
        """Return the schema in which tables are made."""
        row = self._run("SELECT current_schema()").fetchone()
        return (row and row[0]) or "public"

    def taken(self, plan: Plan) -> list[str]:
        """Return the planned tables that are there already."""
        names = [table.target for table in plan.carried()]
        rows = self._run(
            "SELECT relname FROM pg_class WHERE relname = ANY(%s) "
            "AND relnamespace = current_schema()::regnamespace",
            (names,),
        ).fetchall()
        return sorted(row[0] for row in rows)

    def filled(self, plan: Plan) -> list[str]:
        """Return the planned tables that are there and hold rows."""
        return [
            name
            for name in self.taken(plan)
            if self._run(f"SELECT 1 FROM {quote(name)} LIMIT 1").fetchone()
        ]

    def adopt(self, plan: Plan) -> None:
        """Plan how rows get into tables that a history made.

        References would refuse rows whose parents come later, and triggers would
        change rows on their way: both are taken away and put back.
        """
        schema = self.schema()
        for made in plan.carried():
            table = schema.table(self._home(), made.target)
            if table is None:
                raise TargetInUse(f"the history made no table {made.target}")
            name = quote(made.target)
            plan.before.append(f"ALTER TABLE {name} DISABLE TRIGGER USER")
            for key in table.keys:
                if key.kind != "f":
                    continue
                constraint = quote(key.name)
                plan.before.append(f"ALTER TABLE {name} DROP CONSTRAINT {constraint}")
                sql = f"ALTER TABLE {name} ADD CONSTRAINT {constraint} {key.definition}"
                made.statements.append(Statement("foreign key", key.name, sql))
            made.statements.append(
                Statement(
                    "view",
                    f"triggers of {made.target}",
                    f"ALTER TABLE {name} ENABLE TRIGGER USER",
                )
            )
        names = ", ".join(quote(table.target) for table in plan.carried())
        plan.before.append(f"TRUNCATE {names}")

    def create(self, plan: Plan, source: str, fingerprint: str, request: str) -> None:
        """Make the journal and all tables, empty, in one transaction."""
        with translated(), self._connection.transaction():
            plan.schema = self._home()
            self.journal.create(plan, source, fingerprint, request)
            for statement in plan.before:
                self._run(statement)
            for table in in_creating_order(plan):
                if plan.creates_tables:
                    self._run(";\n".join([_made(table), *comments_on(table)]))

    def empty(self, table: TablePlan) -> None:
        """Take a table's rows away, and what the journal says of them."""
        with translated(), self._connection.transaction():
            self._run(f"TRUNCATE {quote(table.target)}")
            self.journal.forget(table.source)

    def refusals(self, plan: Plan) -> dict[str, str]:
        """Return what cannot be built even on empty tables, and why.

        Everything is built on the empty tables and taken back, so that a plan
        names such a loss before the first row moves.
        """
        import psycopg

        found: dict[str, str] = {}
        with self._connection.transaction(force_rollback=True):
            for statement in plan.before:
                self._run(statement)
            for tables in _some(in_creating_order(plan)):
                if not self._are_taken(map(_made, tables)):
                    for table in tables:
                        found |= self._refused_columns(table)
            for statements in _some(statements_of(plan)):
                if self._are_taken(each.sql for each in statements):
                    continue
                for statement in statements:
                    try:
                        self._run_apart(statement.sql)
                    except psycopg.Error as error:
                        found[statement.step] = reason_of(error)
        return found

    def _are_taken(self, statements: Iterable[str]) -> bool:
        """Run statements together; return whether none is refused, or leave nothing."""
        import psycopg

        try:
            self._run_apart("\n;".join(statements))
        except psycopg.Error:
            return False
        return True

    def _refused_columns(self, table: TablePlan) -> dict[str, str]:
        """Make an empty table; return the columns that cannot be computed there."""
        import psycopg

        try:
            self._run_apart(_made(table))
        except psycopg.Error as error:
            computed = [column for column in table.columns if column.computed]
            if not computed:
                self._refuse_column(table, error)
                raise
            plain = [replace(column, computed="") for column in table.columns]
            self._run(create_table(replace(table, columns=plain)))
            places = [f"{table.source}.{column.source}" for column in computed]
            return dict.fromkeys(places, reason_of(error))
        return {}

    def _refuse_column(self, table: TablePlan, error: psycopg.Error) -> None:
        """Raise ``InvalidPlan`` if a column as it is planned is what is refused.

        Only a mapping file asks for what PostgreSQL does not know.
        """
        import psycopg

        if (error.sqlstate or "")[:2] not in _MISSTATED:
            return
        for column in table.columns:
            alone = replace(table, columns=[column], primary_key=[])
            try:
                with self._connection.transaction(force_rollback=True):
                    self._run(create_table(alone))
            except psycopg.Error as refused:
                raise InvalidPlan(
                    f"{table.source}.{column.source} cannot be {column.type}: "
                    f"{reason_of(refused)}",
                    hint="change its type, default or identity in the plan",
                ) from refused

    def fill(
        self,
        table: TablePlan,
        blocks: Blocks,
        exact: Blocks,
        on_progress: Callable[[int], None],
    ) -> TableProgress:
        """Copy a table's rows from where the journal says it is.

        Raises:
            Unmappable: The server refuses a row and the plan says ``fail``.
        """
        filling = Filling(self._connection, self.journal, table)
        return filling.run(blocks, exact, on_progress)

    def build(
        self, plan: Plan, on_progress: Callable[[str], None]
    ) -> list[tuple[Statement, str]]:
        """Build keys, indexes and constraints; return those that were refused."""
        done = self.journal.steps()
        refused = build_all(
            statements_of(plan),
            done,
            self._build,
            on_progress,
            self._connection.transaction,
        )
        if SEQUENCES not in done:
            self._advance_sequences(plan)
        return refused

    def _build(self, statement: Statement) -> str:
        import psycopg

        problem = ""
        for sql in filter(None, (statement.sql, statement.fallback)):
            try:
                self._run(f"SAVEPOINT {_EACH}")
                self._run(f"{sql}\n;RELEASE {_EACH}")
                break
            except (
                psycopg.errors.IntegrityError,
                psycopg.ProgrammingError,
                psycopg.errors.ProgramLimitExceeded,
                psycopg.DataError,
            ) as error:
                self._run(f"ROLLBACK TO {_EACH}")
                problem = reason_of(error)
                if sql != statement.fallback and statement.fallback:
                    problem = f"{problem}; it holds for new rows only"
        self.journal.add_step(statement.step, statement.purpose, problem)
        return problem

    def _run_apart(self, sql: str) -> None:
        """Run statements within a transaction, which goes on where they are refused."""
        with self._connection.transaction():
            self._run(sql)

    def _advance_sequences(self, plan: Plan) -> None:
        with translated(), self._connection.transaction():
            for table in plan.carried():
                for column in table.columns:
                    if column.identity:
                        self._advance(table, column)
            self.journal.add_step(SEQUENCES, "sequence", "")
        if names := ", ".join(quote(table.target) for table in plan.carried()):
            self._run(f"ANALYZE {names}")

    def _advance(self, table: TablePlan, column: ColumnPlan) -> None:
        row = self._run(
            f"SELECT max({quote(column.target)}) FROM {quote(table.target)}"
        ).fetchone()
        last = max(row[0] or 0, table.sequence or 0)
        if last < 1:
            return
        self._run(
            "SELECT setval(pg_get_serial_sequence(%s, %s), %s)",
            (quote(table.target), column.target, last),
        )

    def take_back(self, statement: Statement, problem: str) -> None:
        """Drop a view that was built, and record why."""
        with self._connection.transaction():
            self._run(f"DROP VIEW {quote(statement.name)}")
            self.journal.change_step(statement.step, problem)

    @property
    def connection(self) -> Any:
        """The connection that writes."""
        return self._connection

    def schema(self) -> PgSchema:
        """Describe the tables that are there."""
        return read_postgresql(self._connection)

    def search_path(self) -> list[str]:
        """Return the schemas in which a name alone is looked for, in order."""
        (row,) = self._run("SELECT current_schemas(false)").fetchall()
        return list(row[0])

    def inventory(self) -> Inventory:
        """Return the tables and columns that are there."""
        return of_server(read_postgresql(self._connection, self._home()))

    def key_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Generator[LineBlock]:
        """Yield the target's own rows, sorted by the plan's ``order_key``."""
        key = [table.column(name) for name in table.order_key]
        return self._read(table, order_of(key, "target"), long)

    def any_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Generator[LineBlock]:
        """Yield the target's own rows."""
        return self._read(table, "", long)

    def takes_in_pieces(self, table: TablePlan) -> frozenset[str]:
        """Return all columns: a line that comes in pieces is COPY's own way."""
        return frozenset(column.source for column in table.columns)

    def long_columns(self, table: TablePlan) -> frozenset[str]:
        """Return the columns whose long cells the server can give stand-ins for."""
        return long_columns(table, [column.type for column in table.columns])

    def _read(
        self, table: TablePlan, order: str, long: LongCells
    ) -> Generator[LineBlock]:
        columns = [quote(column.target) for column in table.columns]
        for place, column in enumerate(table.columns):
            if column.type == "real" and column.codec != "real":
                # Four bytes show fewer digits than they stand for; eight show them all.
                columns[place] += "::float8"
            elif column.source in long.columns:
                columns[place] = with_stand_in(columns[place], column.codec)
        lines = PostgresqlLines(self._connection)
        return lines.read(quote(table.target), columns, order=order)

    def check_unchanged(self) -> None:
        """Do nothing: every statement reads a state of its own."""

    def close(self) -> None:
        """Let go of the connection, and with it of the lock."""
        self._connection.close()


def statements_of(plan: Plan) -> Iterator[Statement]:
    """Yield what is built behind the rows, references last."""
    late: list[Statement] = []
    for table in plan.carried():
        for statement in table.statements:
            if statement.purpose in ("foreign key", "view"):
                late.append(statement)
            else:
                yield statement
    yield from sorted(late, key=lambda statement: statement.purpose == "view")


def _some(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield as many as are sent to the server together."""
    remaining = iter(items)
    while some := list(islice(remaining, TOGETHER_MAX)):
        yield some


def in_creating_order(plan: Plan) -> list[TablePlan]:
    """Return the tables, first those that an identity column's sequence is called.

    PostgreSQL gives a sequence another name where a table has it, and refuses a table
    where a sequence has its name.
    """
    return sorted(plan.carried(), key=lambda table: not table.target.endswith("_seq"))


def _made(table: TablePlan) -> str:
    return table.create or create_table(table)


def comments_on(table: TablePlan) -> Iterator[str]:
    """Yield the statements that comment on a table and its columns."""
    name = quote(table.target)
    if table.comment:
        yield f"COMMENT ON TABLE {name} IS {quoted(table.comment)}"
    for column in table.columns:
        if column.comment:
            text = quoted(column.comment)
            yield f"COMMENT ON COLUMN {name}.{quote(column.target)} IS {text}"


def create_table(table: TablePlan) -> str:
    """Return CREATE TABLE with columns only; keys come behind the rows."""
    columns: list[str] = []
    for column in table.columns:
        words = [quote(column.target), column.type]
        if column.computed:
            words.append(f"GENERATED ALWAYS AS ({column.computed}) STORED")
        elif column.identity:
            words.append("GENERATED BY DEFAULT AS IDENTITY")
        elif column.default is not None:
            words.append(f"DEFAULT {column.default}")
        if column.not_null:
            words.append("NOT NULL")
        columns.append("  " + " ".join(words))
    body = ",\n".join(columns)
    return f"CREATE TABLE {quote(table.target)} (\n{body}\n)"


__all__ = [
    "PostgresqlTarget",
    "create_table",
    "statements_of",
]
