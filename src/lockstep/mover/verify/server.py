"""Tables of PostgreSQL that are read as they are, whoever filled them.

Owns the reading for a comparison that no plan of a move stands behind: no codec refuses
a row, no journal is asked, and a table is found by its schema and name.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.blocks.long_values import WHOLE, LongCells
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.model.postgresql import PgColumn, PgTable
from lockstep.mover.postgresql.lines import PostgresqlLines, long_columns, with_stand_in
from lockstep.mover.verify.spelled import INTEGERS, as_read

if TYPE_CHECKING:
    import psycopg


class ServerTables:
    """Reads tables that were found beside those of a plan.

    Args:
        connection: With the settings of a move; in a snapshot where it is the source.
        tables: What was found, by the plan's source table.
        columns: Those compared, in the order of the plan's.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        tables: Mapping[str, PgTable],
        columns: Mapping[str, Sequence[PgColumn]],
    ) -> None:
        self._lines = PostgresqlLines(connection)
        self._tables = tables
        self._columns = columns

    def key_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Generator[LineBlock]:
        """Yield all rows sorted by the plan's ``order_key``; texts by their bytes."""
        names = [column.source for column in table.columns]
        found = self._columns[table.source]
        key = [found[names.index(name)] for name in table.order_key]
        return self._read(table, ", ".join(map(_sorted_by, key)), long)

    def any_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Generator[LineBlock]:
        """Yield all rows in the server's order."""
        return self._read(table, "", long)

    def long_columns(self, table: TablePlan) -> frozenset[str]:
        """Return the columns whose long cells the server gives stand-ins for."""
        return long_columns(table, [c.type for c in self._columns[table.source]])

    def _read(
        self, table: TablePlan, order: str, long: LongCells
    ) -> Generator[LineBlock]:
        shown = [
            with_stand_in(quote(found.name), planned.codec)
            if planned.source in long.with_stand_ins
            else as_read(found.name, found.type)
            for planned, found in zip(
                table.columns, self._columns[table.source], strict=True
            )
        ]
        place = self._tables[table.source].place
        return self._lines.read(place, shown, order=order)


def _sorted_by(column: PgColumn) -> str:
    name = quote(column.name)
    return name if column.type in INTEGERS else f'{name}::text COLLATE "C"'
