"""A SQLite database as a source of lines.

Owns how a table's rows become lines, in the table's own order (to copy and to go
on after a kill) or in the order of its key (to compare).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from lockstep.mover.codecs import Codec
from lockstep.mover.encoding import LineBlock, TableEncoder
from lockstep.mover.plan.model import ColumnPlan, TablePlan
from lockstep.mover.sqlite.rows import read_blocks, read_sorted
from lockstep.mover.sqlite.schema import Schema, Table


class SqliteLines:
    """The rows of a SQLite database.

    Args:
        connection: A DB-API connection to it, in a read transaction.
        schema: What it says about itself.
        clean: Tables whose texts are all known to be UTF-8.
        is_target: Whether it is the plan's target, and so has those names.
        codecs: By the plan's source table, instead of the plan's words.
    """

    def __init__(
        self,
        connection: Any,
        schema: Schema,
        clean: frozenset[str] = frozenset(),
        *,
        is_target: bool = False,
        codecs: Mapping[str, Sequence[Codec]] | None = None,
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._clean = clean
        self._is_target = is_target
        self._codecs = codecs or {}

    def _name(self, column: ColumnPlan) -> str:
        return column.target if self._is_target else column.source

    def _table(self, plan: TablePlan) -> str:
        return plan.target if self._is_target else plan.source

    def in_own_order(
        self, plan: TablePlan, after: int | str | None
    ) -> Generator[LineBlock]:
        """Yield the blocks after a position."""
        table, encoder = self._prepared(plan)
        for position, rows in read_blocks(
            self._connection,
            table,
            after=None if after is None else int(after),
            columns=[self._name(column) for column in plan.columns],
            is_clean=self._table(plan) in self._clean,
        ):
            yield encoder.block(position, rows)

    def in_key_order(self, plan: TablePlan) -> Generator[LineBlock]:
        """Yield all blocks, sorted by ``order_key``; texts by their bytes."""
        table, encoder = self._prepared(plan)
        for rows in read_sorted(
            self._connection,
            table,
            [self._name(column) for column in plan.columns],
            [self._name(plan.column(name)) for name in plan.order_key],
            is_clean=table.name in self._clean,
        ):
            yield encoder.block(None, rows)

    def _prepared(self, plan: TablePlan) -> tuple[Table, TableEncoder]:
        table = self._schema.table(self._table(plan))
        assert table is not None, "a plan names tables that are there"
        places = [
            place
            for place, column in enumerate(plan.columns)
            if self._name(column) in (table.key or [table.rowid_alias])
        ]
        codecs = self._codecs.get(plan.source)
        encoder = TableEncoder(plan, places, is_target=self._is_target, codecs=codecs)
        return table, encoder
