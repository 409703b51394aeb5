"""Ask PostgreSQL in which units the moments of a column are written.

Owns the shapes of texts that are dates, as regular expressions. Columns that are
dates or timestamps by type have one unit and are not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockstep.doctor.moments import (
    GUESSED,
    NUMBERS,
    SAMPLE_ROWS,
    Moments,
    are_iso_texts,
    are_moments,
    may_be_guessed,
)

if TYPE_CHECKING:
    from lockstep.doctor.catalog import Column, Table
    from lockstep.doctor.postgresql.questions import PostgresqlQuestions

COUNTED = ("integer", "real", "decimal", "text")
"""Families that need a look at the values; dates and timestamps have one unit."""
_STRANGE = "no unit"
_DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TEXTS = {
    "zero dates": "^0000-00-00",
    "dates": _DAY + "$",
    "ISO text with an offset": _DAY + "[T ].*(Z|[+-][0-9]{2}:?([0-9]{2})?)$",
    "ISO text with T": _DAY + "T",
    "ISO text with a space": _DAY + " [0-9]{2}:",
    "day.month.year": "^[0-9]{1,2}[.][0-9]{1,2}[.][0-9]{4}",
    "slashes": "^[0-9]{1,4}/[0-9]{1,2}/[0-9]{2,4}",
    "compact ISO text": "^[12][0-9]{3}[01][0-9][0-3][0-9]T[0-2]",
    "mail dates": "^[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{2}",
    "numbers as text": "^[0-9]{6,18}[.]?[0-9]{1,10}$",
}
"""Unit: the pattern of a text; the first that matches is its unit."""


def read_moments(
    database: PostgresqlQuestions, table: Table, column: Column
) -> Moments:
    """Count the units in which ``column``, a number or a text, is written."""
    name = database.name(column.name)
    if column.family == "text":
        conditions = {unit: f"{name} ~ '{pattern}'" for unit, pattern in _TEXTS.items()}
    else:
        conditions = {
            unit: f"{name} BETWEEN {low} AND {high}"
            for unit, (low, high) in NUMBERS.items()
        }
    cases = " ".join(f"WHEN {sql} THEN '{unit}'" for unit, sql in conditions.items())
    if column.family != "text":
        cases += f" WHEN {name} NOT IN (0, -1) THEN '{_STRANGE}'"
    rows_max = database.limits.rows_max
    found = database.rows(
        f"SELECT unit, count(*) FROM (SELECT CASE {cases} END AS unit FROM"
        f" (SELECT {name} FROM {table.quoted} LIMIT {rows_max}) AS s) AS u"
        " WHERE unit IS NOT NULL GROUP BY 1 ORDER BY 2 DESC"
    )
    counts = dict(found)
    strangers = counts.pop(_STRANGE, 0)
    return Moments(counts, database.told(table), strangers).without_other_numbers()


def guessed_columns(database: PostgresqlQuestions, table: Table) -> list[Column]:
    """Return the columns whose first values are moments, whatever their names."""
    columns = [
        column
        for column in table.columns
        if column.family in COUNTED and may_be_guessed(table, column)
    ]
    if not columns:
        return []
    select = ", ".join(
        part for column in columns for part in _sampled(database, column)
    )
    source = f"SELECT * FROM {table.quoted} LIMIT {SAMPLE_ROWS}"
    values = iter(database.rows(f"SELECT {select} FROM ({source}) AS s")[0])
    found: list[Column] = []
    for column in columns:
        count, *meant = [next(values) for _ in _sampled(database, column)]
        if column.family == "text":
            fits = are_iso_texts(count, meant[0])
        else:
            fits = are_moments(count, meant)
        if fits:
            found.append(column)
    return found


def _sampled(database: PostgresqlQuestions, column: Column) -> list[str]:
    name = database.name(column.name)
    if column.family == "text":
        return [
            f"count(nullif({name}, ''))",
            f"count(*) FILTER (WHERE {name} ~ '{_DAY}')",
        ]
    return [
        f"count({name})",
        *(
            f"count(*) FILTER (WHERE {name} BETWEEN {low} AND {high})"
            for low, high in GUESSED.values()
        ),
    ]
