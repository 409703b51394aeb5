"""Foreign keys that are declared, and enforced by nobody in particular."""

from __future__ import annotations

import re
import sqlite3

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted
from lockstep.doctor.project.context import ProjectContext
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.doctor.trace.context import TraceContext

_CONNECTS = re.compile(
    r"\b(sqlite3|aiosqlite)\.connect\(|create_(async_)?engine\([^)]*sqlite"
    r"|(?:URI|URL|url)[\"']?\]?\s*[=:]\s*f?[\"']sqlite(\+\w+)?:///"
    r"|\bSqliteDatabase\("
)
_LOCKSTEP = re.compile(r"^\s*(?:import|from)\s+lockstep\b")
_PRAGMA = re.compile(r"foreign_keys\b", re.IGNORECASE)
_DECLARES = re.compile(
    r"\bForeignKey(Constraint|Field)?\(|\bforeign_key\s*="
    r"|\bREFERENCES\s+[\w\"`\[]+\s*(\(|,|$)|\bFOREIGN KEY\b"
)


def examine(context: SqliteContext) -> Findings:
    """Say that each connection must switch foreign keys on."""
    count = sum(len(table.foreign_keys) for table in context.tables)
    if not count or _library_enforces() or context.settings is not None:
        # A project's connections go through lockstep, which switches them on.
        return
    yield CHECK.finding(
        "notice",
        context.name,
        f"{counted(count, 'foreign key is', 'foreign keys are')} declared; this "
        f"Python's SQLite leaves them off unless a connection switches them on",
        mend="switch them on in the hook that every new connection goes through, not "
        "once at the start: a pool opens connections later. Whether somebody forgot "
        "shows in the check 'orphans', and in a trace of the running program",
        command="PRAGMA foreign_keys = ON",
        evidence={"foreign_keys": count, "default": 0},
    )


def examine_project(context: ProjectContext) -> Findings:
    """Find code that opens SQLite and never switches foreign keys on."""
    connects = context.first(_CONNECTS, ".py")
    if connects is None or context.first(_LOCKSTEP, ".py"):
        return
    pragma = context.all(_PRAGMA, ".py", ".sql")
    declares = context.first(_DECLARES, ".py", ".sql")
    if pragma or declares is None:
        return
    yield CHECK.finding(
        "warning",
        connects,
        f"SQLite is opened here, foreign keys are declared ({declares}), and no code "
        "switches them on",
        mend="switch them on in the hook that every new connection goes through "
        "(SQLAlchemy: the 'connect' event)",
        command="PRAGMA foreign_keys = ON",
        evidence={"connects": connects, "declares": declares},
    )


def examine_trace(context: TraceContext) -> Findings:
    """Find connections that wrote without foreign keys to a file that has some."""
    for event in context.events("foreign-keys-off"):
        if not context.declares_foreign_keys(event["database"]):
            continue
        yield CHECK.finding(
            "warning",
            event["place"] or event["database"],
            f"{counted(event['count'], 'connection')} wrote with foreign keys off",
            mend="switch them on in the hook that every new connection goes through",
            command="PRAGMA foreign_keys = ON",
            evidence={"database": event["database"], "count": event["count"]},
        )


def _library_enforces() -> bool:
    connection = sqlite3.connect(":memory:")
    try:
        return bool(connection.execute("PRAGMA foreign_keys").fetchone()[0])
    finally:
        connection.close()


CHECK = Check(
    name="foreign-keys-off",
    looks_for="Foreign keys that SQLite enforces only on connections that ask for it.",
    why="The pragma belongs to the connection and is off by default: a pool of three "
    "on which it was set once enforces on one and lets orphans in on two.",
    sqlite=examine,
    needs_file=True,
    project=examine_project,
    trace=examine_trace,
)
