"""Bugs of the SQLite version in use that the database can meet.

The table holds what loses data or answers wrongly, from the release notes; see
https://sqlite.org/changes.html and https://sqlite.org/wal.html#walresetbug.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.processes import holders_of
from lockstep.doctor.sqlite.context import SqliteContext

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug, and when it matters.

    Attributes:
        since, fixed_in: Versions; it is in ``since`` and not in ``fixed_in``.
        effect: What it does.
        condition: When.
        applies: Whether this file can meet it.
        source: The page that describes it.
        is_certain: Whether ordinary use meets it; else a rare condition is needed.
    """

    since: Version
    fixed_in: Version
    effect: str
    condition: str
    applies: Callable[[SqliteContext], bool]
    source: str
    is_certain: bool = False


def _always(_: SqliteContext) -> bool:
    return True


def _uses_wal(context: SqliteContext) -> bool:
    return context.opened.uses_wal


def _has_update_triggers(context: SqliteContext) -> bool:
    sql = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND sql LIKE ?"
    return bool(context.value(sql, ("%UPDATE%old.%",)))


BUGS = (
    Bug(
        (3, 7, 0),
        (3, 51, 3),
        "the WAL-reset bug: in a rare race the database is damaged",
        "WAL mode, and two or more connections that write or checkpoint at the same "
        "moment",
        _uses_wal,
        "https://sqlite.org/wal.html#walresetbug",
    ),
    Bug(
        (3, 51, 0),
        (3, 51, 2),
        "wrong answers",
        "queries with EXISTS (the EXISTS-to-JOIN optimisation)",
        _always,
        "https://sqlite.org/releaselog/3_51_2.html",
        is_certain=True,
    ),
    Bug(
        (3, 24, 0),
        (3, 45, 3),
        "old.* in an UPDATE trigger has wrong values",
        "an UPDATE trigger that an UPSERT fires",
        _has_update_triggers,
        "https://sqlite.org/releaselog/3_45_3.html",
    ),
    Bug(
        (3, 38, 0),
        (3, 38, 4),
        "missing rows in answers, or a query that never ends",
        "joins that use the Bloom filter of these versions",
        _always,
        "https://sqlite.org/releaselog/3_38_4.html",
        is_certain=True,
    ),
    Bug(
        (3, 35, 0),
        (3, 37, 2),
        "the database is damaged",
        "a SAVEPOINT rolled back with PRAGMA temp_store = MEMORY",
        _always,
        "https://sqlite.org/releaselog/3_37_2.html",
    ),
    Bug(
        (3, 35, 0),
        (3, 35, 5),
        "the database is damaged",
        "ALTER TABLE … DROP COLUMN",
        _always,
        "https://sqlite.org/releaselog/3_35_5.html",
        is_certain=True,
    ),
)


def examine(context: SqliteContext) -> Findings:
    """Compare this Python's SQLite with the table."""
    version: Version = sqlite3.sqlite_version_info
    yield from found_in(version, context)


def found_in(version: Version, context: SqliteContext) -> Findings:
    """Yield the bugs of ``version`` that the file can meet."""
    for bug in BUGS:
        if not bug.since <= version < bug.fixed_in or not bug.applies(context):
            continue
        fixed = ".".join(map(str, bug.fixed_in))
        used = ".".join(map(str, version))
        # What many up-to-date systems have and few ever meet warns only where its
        # condition is seen.
        is_met = bug.is_certain or (
            bug.applies is _uses_wal and len(holders_of(context.path)) > 1
        )
        yield CHECK.finding(
            "warning" if is_met else "notice",
            f"SQLite {used}",
            f"this Python's SQLite has a bug that {fixed} mends: {bug.effect}",
            why=f"It happens with: {bug.condition}. See {bug.source}",
            mend=f"use a SQLite of {fixed} or newer; some distributions mend the bug "
            "without changing the number, so ask yours. One process that writes "
            "through one connection avoids the WAL-reset bug"
            if bug.applies is _uses_wal
            else f"use a SQLite of {fixed} or newer",
            evidence={"version": used, "fixed_in": fixed, "source": bug.source},
        )


CHECK = Check(
    name="sqlite-bugs",
    looks_for="A SQLite version with a known bug that loses data or answers wrongly, "
    "where the file meets its condition.",
    why="The library is part of the program, and often years older than the server's.",
    sqlite=examine,
    needs_file=True,
)
