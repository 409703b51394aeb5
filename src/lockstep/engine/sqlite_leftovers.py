"""A connection that leaves SQLite's pool brings nothing of its last user along.

Owns what happens to a cursor that somebody keeps half read after the session, or the
unit of work, that it belongs to. Such a statement runs on through commit and rollback,
and with it the snapshot: whoever got the connection next would read the past, and, as
soon as another process has written, could not begin to write (SQLITE_BUSY_SNAPSHOT),
however long it waits.

    back into the pool   interrupt what still runs: the kept cursor fails from now on
    out of the pool      does a statement run? then SQLite refuses every new one, and
                         the pool replaces the connection

SQLite keeps the interrupt until nothing runs any more, so it answers a question that
its API in Python does not have: is there a statement that has not ended?
(https://sqlite.org/c3ref/interrupt.html)
"""

from __future__ import annotations

import sqlite3
from typing import Any

import sqlalchemy.exc as sa_exc

_NOTHING = "SELECT 1 WHERE 0"


def interrupt_leftovers(raw: Any, record: Any) -> None:
    """Let no statement go on that outlives its session; called at its return."""
    if isinstance(raw, sqlite3.Connection):
        raw.interrupt()


def refuse_leftovers(raw: Any, record: Any, proxy: Any) -> None:
    """Look whether the last user's statements have ended; called when one is taken.

    Raises:
        sqlalchemy.exc.DisconnectionError: One has not; the pool opens another
            connection instead.
    """
    if not isinstance(raw, sqlite3.Connection):
        return  # aiosqlite reads its results whole
    try:
        raw.execute(_NOTHING)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise sa_exc.DisconnectionError("a kept cursor holds a snapshot") from error
    except sqlite3.Error:
        pass  # whoever begins a transaction is told better
