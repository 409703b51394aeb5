"""Ask SQLite in which units the moments of a column are written.

Owns the shapes of texts that are dates, as GLOB patterns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockstep.doctor.moments import NUMBERS, Moments
from lockstep.doctor.sqlite.bites import Progress, aggregates
from lockstep.schema.names import quote_identifier as quoted

if TYPE_CHECKING:
    from lockstep.doctor.catalog import Table
    from lockstep.doctor.sqlite.context import SqliteContext

_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_OFFSETS = ("*Z", "*[+-][0-9][0-9]:[0-9][0-9]", "*[0-9][+-][0-9][0-9][0-9][0-9]")
TEXTS = {
    "zero dates": "{0} GLOB '0000-00-00*'",
    "dates": f"{{0}} GLOB '{_DAY}'",
    "ISO text with an offset": f"{{0}} GLOB '{_DAY}[T ]*' AND ("
    + " OR ".join(f"{{0}} GLOB '{end}'" for end in _OFFSETS)
    + ")",
    "ISO text with T": f"{{0}} GLOB '{_DAY}T*'",
    "ISO text with a space": f"{{0}} GLOB '{_DAY} [0-9][0-9]:*'",
    "day.month.year": "{0} GLOB '[0-9][0-9].[0-9][0-9].[0-9][0-9][0-9][0-9]*'",
    "slashes": "{0} GLOB '[0-9]*/[0-9]*/[0-9][0-9][0-9][0-9]*'",
    "numbers as text": "length({0}) BETWEEN 9 AND 19 AND {0} NOT GLOB '*[^0-9]*'",
}
"""Unit: the condition on a text; the first that holds is its unit."""


def read_moments(context: SqliteContext, table: Table, column: str) -> Moments:
    """Count the units in which ``column`` is written."""
    name = quoted(column)
    numbers = [
        f"WHEN {low} <= {name} AND {name} <= {high} THEN '{unit}'"
        for unit, (low, high) in NUMBERS.items()
    ]
    texts = [
        f"WHEN {condition.format(name)} THEN '{unit}'"
        for unit, condition in TEXTS.items()
    ]
    kind = (
        f"CASE WHEN typeof({name}) IN ('integer', 'real') THEN CASE {' '.join(numbers)}"
        f" END WHEN typeof({name}) = 'text' THEN CASE {' '.join(texts)} END END"
    )
    units = [*NUMBERS, *TEXTS]
    moments, progress = Moments(), Progress()
    expressions = [f"sum(unit = '{unit}')" for unit in units]
    for values in aggregates(
        context, table, expressions, progress, row=f"{kind} AS unit"
    ):
        for unit, count in zip(units, values, strict=True):
            if count:
                moments.counts[unit] = moments.counts.get(unit, 0) + count
    moments.told = progress.told()
    return moments
