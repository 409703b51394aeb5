"""Moments without a time zone."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import EXAMPLES_MAX, counted, some
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.moments.spellings import NAIVE_SPELLINGS


def examine(context: SqliteContext) -> Findings:
    """List the columns whose ISO texts have no offset."""
    found: list[str] = []
    for table in context.tables:
        for column in context.moment_columns(table):
            counts = context.moments(table, column.name).counts
            if any(counts.get(unit) for unit in NAIVE_SPELLINGS):
                found.append(f"{table.name}.{column.name}")
    if found:
        yield CHECK.finding(
            "notice",
            context.name,
            f"{counted(len(found), 'column holds', 'columns hold')} moments as text "
            f"without an offset: {some(found)}",
            mend="find out which zone wrote them (CURRENT_TIMESTAMP is UTC, "
            "datetime.now() is the machine's), and write UTC with an offset from now "
            "on",
            evidence={"columns": found},
        )


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Find ``timestamp without time zone`` columns."""
    naive: list[str] = []
    commands: list[str] = []
    aware = 0
    for table in context.tables:
        for column in table.columns:
            if not column.declared.startswith("timestamp"):
                continue
            if column.declared.endswith("without time zone"):
                naive.append(f"{table.name}.{column.name}")
                name = context.name(column.name)
                commands.append(
                    f"ALTER TABLE {table.quoted} ALTER COLUMN {name} TYPE timestamptz "
                    f"USING {name} AT TIME ZONE 'UTC'"
                )
            else:
                aware += 1
    if naive:
        # A schema that is naive throughout follows a convention (Rails: UTC).
        yield CHECK.finding(
            "warning" if aware else "notice",
            context.database_name,
            f"{counted(len(naive), 'column is', 'columns are')} timestamp without time "
            f"zone{f', {aware} with' if aware else ''}: {some(naive)}",
            mend="make them timestamptz, saying which zone the old values are in (here "
            "UTC)",
            command="; ".join(commands[:EXAMPLES_MAX]),
            evidence={"columns": naive, "aware": aware},
        )


CHECK = Check(
    name="naive-timestamps",
    looks_for="timestamp without time zone, and ISO texts without an offset.",
    why="The same text means another moment in another place and in summer: now() is "
    "stored in the zone of whichever session wrote it.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
