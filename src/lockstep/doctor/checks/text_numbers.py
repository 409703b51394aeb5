"""Numbers that are kept as text."""

from __future__ import annotations

from lockstep.doctor.catalog import Column, Table
from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Finding
from lockstep.doctor.names import says_quantity
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.bites import Progress, aggregates
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.schema.names import quote_identifier as quoted

_MOST = 0.9
_PATTERN = "^ *-?([0-9]+[.,]?[0-9]*|[.,][0-9]+) *$"
_IS_NUMBER = (
    "{0} GLOB '*[0-9]*' AND {0} NOT GLOB '*[^0-9.,-]*' AND {0} NOT GLOB '?*-*'"
    " AND length({0}) - length(replace(replace({0}, '.', ''), ',', '')) < 2"
)


def examine(context: SqliteContext) -> Findings:
    """Find text columns that are counted or measured and hold numbers only."""
    for table in context.tables:
        columns = _candidates(table)
        if not columns:
            continue
        progress = Progress()
        totals = [[0, 0] for _ in columns]
        expressions: list[str] = []
        for column in columns:
            name = quoted(column.name)
            is_number = _IS_NUMBER.format(f"trim({name})")
            expressions += [f"count(nullif({name}, ''))", f"sum({is_number})"]
        for values in aggregates(context, table, expressions, progress):
            for position, total in enumerate(totals):
                total[0] += values[2 * position] or 0
                total[1] += values[2 * position + 1] or 0
        for column, (values, numbers) in zip(columns, totals, strict=True):
            if values and numbers >= _MOST * values:
                yield _finding(table, column, values, numbers, progress.told())


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Find the same in text and varchar columns."""
    for table in context.readable_tables:
        columns = _candidates(table)
        conditions = [
            condition
            for column in columns
            for condition in (
                f"{quoted(column.name)} <> ''",
                f"{quoted(column.name)} ~ '{_PATTERN}'",
            )
        ]
        if not conditions:
            continue
        counts = iter(context.counts(table, conditions))
        for column, values, numbers in zip(columns, counts, counts, strict=True):
            if values and numbers >= _MOST * values:
                yield _finding(table, column, values, numbers, context.told(table))


def _candidates(table: Table) -> list[Column]:
    return [
        column
        for column in table.columns
        if column.family == "text" and says_quantity(column.name)
    ]


def _finding(
    table: Table, column: Column, values: int, numbers: int, told: str
) -> Finding:
    return CHECK.finding(
        "warning",
        f"{table.name}.{column.name}",
        f"{numbers:,} of {values:,} texts are numbers{told}",
        mend="declare the column an integer, a double or (money) an exact decimal, and "
        "convert the values once",
        evidence={"values": values, "numbers": numbers},
    )


CHECK = Check(
    name="text-numbers",
    looks_for="Quantities and amounts in text columns.",
    why="Texts sort letter by letter: '10' comes before '9', max() finds '99' above "
    "'100', and a comparison with a number is always one-sided.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
