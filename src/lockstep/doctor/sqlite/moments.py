"""Ask SQLite in which units the moments of a column are written.

Owns the shapes of texts that are dates, as GLOB patterns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockstep.doctor.limits import OutOfTime
from lockstep.doctor.moments import (
    GUESSED,
    NUMBERS,
    SAMPLE_ROWS,
    Moments,
    are_iso_texts,
    are_moments,
    may_be_guessed,
)
from lockstep.doctor.sqlite.bites import Progress, aggregates
from lockstep.schema.names import quote_identifier as quoted

if TYPE_CHECKING:
    from lockstep.doctor.catalog import Column, Table
    from lockstep.doctor.sqlite.questions import SqliteQuestions

SAMPLE_COLUMNS = 200
"""SQLite's answer has at most 2,000 columns; each takes six here."""

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
    "day.month.year": "{0} GLOB '[0-9]*.[0-9]*.[0-9][0-9][0-9][0-9]*'",
    "slashes": "{0} GLOB '[0-9]*/[0-9]*/[0-9][0-9]*'",
    "compact ISO text": "{0} GLOB '[12][0-9][0-9][0-9][01][0-9][0-3][0-9]T[0-2]*'",
    "mail dates": "{0} GLOB '[A-Z][a-z][a-z], [0-9]* [A-Z][a-z][a-z] [0-9][0-9]*'",
    "numbers as text": "length({0}) BETWEEN 7 AND 20 AND {0} NOT GLOB '*[^0-9.]*'"
    " AND {0} NOT GLOB '*.*.*'",
}
"""Unit: the condition on a text; the first that holds is its unit."""


def read_moments(database: SqliteQuestions, table: Table, column: str) -> Moments:
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
    strange = f"typeof({name}) IN ('integer', 'real') AND {name} NOT IN (0, -1)"
    units = [*NUMBERS, *TEXTS]
    moments, progress = Moments(), Progress()
    expressions = [f"sum(unit = '{unit}')" for unit in units]
    expressions.append("sum(unit IS NULL AND strange)")
    row = f"{kind} AS unit, {strange} AS strange"
    for values in aggregates(database, table, expressions, progress, row=row):
        moments.strangers += values.pop() or 0
        for unit, count in zip(units, values, strict=True):
            if count:
                moments.counts[unit] = moments.counts.get(unit, 0) + count
    moments.told = progress.told()
    return moments.without_other_numbers()


def guessed_columns(database: SqliteQuestions, table: Table) -> list[Column]:
    """Return the columns whose first values are moments, whatever their names."""
    candidates = [c for c in table.columns if may_be_guessed(table, c)]
    found: list[Column] = []
    for start in range(0, len(candidates), SAMPLE_COLUMNS):
        columns = candidates[start : start + SAMPLE_COLUMNS]
        select = ", ".join(part for c in columns for part in _sampled(c))
        source = f"SELECT * FROM {quoted(table.name)} LIMIT {SAMPLE_ROWS}"
        try:
            (values,) = database.rows(f"SELECT {select} FROM ({source})")
        except OutOfTime:
            break
        width = len(values) // len(columns)
        for position, column in enumerate(columns):
            own = [n or 0 for n in values[position * width : (position + 1) * width]]
            numbers, *in_ranges, texts, iso_texts = own
            if are_moments(numbers, in_ranges, texts) or are_iso_texts(
                texts, iso_texts
            ):
                found.append(column)
    return found


def _sampled(column: Column) -> list[str]:
    name = quoted(column.name)
    number = f"typeof({name}) IN ('integer', 'real')"
    text = f"typeof({name}) = 'text'"
    return [
        f"sum({number})",
        *(
            f"sum({number} AND {name} BETWEEN {low} AND {high})"
            for low, high in GUESSED.values()
        ),
        f"sum({text} AND {name} <> '')",
        f"sum({text} AND {name} GLOB '{_DAY}*')",
    ]
