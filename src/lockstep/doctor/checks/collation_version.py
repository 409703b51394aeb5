"""Indexes sorted by rules that have changed since."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.postgresql.context import PostgresqlContext


def examine(context: PostgresqlContext) -> Findings:
    """Compare the recorded version of the collation with the system's."""
    if context.version < 150000:
        return
    recorded, actual = context.rows(
        "SELECT datcollversion, pg_database_collation_actual_version(oid)"
        " FROM pg_database WHERE datname = current_database()"
    )[0]
    if recorded is None or actual is None or recorded == actual:
        return
    name = context.name(context.database_name)
    yield CHECK.finding(
        "problem",
        context.database_name,
        f"the collation was version {recorded} when the indexes were built, and is "
        f"{actual} now",
        mend="rebuild the indexes over text, then record the new version",
        command=f"REINDEX DATABASE {name}; ALTER DATABASE {name} REFRESH COLLATION "
        "VERSION",
        evidence={"recorded": recorded, "actual": actual},
    )


CHECK = Check(
    name="collation-version",
    looks_for="A database whose collation changed with the operating system.",
    why="Indexes over text are sorted by the old rules and searched by the new ones: "
    "rows are not found, and a unique index lets duplicates in.",
    postgresql=examine,
)
