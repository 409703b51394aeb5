"""How many ? one statement may have."""

from __future__ import annotations

import re
import sqlite3

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import EXAMPLES_MAX, Finding
from lockstep.doctor.project.context import ProjectContext
from lockstep.doctor.sqlite.context import SqliteContext

_ONE_EACH = re.compile(
    r"""["'],\s*["']\.join\(\s*\(?\[?\s*["'](\?|%s)["']\s*(\]?\)?\s*\*|for\b)"""
    r"""|["'],\s*["']\.join\(\s*["']\?["']\s*\*|["']\s*(\?|%s)\s*,\s*["']\s*\*"""
)
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


def examine_project(context: ProjectContext) -> Findings:
    """Find code that writes one placeholder per value."""
    for place in context.all(_ONE_EACH, ".py")[:EXAMPLES_MAX]:
        yield CHECK.finding(
            "notice",
            place,
            "the code writes one placeholder for each value of a list",
            mend="write in chunks that the connection allows (getlimit), inside one "
            "transaction; or pass one JSON array",
            command="SELECT … WHERE id IN (SELECT value FROM json_each(?))",
        )


CHECK = Check(
    name="bind-limit",
    looks_for="A library that allows few parameters, and code that writes one ? per "
    "value of a list.",
    why="The limit is the connection's: 250,000 in Debian's build, 32,766 upstream, "
    "999 in old ones, 65,535 on PostgreSQL. A long list works here and fails "
    "elsewhere.",
    sqlite=examine,
    needs_file=True,
    project=examine_project,
)
