"""Find in one database what another one has, by the names and types it has.

Owns which table and column of a PostgreSQL database that somebody else filled is
put beside which of a SQLite file. What the same value is says ``canonical.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

from lockstep.migrations.sqlite.tokens import fold
from lockstep.mover.model.plan import ColumnPlan, Plan, TablePlan
from lockstep.mover.model.postgresql import PgColumn, PgSchema, PgTable
from lockstep.mover.model.results import Difference, VerifyReport
from lockstep.mover.verify.canonical import Canonical, Foreign, counted_unit


class ForeignPair:
    """What two databases have in common, and what one of them lacks."""

    def __init__(self, schema: PgSchema, report: VerifyReport) -> None:
        self._schema = schema
        self._report = report
        self.tables: dict[str, Canonical] = {}

    def adapt(
        self, plan: Plan, units: Mapping[tuple[str, str], tuple[int, int]]
    ) -> Plan:
        """Make a plan of SQLite's own name what the other database has.

        Args:
            plan: From the SQLite side; changed in place.
            units: Least and greatest integer, by (table, column).
        """
        for table in plan.carried():
            found = self._find(table)
            if found is None:
                table.carry = False
                self._lacks("missing table", table.source)
                continue
            table.target = found.name
            self._columns(table, found, units)
        return plan

    def _find(self, table: TablePlan) -> PgTable | None:
        # What the search path finds by a name alone, as every reader does.
        there = [found for found in self._schema.tables if found.schema == "public"]
        for name in (table.target, table.source, fold(table.source)):
            for found in there:
                if found.name == name:
                    return found
        same = [found for found in there if fold(found.name) == fold(table.source)]
        return same[0] if same else None

    def _columns(
        self,
        table: TablePlan,
        found: PgTable,
        units: Mapping[tuple[str, str], tuple[int, int]],
    ) -> None:
        by_name = {fold(column.name): column for column in found.columns}
        by_name |= {column.name: column for column in found.columns}
        kept: list[ColumnPlan] = []
        codecs: list[Foreign] = []
        for column in table.columns:
            theirs = by_name.get(column.target) or by_name.get(fold(column.source))
            if theirs is None:
                self._lacks("missing column", table.source, column.source)
                continue
            column.target = theirs.name
            bounds = units.get((table.source, column.source), (0, 0))
            codecs.append(Foreign(theirs.type, counted_unit(*bounds)))
            kept.append(column)
            column.type = theirs.type
            if theirs.type == "real":
                column.codec = "number"  # read as eight bytes, which it is not
        table.columns = kept
        names = {column.source: column for column in kept}
        if not all(
            name in names and _sorts_alike(names[name], by_name[names[name].target])
            for name in table.order_key
        ):
            table.order_key = []
        self.tables[table.source] = Canonical(table, codecs)

    def _lacks(self, kind: str, table: str, column: str = "") -> None:
        difference = Difference(kind, table, column=column)
        self._report.add(difference)


def _sorts_alike(mine: ColumnPlan, theirs: PgColumn) -> bool:
    if mine.codec == "integer":
        return theirs.type in ("smallint", "integer", "bigint")
    return mine.codec == "text" and theirs.type in ("text", "character varying")
