"""Numbers that are kept as text."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.names import says_quantity
from lockstep.doctor.sqlite.bites import Progress, aggregates
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.schema.names import quote_identifier as quoted

_MOST = 0.9
_IS_NUMBER = (
    "{0} GLOB '*[0-9]*' AND {0} NOT GLOB '*[^0-9.-]*' AND {0} NOT GLOB '?*-*'"
    " AND length({0}) - length(replace({0}, '.', '')) < 2"
)


def examine(context: SqliteContext) -> Findings:
    """Find text columns that are counted or measured and hold numbers only."""
    for table in context.tables:
        columns = [
            column
            for column in table.columns
            if column.family == "text" and says_quantity(column.name)
        ]
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
                yield CHECK.finding(
                    "warning",
                    f"{table.name}.{column.name}",
                    f"{numbers:,} of {values:,} texts are numbers{progress.told()}",
                    mend="declare the column INTEGER, REAL or (money) an exact "
                    "decimal, "
                    "and convert the values once",
                    evidence={"values": values, "numbers": numbers},
                )


CHECK = Check(
    name="text-numbers",
    looks_for="Quantities and amounts in text columns.",
    why="Texts sort letter by letter: '10' comes before '9', max() finds '99' above "
    "'100', and a comparison with a number is always one-sided.",
    sqlite=examine,
)
