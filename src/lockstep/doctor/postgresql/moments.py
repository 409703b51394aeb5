"""Ask PostgreSQL in which units the moments of a column are written.

Owns which columns are asked: those that are dates or timestamps by type have one unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockstep.doctor.moments import (
    SAMPLE_ROWS,
    are_iso_texts,
    are_moments,
    may_be_guessed,
)
from lockstep.moments.found import MomentsFound
from lockstep.moments.spellings import postgresql_begins_as_date, postgresql_spelling
from lockstep.moments.units import GUESSED, unit_sql

if TYPE_CHECKING:
    from lockstep.doctor.catalog import Column, Table
    from lockstep.doctor.postgresql.questions import PostgresqlQuestions

COUNTED = ("integer", "real", "decimal", "text")
"""Families that need a look at the values; dates and timestamps have one unit."""
_OTHER = "no unit"


def read_moments(
    database: PostgresqlQuestions, table: Table, column: Column
) -> MomentsFound:
    """Count the units in which ``column``, a number or a text, is written."""
    name = database.name(column.name)
    if column.family == "text":
        kind = postgresql_spelling(name)
    else:
        other = f"CASE WHEN {name} NOT IN (0, -1) THEN '{_OTHER}' END"
        kind = f"coalesce({unit_sql(name)}, {other})"
    rows_max = database.limits.rows_max
    found = database.rows(
        f"SELECT unit, count(*) FROM (SELECT {kind} AS unit FROM"
        f" (SELECT {name} FROM {table.quoted} LIMIT {rows_max}) AS s) AS u"
        " WHERE unit IS NOT NULL GROUP BY 1 ORDER BY 2 DESC"
    )
    counts = dict(found)
    others = counts.pop(_OTHER, 0)
    return MomentsFound(counts, others, database.told(table)).without_other_numbers()


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
            f"count(*) FILTER (WHERE {postgresql_begins_as_date(name)})",
        ]
    return [
        f"count({name})",
        *(
            f"count(*) FILTER (WHERE {name} BETWEEN {low} AND {high})"
            for low, high in GUESSED
        ),
    ]
