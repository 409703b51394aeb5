"""What keeps a SQLite connection from writing, and when that ends.

Owns the guard of every read transaction. Setting it and taking it off again costs more
than a small read does, and each time SQLite prepares all statements anew. So a
connection stays guarded in the pool: the next who only reads finds it so, anybody else
gets it without.

    pool ──► who reads     guarded, or guarded now
         └─► anybody else  the guard is taken off at the checkout
"""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from lockstep.engine.reading_pragmas import only_reads

if TYPE_CHECKING:
    from sqlalchemy.pool import Pool, PoolProxiedConnection

READING = "lockstep.reading"
"""Set in a connection's ``info`` while it is guarded."""

_ROW_ACTIONS = {
    *(sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE),
}
_SHADOW_ENDINGS = (
    *("_data", "_idx", "_content", "_docsize", "_config"),  # FTS5
    *("_segments", "_segdir", "_stat"),  # FTS3 and FTS4
    *("_node", "_rowid", "_parent"),  # R-tree
)
"""What the tables end with in which SQLite's own modules keep what is theirs."""

_READ_ACTIONS = {
    *(sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION),
    *(sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT),
}

_here = threading.local()


def take_guarded(pool: Pool) -> PoolProxiedConnection:
    """Take a connection out of the pool that may be guarded already."""
    _here.expects_reader = True
    try:
        return pool.connect()
    finally:
        _here.expects_reader = False


def allow_writing_unless_expected(raw: Any, record: Any, proxy: Any) -> None:
    """Take the guard off a connection that leaves the pool, if there is one."""
    if record.info.get(READING) and not getattr(_here, "expects_reader", False):
        del record.info[READING]
        allow_writing(raw)


def forbid_writing(raw: sqlite3.Connection) -> None:
    """Guard a connection: it only reads from now on."""
    # query_only alone can be switched off by the SQL it guards, and does not
    # stop ATTACH from making a file; the authorizer is asked at every prepare,
    # and setting it discards statements that were prepared without it.
    raw.execute("PRAGMA query_only = ON")
    raw.set_authorizer(_authorize_reading)


def allow_writing(raw: sqlite3.Connection) -> None:
    """Take the guard off."""
    raw.set_authorizer(None)
    raw.execute("PRAGMA query_only = OFF")


def _authorize_reading(
    action: int, first: str | None, second: str | None, *_: str | None
) -> int:
    if action in _READ_ACTIONS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and only_reads(
        first or "", has_argument=second is not None
    ):
        return sqlite3.SQLITE_OK
    # A full-text or R-tree table asks for these when it is opened; query_only stops
    # whoever goes on to write, and the schema is not writable in any session.
    opens_module = action in _ROW_ACTIONS and (first or "").endswith(_SHADOW_ENDINGS)
    declares = action == sqlite3.SQLITE_UPDATE and first == "sqlite_master"
    return sqlite3.SQLITE_OK if opens_module or declares else sqlite3.SQLITE_DENY
