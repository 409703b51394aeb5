"""Indexes that a failed CONCURRENTLY left behind."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.postgresql.context import PostgresqlContext


def examine(context: PostgresqlContext) -> Findings:
    """List the indexes that queries may not use."""
    for table in context.tables:
        for index in table.indexes:
            if index.valid:
                continue
            unique = " and enforces nothing for older rows" if index.unique else ""
            yield CHECK.finding(
                "warning",
                f"{table.name}: {index.name}",
                f"the index is invalid: no query uses it{unique}",
                mend="build it anew; if one is being built right now, wait",
                command=f"REINDEX INDEX CONCURRENTLY {table.beside(index.name)}",
                evidence={"unique": index.unique},
            )


CHECK = Check(
    name="invalid-indexes",
    looks_for="Indexes that PostgreSQL marks as invalid.",
    why="CREATE INDEX CONCURRENTLY that fails leaves the index there: it costs on "
    "every write, no query uses it, and IF NOT EXISTS takes it for done.",
    postgresql=examine,
)
