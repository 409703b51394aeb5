"""A connection that goes back into SQLite's pool brings nothing of its user along.

Owns what happens to a cursor that somebody keeps half read after the session, or the
unit of work, that it belongs to. Such a statement runs on through commit and rollback,
and with it the snapshot: whoever got the connection next would read the past, and, as
soon as another process has written, could not begin to write (SQLITE_BUSY_SNAPSHOT),
however long it waits.

SQLite's API in Python does not tell whether a statement has not ended. But an
interrupt lasts until no statement runs any more: where one does, the next statement is
refused, and where none does, the next one ends the interrupt. It has to be ended at
once, because a connection that is closed with it writes no checkpoint.
(https://sqlite.org/c3ref/interrupt.html)
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import Any

_NOTHING = "SELECT 1 WHERE 0"


def close_with_leftovers(raw: Any, record: Any) -> None:
    """Close a connection on which a statement still runs; called at its return.

    The kept cursor fails from then on, and the pool opens another connection.
    """
    if not isinstance(raw, sqlite3.Connection):
        return  # aiosqlite reads its results whole
    with suppress(sqlite3.ProgrammingError):  # somebody has closed it
        if runs_statement(raw):
            record.invalidate()


def runs_statement(raw: sqlite3.Connection) -> bool:
    """Say whether a statement of this connection has not ended.

    Raises:
        sqlite3.ProgrammingError: It is closed.
    """
    raw.interrupt()
    try:
        raw.execute(_NOTHING)
    except sqlite3.OperationalError:
        return True
    return False
