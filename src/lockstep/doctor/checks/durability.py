"""How much of what was committed survives a power cut, against what is promised."""

from __future__ import annotations

import re
import sqlite3

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.project.context import ProjectContext
from lockstep.doctor.sqlite.context import SqliteContext

_SWITCHED_OFF = re.compile(
    r"\bsynchronous\b\s*[=(:]\s*[\"']?(OFF|0)\b(?!\.)", re.IGNORECASE
)
_NO_JOURNAL = re.compile(
    r"\bjournal_mode\b\s*[=(:]\s*[\"']?(OFF|MEMORY)\b", re.IGNORECASE
)
_LEVELS = ("off", "normal", "full", "extra")


def examine(context: SqliteContext) -> Findings:
    """Compare the project's setting, or the library's default, with full."""
    settings = context.settings
    if settings is not None:
        level = settings.sqlite.synchronous
        source = settings.provenance.get("sqlite.synchronous", "default")
        whose = f"the project's setting sqlite.synchronous is '{level}' ({source})"
    else:
        level = _default(wal=context.opened.uses_wal)
        whose = f"connections of this Python start with synchronous = {level}"
    if level == "off":
        yield CHECK.finding(
            "problem",
            context.name,
            whose,
            why="Nothing is synced: after a power cut or a crash of the system the "
            "file may be damaged as a whole, not only lack the last commits.",
            mend="use full, or normal in WAL mode where the last commits may be lost",
            command="PRAGMA synchronous = FULL",
            evidence={"synchronous": level},
        )
    elif level == "normal" and context.opened.uses_wal:
        yield CHECK.finding(
            "notice",
            context.name,
            whose,
            mend="use full where an answer to a user means 'it is kept'",
            command="PRAGMA synchronous = FULL",
            evidence={"synchronous": level},
        )
    elif level == "normal":
        yield CHECK.finding(
            "warning",
            context.name,
            f"{whose}, and the file is not in WAL mode",
            why="In rollback mode normal may, on some file systems, damage the "
            "database at a power cut.",
            mend="use full, or WAL mode",
            command="PRAGMA synchronous = FULL",
            evidence={"synchronous": level},
        )


def examine_project(context: ProjectContext) -> Findings:
    """Find code that switches syncing off."""
    for place in context.all(_SWITCHED_OFF):
        yield CHECK.finding(
            "warning",
            place,
            "the code switches syncing off (PRAGMA synchronous = OFF)",
            why="After a power cut or a crash of the system the file may be damaged as "
            "a whole, not only lack the last commits.",
            mend="use full, or normal in WAL mode; for a bulk load use one transaction",
        )

    for place in context.all(_NO_JOURNAL):
        yield CHECK.finding(
            "warning",
            place,
            "the code keeps the rollback journal in memory, or keeps none",
            why="A program that is killed in a transaction leaves the file damaged: "
            "what it had overwritten is nowhere.",
            mend="use WAL mode; for a bulk load use one transaction",
            command="PRAGMA journal_mode = WAL",
        )


def _default(*, wal: bool) -> str:
    """Return what a fresh connection of this library uses."""
    if wal:
        # A build may have another default for WAL (-DSQLITE_DEFAULT_WAL_SYNCHRONOUS).
        for option in _options():
            name, _, value = option.partition("=")
            if name == "DEFAULT_WAL_SYNCHRONOUS" and value.isdigit():
                return _LEVELS[int(value)]
    connection = sqlite3.connect(":memory:")
    try:
        level: int = connection.execute("PRAGMA synchronous").fetchone()[0]
    finally:
        connection.close()
    return _LEVELS[level]


def _options() -> list[str]:
    connection = sqlite3.connect(":memory:")
    try:
        rows: list[tuple[str]] = connection.execute("PRAGMA compile_options").fetchall()
    finally:
        connection.close()
    return [name for (name,) in rows]


CHECK = Check(
    name="durability",
    looks_for="synchronous below what a commit promises; a journal that a crash takes.",
    why="With normal in WAL mode the file stays whole, and commits of the last moments "
    "may be gone after a power cut although the program was told that they are kept.",
    sqlite=examine,
    needs_file=True,
    project=examine_project,
)
