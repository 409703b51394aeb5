"""Texts longer than their column says."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.schema.names import quote_identifier as quoted


def examine(context: SqliteContext) -> Findings:
    """Compare the longest text with the n of ``varchar(n)``."""
    for table in context.tables:
        census = context.census(table)
        for column in table.columns:
            counts = census.columns.get(column.name)
            limit = column.length_max
            if counts is None or limit is None or counts.longest <= limit:
                continue
            condition = f"length({quoted(column.name)}) > {limit}"
            yield CHECK.finding(
                "warning",
                f"{table.name}.{column.name}",
                f"declared {column.declared}, the longest text has "
                f"{counts.longest:,} characters{census.told()}",
                mend="declare the length that is meant, with a CHECK that enforces it; "
                "or TEXT",
                command=table.rows_where(condition),
                evidence={
                    "declared": limit,
                    "longest": counts.longest,
                    "rowids": context.examples(table, condition),
                },
            )


CHECK = Check(
    name="too-long-text",
    looks_for="Texts longer than the n of their varchar(n).",
    why="SQLite ignores the n. Other databases enforce it: the rows are refused when "
    "they are moved, in the middle of the night of the move.",
    sqlite=examine,
)
