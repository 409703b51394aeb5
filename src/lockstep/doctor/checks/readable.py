"""Is it a database at all, whole, and read as it is now?"""

from __future__ import annotations

import sqlite3

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import EXAMPLES_MAX, counted
from lockstep.doctor.sqlite.context import SqliteContext


def examine(context: SqliteContext) -> Findings:
    """Run SQLite's own quick check, and say how the file had to be opened."""
    opened = context.opened
    if opened.how == "immutable":
        wal = opened.beside.wal_bytes or 0
        yield CHECK.finding(
            "warning" if wal else "notice",
            context.name,
            "the file is in WAL mode and its folder cannot be written to, so it was "
            "read without locks" + (" and WITHOUT its -wal file" if wal else ""),
            why="Without a -shm file SQLite cannot read a WAL: what was committed "
            "last is not seen.",
            mend="copy the file and its -wal to a folder that can be written to, and "
            "look there",
            evidence={"wal_bytes": wal},
        )
    if opened.how == "copy":
        yield CHECK.finding(
            "notice",
            context.name,
            f"a -wal file of {opened.beside.wal_bytes or 0:,} bytes lies beside it, "
            "left by a program that died; a private copy of both was looked at",
            why="The committed rows in the -wal belong to the database; whoever "
            "copies or moves one file without the other loses them.",
            mend="open it once with its program (or sqlite3): the rows move into the "
            "file; never delete the -wal",
            evidence={"wal_bytes": opened.beside.wal_bytes},
        )
    yield from _quick_check(context)


def _quick_check(context: SqliteContext) -> Findings:
    try:
        with context.timed():
            rows = context.connection.execute("PRAGMA quick_check(100)").fetchall()
        lines = [row[0] for row in rows if row[0] != "ok"]
        if context.opened.lent:
            lines = [line for line in lines if "order" not in line]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        lines = [str(error)]
    # quick_check also counts NOT NULL, CHECK and type violations: real, and no
    # damage of the file.
    broken = [line for line in lines if not _is_about_values(line)]
    values = len(lines) - len(broken)
    if broken:
        yield CHECK.finding(
            "problem",
            context.name,
            f"the file is damaged: SQLite's quick_check reports "
            f"{counted(len(broken), 'fault')}" + ("+" if len(lines) == 100 else ""),
            why="Pages contradict each other; queries fail, or answer wrongly without "
            "an error.",
            mend="stop writing to it, keep a copy of all its files, restore a backup; "
            "or save what is left",
            command=f"sqlite3 {context.name} .recover | sqlite3 recovered.db",
            evidence={"faults": broken[:EXAMPLES_MAX]},
        )
    if values:
        yield CHECK.finding(
            "warning",
            context.name,
            f"{counted(values, 'value')} break a NOT NULL, a CHECK or a STRICT type "
            "that the table declares",
            why="They were written before the constraint, or with checks switched "
            "off; the next UPDATE of such a row fails.",
            mend="correct the rows that PRAGMA quick_check names",
            command="PRAGMA quick_check",
            evidence={"count": values},
        )


def _is_about_values(line: str) -> bool:
    starts = ("NULL value in", "CHECK constraint failed", "non-", "TEXT value in")
    return line.startswith((*starts, "NUMERIC value in"))


CHECK = Check(
    name="readable",
    looks_for="A file that is no database, is damaged, encrypted, empty, held by "
    "another process, or cannot be read with its WAL.",
    why="What cannot be read cannot be trusted, and no other check can look at it.",
    sqlite=examine,
)
