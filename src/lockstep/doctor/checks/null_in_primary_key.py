"""NULL where every row should have its key."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.schema.names import quote_identifier as quoted

_DRIZZLE = "__drizzle_migrations"
"""Declared SERIAL PRIMARY KEY by Drizzle, which on SQLite numbers nothing."""


def examine(context: SqliteContext) -> Findings:
    """Count NULLs in the key columns of tables where SQLite lets them in."""
    for table in context.tables:
        if not table.has_rowid or table.strict or not table.primary_key:
            continue
        if table.name == _DRIZZLE:
            continue
        for name in table.primary_key:
            column = table.column(name)
            if column is None or not column.nullable:
                continue
            if len(table.primary_key) == 1 and column.declared.upper() == "INTEGER":
                continue  # the rowid itself
            condition = f"{quoted(name)} IS NULL"
            count = context.value(
                f"SELECT count(*) FROM (SELECT 1 FROM {quoted(table.name)} WHERE"
                f" {condition} LIMIT {context.limits.rows_max})"
            )
            if count:
                yield CHECK.finding(
                    "problem",
                    f"{table.name}.{name}",
                    f"{counted(count, 'row has', 'rows have')} NULL in the primary key",
                    mend="give these rows keys, and rebuild the table with NOT NULL",
                    command=table.rows_where(condition),
                    evidence={
                        "count": count,
                        "rowids": context.examples(table, condition),
                    },
                )


CHECK = Check(
    name="null-in-primary-key",
    looks_for="NULL in the primary key of a table.",
    why="SQLite allows it for historical reasons unless the column is NOT NULL or the "
    "table STRICT or WITHOUT ROWID; such a row cannot be referred to, several of them "
    "are no duplicates, and every other database refuses them.",
    sqlite=examine,
)
