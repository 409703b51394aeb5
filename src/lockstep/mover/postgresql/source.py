"""A PostgreSQL database as the source of a move.

Owns one transaction (``snapshot.py``) in which everything is read, so that plan, copy
and comparison see the same state while others go on writing. A database that
an earlier move filled from SQLite still has that move's plan; it is the way back.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from lockstep.errors import InvalidPlan
from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.digests import row_digest
from lockstep.mover.blocks.encoding import LineBlock, PieceBlock
from lockstep.mover.blocks.long_values import LONG_BYTES, WHOLE, LongCells
from lockstep.mover.codecs import codec_of
from lockstep.mover.codecs.lines import unescape
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
    name_contradictions,
    name_oversized,
    name_unchecked,
)
from lockstep.mover.postgresql.fitting import Fitting
from lockstep.mover.postgresql.journal import PostgresqlJournal
from lockstep.mover.postgresql.lines import PostgresqlLines, long_columns, with_stand_in
from lockstep.mover.postgresql.long_rows import LongColumn
from lockstep.mover.postgresql.notes import OddNotes
from lockstep.mover.postgresql.packed import RESULTS_MAX, PackedTable, packing_of
from lockstep.mover.postgresql.packed_columns import Misfit
from lockstep.mover.postgresql.session import connect
from lockstep.mover.postgresql.snapshot import begin_snapshot
from lockstep.schema.types.portable import quoted

if TYPE_CHECKING:
    from lockstep.engine.urls import DatabaseUrl

PAGES_AT_ONCE = 1_024
"""Eight MiB of rows are one run of pages, after which a killed copy can go on."""

PAGES_FOUND_SINCE = 140_000
MISFITS_MAX = 16
"""Blocks of a table that cannot be packed, after which none is tried."""

SORTED_AS_BYTES = ("text", "mixed_text", "zoned")


class PostgresqlSource:
    """A database that is read.

    Args:
        url: Which one.
    """

    dialect = "postgresql"

    def __init__(self, url: DatabaseUrl) -> None:
        self._connection = connect(url)
        try:
            begin_snapshot(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self.notices: list[str] = []
        self._long: dict[str, list[LongColumn]] = {}
        self._signed: set[tuple[str, str]] = set()

    @property
    def connection(self) -> Any:
        """The connection, in its snapshot."""
        return self._connection

    @cached_property
    def schema(self) -> PgSchema:
        """What the database says about itself."""
        return read_postgresql(self._connection)

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
        for found in self.schema.tables:
            if found.full_name == table.source:
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

    def has_negative_zero(self, table: TablePlan, column: str) -> bool:
        """Return whether a column of doubles holds -0.0; known since the survey."""
        return (table.source, column) in self._signed

    def bytes_aside(self, table: TablePlan) -> int | None:
        """Return what a table's long cells take, compressed; None if not known.

        What is longer than a page lies in a table of its own, which may be empty.
        """
        found = self.found(table)
        if not found.is_heap:
            return None
        row = self._connection.execute(
            "SELECT pg_relation_size(nullif(reltoastrelid, 0)) FROM pg_class "
            "WHERE oid = to_regclass(%s)",
            (found.place.removeprefix("ONLY "),),
        ).fetchone()
        return int(row[0] or 0) if row else 0

    def fitting_rows(self, table: TablePlan, condition: str) -> Iterator[LineBlock]:
        """Yield those rows as the copy reads them, without what fits no codec."""
        return self._fitting(table).blocks(self._read(table, [], condition))

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
        """Return the names of the tables of the schema ``public``."""
        return [t.name for t in self.schema.tables if t.schema == "public"]

    def inventory(self) -> Inventory:
        """Return the tables and columns that are there."""
        return of_server(self.schema)

    def own_order(
        self,
        table: TablePlan,
        after: int | str | None,
        *,
        for_copy: bool = False,
        long: LongCells = WHOLE,
    ) -> Iterator[LineBlock]:
        """Yield the blocks after a position: the key of the last row, as text.

        A table without an order that both engines have is read in runs of pages,
        and goes on behind the last whole run: nothing has been written since, or
        the fingerprint would be another one.
        """
        fitting = self._fitting(table)
        packing = self._packing(table) if for_copy and fitting.passes_all else None
        if packing is not None:
            return self._packed(table, packing, after, long)
        if table.order_key:
            blocks = self._behind_key(table, after, long=long)
        elif self._has_pages(table):
            blocks = self._behind_page(table, after, long)
        else:
            blocks = self._read(table, [], "", long=long)
        return fitting.blocks(blocks)

    def _packing(self, table: TablePlan) -> PackedTable | None:
        can_pack = bool(table.order_key) or self._has_pages(table)
        if not can_pack or self._noted[table.source]:
            return None
        return packing_of(self._connection, table, self.found(table))

    def _packed(
        self,
        table: TablePlan,
        packing: PackedTable,
        after: int | str | None,
        long: LongCells,
    ) -> Iterator[LineBlock]:
        """Yield packed blocks; one that cannot be packed, and many such, as lines."""
        lines = PostgresqlLines(self._connection)
        for _ in range(MISFITS_MAX):
            try:
                with closing(packing.blocks(lines, after)) as blocks:
                    for block in blocks:
                        after = block.position
                        yield block
            except Misfit:
                if not table.order_key:
                    break
                for block in self._behind_key(table, after, packing.rows, long):
                    after = block.position
                    yield block
            else:
                return
        behind = self._behind_key if table.order_key else self._behind_page
        yield from behind(table, after, long=long)

    def _behind_key(
        self,
        table: TablePlan,
        after: int | str | None,
        limit: int | None = None,
        long: LongCells = WHOLE,
    ) -> Iterator[LineBlock]:
        key = [table.column(name) for name in table.order_key]
        where = ""
        if after is not None:
            last = json.loads(str(after))
            names = ", ".join(map(_sorted_by, key))
            values = ", ".join(
                f"{quoted(value)}::{_cast(column)}"
                for value, column in zip(last, key, strict=True)
            )
            where = f"ROW({names}) > ROW({values})"
        position = None
        for block in self._read(table, key, where, limit, long):
            if not isinstance(block, PieceBlock):
                position = _position(table, block)
            block.position = position
            yield block

    def _has_pages(self, table: TablePlan) -> bool:
        # Older servers read the whole table to find some of its pages.
        is_found = self._connection.info.server_version >= PAGES_FOUND_SINCE
        return is_found and self.found(table).is_heap

    def _behind_page(
        self,
        table: TablePlan,
        after: int | str | None,
        long: LongCells = WHOLE,
    ) -> Iterator[LineBlock]:
        row = self._connection.execute(
            "SELECT pg_relation_size(to_regclass(%s)) "
            "/ current_setting('block_size')::bigint",
            (self._place(table).removeprefix("ONLY "),),
        ).fetchone()
        end = int(row[0]) if row else 0
        page = int(after or 0)
        while page < end:
            following = page + PAGES_AT_ONCE
            where = f"ctid >= '({page},0)' AND ctid < '({following},0)'"
            last = None
            for block in self._read(table, [], where, long=long):
                if last is not None:
                    yield last
                last = block
            if last is not None:
                last.position = following
                yield last
            page = following

    def _fitting(self, table: TablePlan) -> Fitting:
        return Fitting(table, self._types(table))

    def _types(self, table: TablePlan) -> list[str]:
        types = {column.name: column.type for column in self.found(table).columns}
        return [types.get(column.source, "text") for column in table.columns]

    def key_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Iterable[LineBlock]:
        """Yield all blocks sorted by the key."""
        key = [table.column(name) for name in table.order_key]
        blocks = self._read(table, key, "", long=long)
        return self._fitting(table).blocks(blocks)

    def long_columns(self, table: TablePlan) -> frozenset[str]:
        """Return the columns whose long cells the server can give stand-ins for.

        Rows with cells of another class are known by the digest of their whole line.
        """
        if self._noted[table.source]:
            return frozenset()
        return long_columns(table, self._types(table))

    def _in_pieces(self, table: TablePlan, long: LongCells) -> list[LongColumn]:
        """Return the columns that have long cells, of those that may be in pieces."""
        wanted = long.columns & self.long_columns(table) if long.in_pieces else None
        if not wanted or len(table.columns) + len(wanted) > RESULTS_MAX:
            return []
        if table.source not in self._long:
            lengths = self._longest(table, wanted)
            self._long[table.source] = [
                LongColumn(place, column.target, column.codec == "bytes")
                for place, column in enumerate(table.columns)
                if lengths.get(column.source, 0) > LONG_BYTES
            ]
        return self._long[table.source]

    def _longest(self, table: TablePlan, columns: frozenset[str]) -> dict[str, int]:
        """Return the length of each column's longest cell; none where it is short."""
        found, names = self.found(table), sorted(columns)
        if self.bytes_aside(table) == 0:
            return {}
        asked = ", ".join(f"coalesce(max(octet_length({quote(n)})), 0)" for n in names)
        (lengths,) = self._connection.execute(
            f"SELECT {asked} FROM {found.place}".encode()
        ).fetchall()
        return dict(zip(names, lengths, strict=True))

    def _read(
        self,
        table: TablePlan,
        key: list[ColumnPlan],
        where: str,
        limit: int | None = None,
        long: LongCells = WHOLE,
    ) -> Iterator[LineBlock]:
        columns = [
            with_stand_in(quote(column.source), column.codec)
            if column.source in long.with_stand_ins
            else column.read_as or quote(column.source)
            for column in table.columns
        ]
        lines = PostgresqlLines(self._connection)
        blocks = lines.read(
            self._place(table),
            columns,
            order=", ".join(map(_sorted_by, key)),
            where=where,
            limit=limit,
            long=self._in_pieces(table, long),
        )
        return self._with_notes(table, blocks) if self._noted[table.source] else blocks

    def _with_notes(
        self, table: TablePlan, blocks: Iterable[LineBlock]
    ) -> Iterator[LineBlock]:
        """Yield blocks with what an earlier move noted of their odd rows."""
        codecs = [codec_of(column.codec) for column in table.columns]
        journal = PostgresqlJournal(self._connection)
        rows = chain.from_iterable(map(journal.odd_rows, self._noted[table.source]))
        with closing(OddNotes(rows)) as notes:
            for block in blocks:
                for line in block.text.split("\n")[:-1]:
                    odd = notes.take(row_digest(line, codecs))
                    if odd is not None:
                        block.odd.append(odd)
                yield block

    @cached_property
    def _noted(self) -> dict[str, list[str]]:
        """By table the tables of the file of which an earlier move noted odd rows."""
        found = defaultdict[str, list[str]](list)
        if self._state is not None:
            noted = PostgresqlJournal(self._connection).odd_tables()
            for planned in self._state.plan.carried():
                if planned.source in noted:
                    found[planned.target].append(planned.source)
        return found

    def check_unchanged(self) -> None:
        """Do nothing: a snapshot does not change."""

    def close(self) -> None:
        """End the snapshot."""
        self._connection.close()


def _position(table: TablePlan, block: LineBlock) -> str:
    last = block.data[block.data.rfind(b"\n", 0, -1) + 1 : -1].decode("utf-8")
    fields = last.split("\t")
    names = [column.source for column in table.columns]
    return json.dumps([unescape(fields[names.index(n)]) for n in table.order_key])


def _sorted_by(column: ColumnPlan) -> str:
    name = quote(column.source)
    if column.codec in SORTED_AS_BYTES:
        return f'{name}::text COLLATE "C"'
    return name


def _cast(column: ColumnPlan) -> str:
    if column.codec in SORTED_AS_BYTES:
        return "text"
    return {"bytes": "bytea", "uuid_bytes": "uuid"}.get(column.codec, "bigint")
