"""A SQLite database as a source of lines.

Owns how a table's rows become lines, in the table's own order (to copy and to go
on after a kill) or in the order of its key (to compare).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.encoding import LineBlock, TableEncoder
from lockstep.mover.blocks.long_values import (
    WHOLE,
    LongCells,
    form_of,
    with_stand_ins,
)
from lockstep.mover.codecs import Codec
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.model.profile import TableProfile
from lockstep.mover.model.sqlite import Schema, Table
from lockstep.mover.sqlite.apart import (
    LongRow,
    read_apart,
    read_apart_sorted,
    reads_apart,
)
from lockstep.mover.sqlite.long_lines import LongLines
from lockstep.mover.sqlite.long_rows import LongCell
from lockstep.mover.sqlite.opening import processors
from lockstep.mover.sqlite.packed import (
    Packing,
    packed_blocks,
    packed_in_order,
    packed_ranges,
    packing_of,
)
from lockstep.mover.sqlite.rows import Block, read_blocks, read_sorted, sorting
from lockstep.mover.sqlite.survey import can_survey, survey_table

ROWS_FOR_THREADS = 20_000
"""Below that a table is read before a second thread has begun."""

PROCESSORS_FOR_THREADS = 3
"""Of two, one reads and the other is PostgreSQL's: a second reader would disturb."""


class SqliteLines:
    """The rows of a SQLite database.

    Args:
        connection: A DB-API connection to it, in a read transaction.
        schema: What it says about itself.
        profiles: What lies in its tables; those that are missing are added.
        is_target: Whether it is the plan's target, and so has those names.
        codecs: By the plan's source table, instead of the plan's words.
        others: More connections that see the same state, for more threads.
    """

    def __init__(
        self,
        connection: Any,
        schema: Schema,
        profiles: dict[str, TableProfile],
        *,
        is_target: bool = False,
        codecs: Mapping[str, Sequence[Codec]] | None = None,
        others: Sequence[sqlite3.Connection] = (),
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._profiles = profiles
        self._is_target = is_target
        self._codecs = codecs or {}
        self._others = others

    def _name(self, column: ColumnPlan) -> str:
        return column.target if self._is_target else column.source

    def _table(self, plan: TablePlan) -> str:
        return plan.target if self._is_target else plan.source

    def in_own_order(
        self,
        plan: TablePlan,
        after: int | str | None,
        *,
        for_copy: bool = False,
        long: LongCells = WHOLE,
    ) -> Generator[LineBlock]:
        """Yield the blocks after a position.

        Args:
            plan: Which table.
            after: The position of the last block; None begins at the first row.
            for_copy: The lines are read by a database, and compared with nothing.
            long: Which long cells come in pieces, or have stand-ins.
        """
        table, encoder = self._prepared(plan, for_copy=for_copy)
        packing = self._packing(plan, table, for_copy=for_copy, long=long)
        is_whole = True
        if packing is not None:
            by = self._by_rowid if table.rowid_name else self._by_count
            try:
                with closing(by(table, packing, after)) as blocks:
                    for block in blocks:
                        is_whole = not block.is_open
                        if is_whole:
                            after = block.position
                        yield with_stand_ins(block, plan, long)
            except sqlite3.Error:
                if not is_whole:
                    raise
                # The exact way goes on behind the last block, and says why.
            else:
                return
        for found in self._read(plan, table, encoder, after, long):
            if isinstance(found, LineBlock):
                yield found
            else:
                yield with_stand_ins(encoder.block(*found), plan, long)

    def long_columns(self, plan: TablePlan) -> frozenset[str]:
        """Return the source's names of columns with long cells read in pieces."""
        table, _ = self._prepared(plan)
        packing = self._packing(plan, table)
        if packing is None:
            opened = self._opened(plan, table, is_compared=True)
            return frozenset(c.source for c in plan.columns if self._name(c) in opened)
        if packing.long is None:
            return frozenset()
        return frozenset(
            column.source
            for column, cell in zip(plan.columns, packing.long.cells, strict=True)
            if isinstance(cell, LongCell)
        )

    def _read(
        self,
        plan: TablePlan,
        table: Table,
        encoder: TableEncoder,
        after: int | str | None,
        long: LongCells,
        order: Sequence[str] | None = None,
    ) -> Generator[Block | LineBlock]:
        """Yield a table's rows; those with long cells as lines.

        ``order`` sorts them; None leaves them as they lie.
        """
        names = [self._name(column) for column in plan.columns]
        behind = None if after is None else int(after)
        is_clean = self._is_clean(table)
        opened = self._opened(plan, table, is_compared=not long.in_pieces)
        if not opened or not long.columns:
            yield from read_blocks(
                self._connection, table, after=behind, columns=names, is_clean=is_clean
            )
            return
        encoding = self._schema.encoding
        lines = LongLines(plan, names, encoder, encoding, long, opened)
        if order is None:
            rows = read_apart(
                self._connection, table, names, after=behind, is_clean=is_clean
            )
        else:
            rows = read_apart_sorted(
                self._connection, table, names, order, is_clean=is_clean
            )
        for found in rows:
            if isinstance(found, LongRow):
                yield from lines.blocks(found)
            else:
                yield found

    def _opened(
        self, plan: TablePlan, table: Table, *, is_compared: bool
    ) -> frozenset[str]:
        """Return the names of columns whose long cells are read in pieces by a codec.

        Of a table at which nobody has looked all can be compared so.
        """
        if plan.source in self._codecs or not reads_apart(self._connection, table):
            return frozenset()
        known = self._profile(table)
        if known is None:
            return frozenset(
                self._name(column)
                for column in plan.columns
                if is_compared and form_of(column.codec)
            )
        found: set[str] = set()
        for planned in plan.columns:
            form, column = form_of(planned.codec), table.column(self._name(planned))
            if not form or column is None:
                continue
            stored = known.column(column.name)
            if stored.is_in_pieces and (form == "bytes" or stored.is_clean_text):
                found.add(self._name(planned))
        return frozenset(found)

    def _by_rowid(
        self, table: Table, packing: Packing, after: int | str | None
    ) -> Generator[LineBlock]:
        """Return packed blocks, read by several threads where that pays."""
        profile = self._profile(table)
        if profile is not None and profile.ends:
            readers = [self._connection]
            is_long = profile.rows >= ROWS_FOR_THREADS
            if is_long and processors() >= PROCESSORS_FOR_THREADS:
                readers += self._others
            behind = None if after is None else int(after)
            return packed_ranges(readers, packing, table, profile.ends, behind)
        rowid = quote(table.rowid_name or "")
        rest = f"FROM {quote(table.name)}"
        if after is not None:
            rest += f" WHERE {rowid} > {int(after)}"
        return packed_blocks(
            self._connection, packing, rowid, f"{rest} ORDER BY {rowid}"
        )

    def _by_count(
        self, table: Table, packing: Packing, after: int | str | None
    ) -> Generator[LineBlock]:
        """Yield packed blocks of a table without rowids; it is how far one has read."""
        done = int(after or 0)
        rest = f"FROM {quote(table.name)} NOT INDEXED LIMIT -1 OFFSET {done}"
        with closing(self._sorted(packing, rest)) as blocks:
            for block in blocks:
                done += block.count
                block.position = done
                yield block

    def in_key_order(
        self, plan: TablePlan, long: LongCells = WHOLE
    ) -> Generator[LineBlock]:
        """Yield all blocks, sorted by ``order_key``; texts by their bytes.

        ``long`` says which long cells have stand-ins.
        """
        table, encoder = self._prepared(plan)
        names = [self._name(column) for column in plan.columns]
        key = [self._name(plan.column(name)) for name in plan.order_key]
        packing, done = self._packing(plan, table, long=long), 0
        if packing is not None:
            try:
                with closing(self._by_key(table, packing, key)) as blocks:
                    for block in blocks:
                        yield with_stand_ins(block, plan, long)
                        done += block.count
            except sqlite3.Error:
                pass  # the exact way goes on behind these rows
            else:
                return
        if not done and self._opened(plan, table, is_compared=True) and long.columns:
            order = None if _is_rowid(table, key) else sorting(table, key)
            for found in self._read(plan, table, encoder, None, long, order):
                if isinstance(found, LineBlock):
                    yield found
                else:
                    yield with_stand_ins(encoder.block(*found), plan, long)
            return
        for rows in read_sorted(
            self._connection, table, names, key, is_clean=self._is_clean(table)
        ):
            skipped = min(done, len(rows))
            done -= skipped
            if skipped < len(rows):
                block = encoder.block(None, rows[skipped:])
                yield with_stand_ins(block, plan, long)

    def _by_key(
        self, table: Table, packing: Packing, key: list[str]
    ) -> Generator[LineBlock]:
        if _is_rowid(table, key):
            return self._by_rowid(table, packing, None)
        order = ", ".join(sorting(table, key))
        return self._sorted(packing, f"FROM {quote(table.name)} ORDER BY {order}")

    def _sorted(self, packing: Packing, rest: str) -> Generator[LineBlock]:
        if packing.long is not None:
            return packed_in_order(self._connection, packing, rest)
        return packed_blocks(self._connection, packing, "NULL", rest)

    def _profile(self, table: Table) -> TableProfile | None:
        """Return what lies in a table; None where nothing can be said quickly."""
        known = self._profiles.get(table.name)
        if known is None and can_survey(self._connection, self._schema, table):
            known = survey_table(self._connection, table, self._others)
            self._profiles[table.name] = known
        return known

    def _is_clean(self, table: Table) -> bool:
        profile = self._profile(table)
        return profile is not None and profile.is_clean

    def _packing(
        self,
        plan: TablePlan,
        table: Table,
        *,
        for_copy: bool = False,
        long: LongCells = WHOLE,
    ) -> Packing | None:
        """Return how rows can be packed; None where the slower way is the exact one."""
        if plan.source in self._codecs:
            return None
        profile = self._profile(table)
        is_usual = can_survey(self._connection, self._schema, table)
        if profile is None or not is_usual:
            return None
        columns = [self._name(column) for column in plan.columns]
        return packing_of(plan, columns, table, profile, for_copy=for_copy, long=long)

    def _prepared(
        self, plan: TablePlan, *, for_copy: bool = False
    ) -> tuple[Table, TableEncoder]:
        table = self._schema.table(self._table(plan))
        assert table is not None, "a plan names tables that are there"
        places = [
            place
            for place, column in enumerate(plan.columns)
            if self._name(column) in (table.key or [table.rowid_alias])
        ]
        codecs = self._codecs.get(plan.source)
        encoder = TableEncoder(
            plan,
            places,
            is_target=self._is_target,
            codecs=codecs,
            is_compared=not for_copy,
        )
        return table, encoder


def _is_rowid(table: Table, key: Sequence[str]) -> bool:
    return list(key) in ([table.rowid_alias], [table.rowid_name])
