"""Documents that are no JSON."""

from __future__ import annotations

from lockstep.doctor.catalog import Column
from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted
from lockstep.doctor.names import words
from lockstep.doctor.sqlite.bites import Progress, aggregates
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.schema.names import quote_identifier as quoted


def examine(context: SqliteContext) -> Findings:
    """Parse every text of the columns that are declared JSON."""
    for table in context.tables:
        columns = [column for column in table.columns if _is_meant(column)]
        if not columns:
            continue
        progress = Progress()
        counts = [0] * (2 * len(columns))
        conditions = [_condition(column.name) for column in columns]
        expressions = [
            f"sum({condition})"
            for column, bad in zip(columns, conditions, strict=True)
            for condition in (f"typeof({quoted(column.name)}) = 'text'", bad)
        ]
        for values in aggregates(context, table, expressions, progress):
            counts = [a + (b or 0) for a, b in zip(counts, values, strict=True)]
        texts, bad = counts[::2], counts[1::2]
        for column, condition, total, count in zip(
            columns, conditions, texts, bad, strict=True
        ):
            # A name alone is no promise: most of the texts must keep it.
            if count and (column.family == "json" or count < total / 2):
                yield CHECK.finding(
                    "warning",
                    f"{table.name}.{column.name}",
                    f"{counted(count, 'text is', 'texts are')} no valid JSON"
                    f"{progress.told()}",
                    mend="correct the documents and add CHECK (json_valid(…))",
                    command=table.rows_where(condition),
                    evidence={
                        "count": count,
                        "rowids": context.examples(table, condition),
                    },
                )


def _is_meant(column: Column) -> bool:
    named = column.family == "text" and "json" in words(column.name)
    return column.family == "json" or named


def _condition(column: str) -> str:
    name = quoted(column)
    return f"typeof({name}) = 'text' AND NOT json_valid({name})"


CHECK = Check(
    name="invalid-json",
    looks_for="Texts in JSON columns, by type or by name, that are no JSON.",
    why="SQLite's JSON functions raise 'malformed JSON' and end the whole query at "
    "such a row; PostgreSQL's jsonb refuses it.",
    sqlite=examine,
)
