"""WAL, the journal mode of a SQLite file: chosen by who writes, not by who looks.

Owns the only thing that this library changes in a file beside what it is told to write.
The mode lasts in the file, so a connection that reads leaves it alone. A connection
that is about to write, and has its turn among the writers, switches the file:

    turn ──► WAL already, or cannot be ──► BEGIN IMMEDIATE   never asked again
         └─► somebody reads or writes  ──► BEGIN IMMEDIATE   the next write asks again

Invariant: the switch itself fails no write. It needs the file alone, which a write
in the old mode needs too, when it commits; so whoever stands in its way is waited for
there, with the deadline that a write has.

See https://sqlite.org/wal.html
"""

from __future__ import annotations

import sqlite3

SWITCH_WAIT_S_MAX = 0.1
"""Enough for who opens the file or reads a few rows just now."""

_NEVER = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
"""The file or its folder cannot be written to: it keeps the mode it has."""


def use_wal(raw: sqlite3.Connection, busy_timeout_s: float) -> bool:
    """Switch the file to WAL, if nobody is in the way; say whether that is settled.

    Args:
        raw: In no transaction.
        busy_timeout_s: The connection's own; it has it again afterwards.
    """
    set_busy_timeout(raw, min(busy_timeout_s, SWITCH_WAIT_S_MAX))
    try:
        # Read first: a file that is in WAL mode needs no lock to stay in it.
        if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            raw.execute("PRAGMA journal_mode = WAL").fetchall()
    except sqlite3.OperationalError as error:
        code = error.sqlite_errorcode & 0xFF
        if code == sqlite3.SQLITE_BUSY:
            return False
        if code not in _NEVER:
            raise
    finally:
        set_busy_timeout(raw, busy_timeout_s)
    return True


def set_busy_timeout(raw: sqlite3.Connection, seconds: float) -> None:
    """Let SQLite wait so long for a lock that another connection has."""
    raw.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}").fetchall()
