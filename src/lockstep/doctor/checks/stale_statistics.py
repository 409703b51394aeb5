"""A planner that has to guess."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings, Repair
from lockstep.doctor.findings import Finding
from lockstep.doctor.sqlite.context import SqliteContext

ROWS_THAT_MATTER = 10_000


def examine(context: SqliteContext) -> Findings:
    """Find a database of some size that was never analysed."""
    analysed = context.value(
        "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'"
    )
    if analysed:
        return
    for table in context.tables:
        choices = [index for index in table.indexes if index.declared]
        if len(choices) > 1 and context.row_count(table) >= ROWS_THAT_MATTER:
            yield CHECK.finding(
                "notice",
                context.name,
                f"the database was never analysed; {table.name} has "
                f"{len(choices)} indexes to choose from",
                mend="run ANALYZE once, and PRAGMA optimize before a connection closes",
                command="ANALYZE",
                fixable=True,
            )
            return


def repair(finding: Finding) -> Repair:
    """Analyse the database."""
    return Repair(
        finding,
        "write the statistics of the indexes into sqlite_stat1",
        ("PRAGMA analysis_limit = 1000", "ANALYZE"),
        in_transaction=False,
    )


CHECK = Check(
    name="stale-statistics",
    looks_for="A database with large tables and several indexes, never analysed.",
    why="Without statistics SQLite guesses which index is best, sometimes wrongly by a "
    "factor of thousands.",
    sqlite=examine,
    needs_file=True,
    repair=repair,
)
