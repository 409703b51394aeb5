"""Moments of one column, or one table, in different units."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Finding, some
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.postgresql.moments import read_moments
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.moments.found import MomentsFound
from lockstep.moments.units import DAYS, UNIT_NAMES


def examine(context: SqliteContext) -> Findings:
    """Detect the unit of every value of every column that holds moments."""
    found = _Found()
    for table in context.tables:
        for column in context.moment_columns(table):
            moments = context.moments(table, column.name)
            yield from found.column(table.name, column.name, moments)
    yield from _between_columns(found.by_table)


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Detect the units of the numbers and texts that hold moments."""
    found = _Found()
    for table in context.readable_tables:
        for column in context.moment_columns(table):
            moments = read_moments(context, table, column)
            yield from found.column(table.name, column.name, moments)
    yield from _between_columns(found.by_table)


class _Found:
    """The columns with one unit each, gathered to be compared with each other."""

    def __init__(self) -> None:
        self.by_table: dict[str, dict[str, list[str]]] = {}

    def column(self, table: str, column: str, moments: MomentsFound) -> Findings:
        """Yield what is wrong within a column; else remember its unit."""
        subject = f"{table}.{column}"
        if len(moments.units) > 1:
            yield _mixed(subject, moments)
        elif len(moments.iso_spellings) > 1:
            yield _two_spellings(subject, moments)
        elif moments.units:
            units = self.by_table.setdefault(table, {})
            units.setdefault(moments.units[0], []).append(column)


def _mixed(subject: str, moments: MomentsFound) -> Finding:
    return CHECK.finding(
        "problem",
        subject,
        f"the column holds moments in several units: "
        f"{moments.in_words()}{moments.told}",
        mend="choose one unit (lockstep's UtcDateTime: UTC, microseconds), convert the "
        "others by the range they are in, and add a CHECK",
        evidence={"units": dict(moments.counts)},
    )


def _two_spellings(subject: str, moments: MomentsFound) -> Finding:
    shown = ", ".join(
        f"{moments.counts[unit]:,} as {unit}" for unit in moments.iso_spellings
    )
    return CHECK.finding(
        "warning",
        subject,
        f"the column's texts are spelled in several ways: {shown}{moments.told}",
        why="Texts are compared letter by letter: 'T' sorts behind a space, and an "
        "offset is not converted, so ORDER BY and < are wrong around such rows.",
        mend="write all of them one way: UTC, the same separator, always an offset",
        evidence={"spellings": {u: moments.counts[u] for u in moments.iso_spellings}},
    )


def _between_columns(by_table: dict[str, dict[str, list[str]]]) -> Findings:
    numeric = UNIT_NAMES - {DAYS.name}
    everywhere: dict[str, list[str]] = {}
    for table, units in by_table.items():
        own = {unit: columns for unit, columns in units.items() if unit in numeric}
        for unit, columns in own.items():
            named = [f"{table}.{column}" for column in columns]
            everywhere.setdefault(unit, []).extend(named)
        if len(own) > 1:
            shown = "; ".join(f"{unit}: {some(names)}" for unit, names in own.items())
            yield CHECK.finding(
                "warning",
                table,
                f"columns of one table count in different units: {shown}",
                mend="choose one unit; until then never compare these columns",
                evidence={"units": own},
            )
    if len(everywhere) > 1 and all(
        len({unit for unit in units if unit in numeric}) < 2
        for units in by_table.values()
    ):
        shown = "; ".join(f"{unit}: {some(n)}" for unit, n in everywhere.items())
        yield CHECK.finding(
            "notice",
            "moments",
            f"tables count moments in different units: {shown}",
            mend="choose one unit; a join over two of these columns compares nothing",
            evidence={"units": everywhere},
        )


CHECK = Check(
    name="mixed-epochs",
    looks_for="Seconds, milliseconds, ISO text and Julian days in one column or table.",
    why="Sorting and comparing go wrong without an error, and a conversion that is "
    "right for one unit is off by a factor of 1,000 for the other.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
