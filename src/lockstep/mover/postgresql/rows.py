"""The rows of PostgreSQL's tables, in every order in which a move reads them.

Owns how a killed copy finds its place again: behind a key, or behind a run of pages;
and which blocks the server packs by itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.digests import row_digest
from lockstep.mover.blocks.encoding import LineBlock, PieceBlock
from lockstep.mover.blocks.long_values import LONG_BYTES, WHOLE, LongCells, form_of
from lockstep.mover.codecs import codec_of
from lockstep.mover.codecs.lines import unescape
from lockstep.mover.journal import State
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.model.postgresql import PgTable
from lockstep.mover.postgresql.fitting import Fitting
from lockstep.mover.postgresql.journal import PostgresqlJournal
from lockstep.mover.postgresql.lines import PostgresqlLines, long_columns, with_stand_in
from lockstep.mover.postgresql.long_rows import LongColumn
from lockstep.mover.postgresql.notes import OddNotes
from lockstep.mover.postgresql.packed import RESULTS_MAX, PackedTable, packing_of
from lockstep.mover.postgresql.packed_columns import Misfit
from lockstep.schema.types.portable import quoted

if TYPE_CHECKING:
    import psycopg

PAGES_AT_ONCE = 1_024
"""Eight MiB of rows are one run of pages, after which a killed copy can go on."""

PAGES_FOUND_SINCE = 140_000
MISFITS_MAX = 16
"""Blocks of a table that cannot be packed, after which none is tried."""

SORTED_AS_BYTES = ("text", "mixed_text", "zoned")


class PostgresqlRows:
    """Reads the tables of a plan, in the snapshot of a connection.

    Args:
        connection: In its snapshot.
        found: Says what the server says about a table of the plan.
        state: What the move left that filled the database; None where none did.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        found: Callable[[TablePlan], PgTable],
        state: State | None,
    ) -> None:
        self._connection = connection
        self._found = found
        self._state = state
        self._long: dict[str, list[LongColumn]] = {}

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
        fitting = self._fitting(table, is_compared=not for_copy)
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
        return packing_of(self._connection, table, self._found(table))

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
        return is_found and self._found(table).is_heap

    def _behind_page(
        self,
        table: TablePlan,
        after: int | str | None,
        long: LongCells = WHOLE,
    ) -> Iterator[LineBlock]:
        row = self._connection.execute(
            "SELECT pg_relation_size(to_regclass(%s)) "
            "/ current_setting('block_size')::bigint",
            (self._found(table).place.removeprefix("ONLY "),),
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

    def bytes_aside(self, table: TablePlan) -> int | None:
        """Return what a table's long cells take, compressed; None if not known.

        What is longer than a page lies in a table of its own, which may be empty.
        """
        found = self._found(table)
        if not found.is_heap:
            return None
        row = self._connection.execute(
            "SELECT pg_relation_size(nullif(reltoastrelid, 0)) FROM pg_class "
            "WHERE oid = to_regclass(%s)",
            (found.place.removeprefix("ONLY "),),
        ).fetchone()
        return int(row[0] or 0) if row else 0

    def fitting(self, table: TablePlan, condition: str) -> Iterator[LineBlock]:
        """Yield those rows as the copy reads them, without what fits no codec."""
        return self._fitting(table).blocks(self._read(table, [], condition))

    def _fitting(self, table: TablePlan, *, is_compared: bool = False) -> Fitting:
        return Fitting(table, self._types(table), is_compared=is_compared)

    def _types(self, table: TablePlan) -> list[str]:
        types = {column.name: column.type for column in self._found(table).columns}
        return [types.get(column.source, "text") for column in table.columns]

    def key_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Iterable[LineBlock]:
        """Yield all blocks sorted by the key."""
        key = [table.column(name) for name in table.order_key]
        blocks = self._read(table, key, "", long=long)
        return self._fitting(table, is_compared=True).blocks(blocks)

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
                LongColumn(place, column.target, form_of(column.codec) == "bytes")
                for place, column in enumerate(table.columns)
                if lengths.get(column.source, 0) > LONG_BYTES
            ]
        return self._long[table.source]

    def _longest(self, table: TablePlan, columns: frozenset[str]) -> dict[str, int]:
        """Return the length of each column's longest cell; none where it is short."""
        found, names = self._found(table), sorted(columns)
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
            self._found(table).place,
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
            noted = PostgresqlJournal(self._connection).odd_counts()
            for planned in self._state.plan.carried():
                if planned.source in noted:
                    found[planned.target].append(planned.source)
        return found


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
