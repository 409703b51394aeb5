"""Documents that are no JSON."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted
from lockstep.doctor.sqlite.bites import Progress, aggregates
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.schema.names import quote_identifier as quoted


def examine(context: SqliteContext) -> Findings:
    """Parse every text of the columns that are declared JSON."""
    for table in context.tables:
        columns = [column for column in table.columns if column.family == "json"]
        if not columns:
            continue
        progress = Progress()
        counts = [0] * len(columns)
        conditions = [_condition(column.name) for column in columns]
        expressions = [f"sum({condition})" for condition in conditions]
        for values in aggregates(context, table, expressions, progress):
            counts = [a + (b or 0) for a, b in zip(counts, values, strict=True)]
        for column, condition, count in zip(columns, conditions, counts, strict=True):
            if count:
                yield CHECK.finding(
                    "warning",
                    f"{table.name}.{column.name}",
                    f"{counted(count, 'text is', 'texts are')} no valid JSON"
                    f"{progress.told()}",
                    mend="correct the documents and add CHECK (json_valid(…))",
                    command=f"SELECT rowid FROM {quoted(table.name)} WHERE {condition}",
                    evidence={
                        "count": count,
                        "rowids": context.examples(table, condition),
                    },
                )


def _condition(column: str) -> str:
    name = quoted(column)
    return f"typeof({name}) = 'text' AND NOT json_valid({name})"


CHECK = Check(
    name="invalid-json",
    looks_for="Texts in JSON columns that are no JSON.",
    why="SQLite's JSON functions raise 'malformed JSON' and end the whole query at "
    "such a "
    "row; PostgreSQL's jsonb refuses it.",
    sqlite=examine,
)
