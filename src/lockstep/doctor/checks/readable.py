"""Is it a database at all, whole, and read as it is now?"""

from __future__ import annotations

import os
import shlex
import sqlite3
from urllib.parse import quote

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import EXAMPLES_MAX, Finding, counted
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.doctor.sqlite.leftover import LeftWal
from lockstep.mover.sqlite.checking import is_about_values


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
            why="Without a -shm file SQLite cannot read a WAL: what was committed last "
            "is not seen.",
            mend="copy the file and its -wal to a folder that can be written to, and "
            "look there",
            evidence={"wal_bytes": wal},
        )
    if opened.left is not None and opened.left.fault:
        yield _foreign(context, opened.left, opened.left.fault)
    elif opened.left is not None and not opened.left.frames:
        yield CHECK.finding(
            "warning",
            context.name,
            f"a -wal file of {opened.beside.wal_bytes or 0:,} bytes lies beside it, "
            "and no whole transaction is in it",
            why="SQLite passes over it. If it held the last commits, they are lost.",
            mend="keep it until you know where it comes from; a backup of the database "
            "and its -wal made together may have what is missing",
            evidence={"wal_bytes": opened.beside.wal_bytes},
        )
    elif opened.how == "copy":
        yield CHECK.finding(
            "notice",
            context.name,
            f"a -wal file of {opened.beside.wal_bytes or 0:,} bytes lies beside it, "
            "left by a program that died; a private copy of both was looked at",
            why="The committed rows in the -wal belong to the database; whoever copies "
            "or moves one file without the other loses them.",
            mend="open it once with its program (or sqlite3): the rows move into the "
            "file; never delete the -wal",
            evidence={"wal_bytes": opened.beside.wal_bytes},
        )
    if opened.unparsable:
        yield _unparsable(context)
    yield from _quick_check(context)


def _unparsable(context: SqliteContext) -> Finding:
    names = [f"{kind} {name}" for kind, name in context.opened.unparsable]
    return CHECK.finding(
        "problem",
        context.name,
        f"SQLite {sqlite3.sqlite_version} cannot parse the statement of "
        f"{counted(len(names), 'object')}: {', '.join(names[:EXAMPLES_MAX])}",
        why="A newer SQLite, or a program with a syntax of its own, wrote them. Every "
        "other program with this SQLite is told that the whole file is malformed; "
        "here all else was looked at.",
        mend="use a SQLite that knows the syntax, or drop them with the program that "
        "made them; lockstep move and inspect read the rest",
        evidence={
            "objects": names[:EXAMPLES_MAX],
            "said": next(iter(context.opened.unparsable.values())),
        },
    )


def _foreign(context: SqliteContext, left: LeftWal, fault: str) -> Finding:
    return CHECK.finding(
        "problem",
        context.name,
        "the -wal file beside it seems to be of another file, or of another time: "
        + fault,
        why="Whoever opens the database writes these pages over its own: it is "
        "damaged, or thrown back, without an error. What this report says of its "
        "content is as it would be then.",
        mend="open it with nothing; put the -wal aside (keep it), and look again",
        command=f"mv {shlex.quote(context.name + '-wal')} "
        f"{shlex.quote(context.name + '-wal.aside')}",
        evidence={
            "wal_bytes": context.opened.beside.wal_bytes,
            "frames": left.frames,
            "change_counter": left.counter,
        },
    )


def _quick_check(context: SqliteContext) -> Findings:
    try:
        with context.timed():
            rows = context.connection.execute("PRAGMA quick_check(100)").fetchall()
        lines = [row[0] for row in rows if row[0] != "ok"]
        if context.opened.unparsable:
            lines = [line for line in lines if "never used" not in line]
        if context.opened.lent:
            lines = [line for line in lines if "order" not in line]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        lines = [str(error)]
    # quick_check also counts NOT NULL, CHECK and type violations: real, and no
    # damage of the file.
    broken = [line for line in lines if not is_about_values(line)]
    values = len(lines) - len(broken)
    left = context.opened.left
    if broken and left is not None and _is_sound_alone(context):
        if not left.fault:  # else it is told already
            fault = "with its pages the file is damaged, and without them it is sound"
            yield _foreign(context, left, fault)
    elif broken:
        yield CHECK.finding(
            "problem",
            context.name,
            f"the file is damaged: SQLite's quick_check reports "
            f"{counted(len(broken), 'fault')}" + ("+" if len(lines) == 100 else ""),
            why="Pages contradict each other; queries fail, or answer wrongly without "
            "an error.",
            mend="stop writing to it, keep a copy of all its files, restore a backup; "
            "or save what is left",
            command=f"sqlite3 {shlex.quote(context.name)} .recover"
            " | sqlite3 recovered.db",
            evidence={"faults": broken[:EXAMPLES_MAX]},
        )
    if values:
        yield CHECK.finding(
            "warning",
            context.name,
            f"{counted(values, 'value')} break a NOT NULL, a CHECK or a STRICT type "
            "that the table declares",
            why="They were written before the constraint, or with checks switched off; "
            "the next UPDATE of such a row fails.",
            mend="correct the rows that PRAGMA quick_check names",
            command="PRAGMA quick_check",
            evidence={"count": values},
        )


def _is_sound_alone(context: SqliteContext) -> bool:
    """Return whether the file is whole without the -wal that nobody has open."""
    name = quote(os.fsencode(context.path.absolute()))
    connection = sqlite3.connect(f"file:{name}?immutable=1", uri=True)
    try:
        rows = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.Error:
        return False
    finally:
        connection.close()
    return all(line == "ok" or is_about_values(line) for (line,) in rows)


CHECK = Check(
    name="readable",
    looks_for="A file that is no database, is damaged, encrypted, empty, held by "
    "another process, cannot be read with its WAL, has the WAL of another file beside "
    "it, or statements that this SQLite cannot parse.",
    why="What cannot be read cannot be trusted, and no other check can look at it.",
    sqlite=examine,
)
