"""Ask SQLite in which units the moments of a column are written.

Owns how much of a table is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockstep.doctor.limits import OutOfTime
from lockstep.doctor.moments import (
    SAMPLE_ROWS,
    are_iso_texts,
    are_moments,
    may_be_guessed,
)
from lockstep.doctor.sqlite.bites import Progress, aggregates
from lockstep.moments.found import SQLITE_COUNTS, MomentsFound, sqlite_kind
from lockstep.moments.spellings import sqlite_begins_as_date
from lockstep.moments.units import GUESSED
from lockstep.schema.names import quote_identifier as quoted

if TYPE_CHECKING:
    from lockstep.doctor.catalog import Column, Table
    from lockstep.doctor.sqlite.questions import SqliteQuestions

SAMPLE_COLUMNS = 200
"""SQLite's answer has at most 2,000 columns; each takes seven here."""


def read_moments(database: SqliteQuestions, table: Table, column: str) -> MomentsFound:
    """Count the units in which ``column`` is written."""
    moments, progress = MomentsFound(), Progress()
    row = sqlite_kind(quoted(column))
    for values in aggregates(database, table, [*SQLITE_COUNTS], progress, row=row):
        moments.add(values)
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
            for low, high in GUESSED
        ),
        f"sum({text} AND {name} <> '')",
        f"sum({text} AND {sqlite_begins_as_date(name)})",
    ]
