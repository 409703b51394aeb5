"""'nan', 'NULL' and 'undefined' where NULL was meant."""

from __future__ import annotations

from lockstep.doctor.catalog import Column, Table
from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Finding, counted
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.bites import Progress, aggregates
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.schema.names import quote_identifier as quoted

CERTAIN = ("nan", "NaN", "NaT", "<NA>", "[object Object]", "\\N")
"""Nobody but a program writes these."""
POSSIBLE = ("NULL", "null", "undefined", "None")
"""These may be names or words of their own."""


def examine(context: SqliteContext) -> Findings:
    """Count texts that programs write for a value they do not have."""
    for table in context.tables:
        columns = [c for c in table.columns if c.family in ("text", "other")]
        progress = Progress()
        counts = [[0, 0] for _ in columns]
        expressions = [
            f"sum({_condition(column, marks)})"
            for column in columns
            for marks in (CERTAIN, POSSIBLE)
        ]
        if not expressions:
            continue
        for values in aggregates(context, table, expressions, progress):
            for position, count in enumerate(counts):
                count[0] += values[2 * position] or 0
                count[1] += values[2 * position + 1] or 0
        for column, (certain, possible) in zip(columns, counts, strict=True):
            if certain + possible:
                rowids = context.examples(table, _condition(column))
                yield _finding(
                    table,
                    column,
                    certain,
                    possible,
                    told=progress.told(),
                    command=f"SELECT {table.row_key} FROM {quoted(table.name)}"
                    f" WHERE {_condition(column)}",
                    rowids=rowids,
                )


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Count the same texts in text and varchar columns."""
    for table in context.readable_tables:
        columns = [column for column in table.columns if column.family == "text"]
        conditions = [
            _condition(column, marks)
            for column in columns
            for marks in (CERTAIN, POSSIBLE)
        ]
        if not conditions:
            continue
        counts = iter(context.counts(table, conditions))
        for column, certain, possible in zip(columns, counts, counts, strict=True):
            if certain + possible:
                yield _finding(
                    table,
                    column,
                    certain,
                    possible,
                    told=context.told(table),
                    command=f"SELECT * FROM {table.quoted} WHERE {_condition(column)}",
                )


def _finding(
    table: Table,
    column: Column,
    certain: int,
    possible: int,
    *,
    told: str,
    command: str,
    **evidence: object,
) -> Finding:
    total = certain + possible
    return CHECK.finding(
        "warning" if certain > 1 else "notice",
        f"{table.name}.{column.name}",
        f"{counted(total, 'text stands', 'texts stand')} for a missing value (nan, "
        f"NULL, undefined, …){told}",
        mend="write NULL instead, and correct the import that wrote it",
        command=command,
        evidence={"certain": certain, "possible": possible, **evidence},
    )


def _condition(column: Column, marks: tuple[str, ...] = CERTAIN + POSSIBLE) -> str:
    # Both engines read a backslash in a literal as it stands.
    listed = ", ".join("'" + mark + "'" for mark in marks)
    return f"{quoted(column.name)} IN ({listed})"


CHECK = Check(
    name="missing-as-text",
    looks_for="The texts nan, NaN, NULL, null, None, undefined and \\N in text "
    "columns.",
    why="An import turned a missing value into a word: IS NULL does not find it, "
    "counts and searches do, and people read it.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
