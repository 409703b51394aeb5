"""Ask PostgreSQL in which units the moments of a column are written.

Owns the shapes of texts that are dates, as regular expressions. Columns that are
dates or timestamps by type have one unit and are not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockstep.doctor.moments import NUMBERS, Moments

if TYPE_CHECKING:
    from lockstep.doctor.catalog import Column, Table
    from lockstep.doctor.postgresql.context import PostgresqlContext

_DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TEXTS = {
    "zero dates": "^0000-00-00",
    "dates": _DAY + "$",
    "ISO text with an offset": _DAY + "[T ].*(Z|[+-][0-9]{2}:?([0-9]{2})?)$",
    "ISO text with T": _DAY + "T",
    "ISO text with a space": _DAY + " [0-9]{2}:",
    "day.month.year": "^[0-9]{2}[.][0-9]{2}[.][0-9]{4}",
    "slashes": "^[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}",
    "numbers as text": "^[0-9]{9,19}$",
}
"""Unit: the pattern of a text; the first that matches is its unit."""


def read_moments(context: PostgresqlContext, table: Table, column: Column) -> Moments:
    """Count the units in which ``column``, a number or a text, is written."""
    name = context.name(column.name)
    if column.family == "text":
        conditions = {unit: f"{name} ~ '{pattern}'" for unit, pattern in _TEXTS.items()}
    else:
        conditions = {
            unit: f"{name} BETWEEN {low} AND {high}"
            for unit, (low, high) in NUMBERS.items()
        }
    cases = " ".join(f"WHEN {sql} THEN '{unit}'" for unit, sql in conditions.items())
    rows_max = context.limits.rows_max
    found = context.rows(
        f"SELECT unit, count(*) FROM (SELECT CASE {cases} END AS unit FROM"
        f" (SELECT {name} FROM {table.quoted} LIMIT {rows_max}) AS s) AS u"
        " WHERE unit IS NOT NULL GROUP BY 1 ORDER BY 2 DESC"
    )
    return Moments(dict(found), context.told(table))
