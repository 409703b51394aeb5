"""A PostgreSQL database as the source of a move.

Owns one transaction (``snapshot.py``) in which everything is read, so that plan, copy
and comparison see the same state while others go on writing. A database that
an earlier move filled from SQLite still has that move's plan; it is the way back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lockstep.errors import InvalidPlan
from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.blocks.long_values import WHOLE, LongCells
from lockstep.mover.inventory import Inventory, of_server
from lockstep.mover.journal import State
from lockstep.mover.model.plan import ColumnPlan, Loss, Plan, TablePlan
from lockstep.mover.model.postgresql import PgSchema, PgTable
from lockstep.mover.model.results import Progress, ProgressCallback
from lockstep.mover.plan.from_postgresql import (
    plan_from_postgresql,
    rebuild,
)
from lockstep.mover.plan.rekey_back import keeps_numbers
from lockstep.mover.plan.way_back import plan_way_back
from lockstep.mover.postgresql.catalog import read_postgresql
from lockstep.mover.postgresql.contradictions import (
    measure_rows,
    name_contradictions,
    name_oversized,
    name_unchecked,
)
from lockstep.mover.postgresql.journal import PostgresqlJournal
from lockstep.mover.postgresql.rows import PostgresqlRows
from lockstep.mover.postgresql.session import connect, look_first_in
from lockstep.mover.postgresql.snapshot import begin_snapshot

if TYPE_CHECKING:
    from lockstep.engine.urls import DatabaseUrl


class PostgresqlSource:
    """A database that is read.

    Args:
        url: Which one.
        measures_rows: A plan says how long rows are, for a target that must know.
    """

    dialect = "postgresql"

    def __init__(self, url: DatabaseUrl, *, measures_rows: bool = False) -> None:
        self._measures_rows = measures_rows
        self._connection = connect(url)
        try:
            begin_snapshot(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self.notices: list[str] = []
        self._signed: set[tuple[str, str]] = set()

    @property
    def connection(self) -> Any:
        """The connection, in its snapshot."""
        return self._connection

    @cached_property
    def schema(self) -> PgSchema:
        """What the database says about itself.

        Where a move filled it, that one's schema is home, whoever asks.
        """
        home = PostgresqlJournal(self._connection).schema()
        if home is None:
            return read_postgresql(self._connection)
        look_first_in(self._connection, home)
        return read_postgresql(self._connection, home)

    @cached_property
    def _state(self) -> State | None:
        """What the move that filled it left; its plan is as long as the schema."""
        return PostgresqlJournal(self._connection).state()

    def state(self) -> State | None:
        """Return what the move says that filled it; None where none did."""
        return self._state

    def fingerprint(self) -> str:
        """Return the snapshot: no transaction has committed since, if equal.

        Its end alone would not tell of one that had begun before and was open then.
        """
        row = self._connection.execute(
            "SELECT current_database(), pg_current_snapshot()::text"
        ).fetchone()
        return " ".join(row or ())

    def make_plan(self, on_progress: ProgressCallback) -> Plan:
        """Return the plan for SQLite: the way back, where there is one."""
        plan = plan_from_postgresql(self.schema)
        signed = [self._survey(table, on_progress) for table in plan.carried()]
        losses = self._allow_nulls(plan)
        forward = self._undoable(plan)
        if any(signed) or losses or forward is not None:
            rebuild(plan, self.schema, carries_views=forward is None)
        plan.losses += losses
        if forward is None:
            name_unchecked(plan, self)
        else:
            plan = plan_way_back(forward, plan)
            name_contradictions(plan, forward, self)
        name_oversized(plan, self)
        if self._measures_rows:
            measure_rows(plan, self)
        return plan

    def _undoable(self, plan: Plan) -> Plan | None:
        """Return the plan that filled this database from a file, if it leads back.

        Where it does not, ``plan`` says why.
        """
        forward = None if self._state is None else self._state.plan
        if forward is None or forward.source != "sqlite":
            return None
        if not forward.creates_tables:
            plan.needs_models = True
            return None
        if forward.is_rekeyed and not keeps_numbers(forward):
            plan.notices.append(
                "keys became UUIDs on the way here and stay so: their numbers "
                "were not kept"
            )
            return None
        return forward

    def _survey(self, table: TablePlan, on_progress: ProgressCallback) -> bool:
        """Count a table's rows; return whether a column holds a negative zero.

        A REAL column would store it as zero, one without a type keeps it.
        """
        reals = [column for column in table.columns if column.codec == "real"]
        names = [quote(column.source) for column in reals]
        tests = [f"bool_or({name} = 0 AND {name}::text = '-0')" for name in names]
        asked = ", ".join(["count(*)", *tests])
        row = self._connection.execute(
            f"SELECT {asked} FROM {self._place(table)}".encode()
        ).fetchone()
        table.rows, *found = row or (0,)
        on_progress(Progress("inspect", table.source, table.rows, table.rows))
        signed = [
            column for column, is_there in zip(reals, found, strict=False) if is_there
        ]
        for column in signed:
            self._signed.add((table.source, column.source))
            column.type = ""
            column.note = "it holds -0.0, which a REAL column would store as 0.0"
        return bool(signed)

    def _allow_nulls(self, plan: Plan) -> list[Loss]:
        """Leave NOT NULL out where rows hold NULL; return what that loses."""
        losses: list[Loss] = []
        for table in plan.carried():
            for column, count in self._nulls(table):
                column.not_null = False
                where = f"{table.source}.{column.source}"
                losses.append(Loss("not null", where, f"{count} rows hold NULL"))
        return losses

    def _nulls(self, table: TablePlan) -> Iterator[tuple[ColumnPlan, int]]:
        """Yield the columns that are to be NOT NULL and are not, with their NULLs."""
        may_be_null = {c.name for c in self.found(table).columns if c.may_be_null}
        asked = [c for c in table.columns if c.not_null and c.source in may_be_null]
        if not asked:
            return
        counts = ", ".join(f"count(*) - count({quote(c.source)})" for c in asked)
        row = self._connection.execute(
            f"SELECT {counts} FROM {self._place(table)}".encode()
        ).fetchone()
        assert row is not None, "an aggregate has a row"
        yield from ((c, n) for c, n in zip(asked, row, strict=True) if n)

    def rebuild(self, plan: Plan) -> None:
        """Make tables and indexes as a mapping file wants their columns.

        A way back has the file's own statements, which stay.
        """
        if not plan.is_way_back:
            rebuild(plan, self.schema)
            name_unchecked(plan, self)

    def found(self, table: TablePlan) -> PgTable:
        """Return what the server says about a table of the plan.

        Raises:
            InvalidPlan: It says nothing.
        """
        found = self.schema.by_full_name.get(table.source)
        if found is not None:
            return found
        raise InvalidPlan(
            f"the source has no table {table.source!r}",
            hint="write the plan again: --write-plan FILE",
        )

    def rows_where(self, table: TablePlan, condition: str) -> int:
        """Return how many rows of a table meet a condition."""
        row = self._connection.execute(
            f"SELECT count(*) FROM {self._place(table)} WHERE {condition}".encode()
        ).fetchone()
        assert row is not None, "an aggregate has a row"
        return int(row[0])

    def greatest(self, table: TablePlan, number: str) -> int:
        """Return the greatest that an expression gives for a table's rows, from 0."""
        row = self._connection.execute(
            f"SELECT coalesce(max({number}), 0) FROM {self._place(table)}".encode()
        ).fetchone()
        assert row is not None, "an aggregate has a row"
        return int(row[0])

    def has_negative_zero(self, table: TablePlan, column: str) -> bool:
        """Return whether a column of doubles holds -0.0; known since the survey."""
        return (table.source, column) in self._signed

    def _place(self, table: TablePlan) -> str:
        return self.found(table).place

    def type_of(self, table: str, column: str) -> str:
        """Return the type of a column, by the plan's name of its table."""
        for found in self.schema.tables:
            if table in (found.name, found.full_name):
                for item in found.columns:
                    if item.name == column:
                        return item.type
        return "text"

    def table_names(self) -> list[str]:
        """Return the names of the tables of the schema that is home."""
        schema = self.schema
        return [t.name for t in schema.tables if t.schema == schema.home]

    def inventory(self) -> Inventory:
        """Return the tables and columns that are there."""
        return of_server(self.schema)

    @cached_property
    def _rows(self) -> PostgresqlRows:
        return PostgresqlRows(self._connection, self.found, self._state)

    def own_order(
        self,
        table: TablePlan,
        after: int | str | None,
        *,
        for_copy: bool = False,
        long: LongCells = WHOLE,
    ) -> Iterator[LineBlock]:
        """Yield the blocks after a position, in an order that a kill does not lose."""
        return self._rows.own_order(table, after, for_copy=for_copy, long=long)

    def key_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Iterable[LineBlock]:
        """Yield all blocks sorted by the key."""
        return self._rows.key_order(table, long)

    def fitting_rows(self, table: TablePlan, condition: str) -> Iterator[LineBlock]:
        """Yield the rows that meet a condition, without what fits no codec."""
        return self._rows.fitting(table, condition)

    def long_columns(self, table: TablePlan) -> frozenset[str]:
        """Return the columns whose long cells the server can give stand-ins for."""
        return self._rows.long_columns(table)

    def bytes_aside(self, table: TablePlan) -> int | None:
        """Return what a table's long cells take, compressed; None if not known."""
        return self._rows.bytes_aside(table)

    def check_unchanged(self) -> None:
        """Do nothing: a snapshot does not change."""

    def close(self) -> None:
        """End the snapshot."""
        self._connection.close()
