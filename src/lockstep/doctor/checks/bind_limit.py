"""How many ? one statement may have."""

from __future__ import annotations

import sqlite3

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Finding
from lockstep.doctor.sqlite.context import SqliteContext

UPSTREAM_MAX = 32_766
"""SQLite's own default since 3.32; Debian builds with 250,000, old ones with 999."""


def examine(context: SqliteContext) -> Findings:
    """Ask the connection for its limit."""
    limit = context.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    if limit < UPSTREAM_MAX:
        yield found_with(limit)


def found_with(limit: int) -> Finding:
    """Return the finding for a connection that allows ``limit`` parameters."""
    return CHECK.finding(
        "warning",
        f"SQLite {sqlite3.sqlite_version}",
        f"a statement may have {limit:,} parameters; SQLite's own default is "
        f"{UPSTREAM_MAX:,}",
        mend="ask the connection for its limit and write in chunks inside one "
        "transaction, or pass one JSON array",
        command="SELECT … WHERE id IN (SELECT value FROM json_each(?))",
        evidence={"limit": limit},
    )


CHECK = Check(
    name="bind-limit",
    looks_for="A library that allows few parameters, and code that writes one ? per "
    "value of a list.",
    why="The limit is the connection's: 250,000 in Debian's build, 32,766 upstream, "
    "999 "
    "in old ones, 65,535 on PostgreSQL. A long list works here and fails elsewhere.",
    sqlite=examine,
)
