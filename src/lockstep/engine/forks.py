"""A fork and SQLite: a child inherits no open file, or is told so.

Owns the moment of the fork. What a process has open, SQLite keeps in its memory: the
child gets a copy of it, believes that it holds locks which only its parent holds,
and takes none of its own. Then the parent closes the file as the last one who has it
open, the write-ahead log is removed under the child, and what the child writes from
then on, and is told was written, is in no file.

    before     nobody else begins to use a file; those who use one end   (FORK_WAIT_S)
    child      closes its copies: SQLite knows nothing of the file any more
               a copy was in use ──► the file is refused there: OpenAtFork
    parent     goes on

SQLite's documentation warns of closing a copy, because that rolls back what the parent
is writing. So only those that write nothing are closed. The locks are the kernel's, by
process: a child's closing takes none from its parent.

Invariants: a fork waits no longer than ``FORK_WAIT_S``, and never for its own thread;
a child never uses a file of which SQLite remembers its parent's locks.

See https://sqlite.org/howtocorrupt.html (2.6)
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from lockstep.engine.sqlite_leftovers import runs_statement
from lockstep.engine.sqlite_reading import READING

if TYPE_CHECKING:
    from sqlalchemy.pool.base import ConnectionPoolEntry

FORK_WAIT_S = 5.0
"""Longer than a transaction should last, and a fork can bear."""
_LOOK_AGAIN_S = 0.001


class ForkGate:
    """Knows who uses a file of SQLite, and keeps forks and uses apart.

    Uses of several threads never wait for one another here.
    """

    def __init__(self) -> None:
        # All connections, and which file each has open.
        self._files: WeakKeyDictionary[ConnectionPoolEntry, str] = WeakKeyDictionary()
        self._start()

    def _start(self) -> None:
        self._forking = threading.Lock()
        self._is_open = threading.Event()
        self._is_open.set()
        self._coming: dict[object, tuple[int, str]] = {}
        self._users: dict[ConnectionPoolEntry, int] = {}

    def open_file(
        self, file: str, connect: Callable[[], ConnectionPoolEntry]
    ) -> ConnectionPoolEntry:
        """Make a connection, unless a fork is under way; then after it."""
        me, coming = threading.get_ident(), object()
        # Said first and asked second; a fork does it the other way round.
        self._coming[coming] = me, file
        try:
            if self._must_wait(me):
                del self._coming[coming]
                self._is_open.wait(2 * FORK_WAIT_S)
                self._coming[coming] = me, file
            record = connect()
            self._files[record] = file
        finally:
            self._coming.pop(coming, None)
        return record

    def take(self, record: ConnectionPoolEntry) -> None:
        """Begin to use a connection, unless a fork is under way; then after it."""
        me = threading.get_ident()
        self._users[record] = me
        if not self._is_open.is_set():
            del self._users[record]
            if self._must_wait(me):
                self._is_open.wait(2 * FORK_WAIT_S)
            self._users[record] = me

    def _must_wait(self, me: int) -> bool:
        """Say whether a fork comes first; who has a connection may take another."""
        return not self._is_open.is_set() and me not in list(self._users.values())

    def give(self, record: ConnectionPoolEntry) -> None:
        """End a use."""
        self._users.pop(record, None)

    def close(self) -> None:
        """Before a fork: wait until no other thread uses a file, if that can be."""
        deadline = time.monotonic() + FORK_WAIT_S
        self._forking.acquire(timeout=FORK_WAIT_S)
        self._is_open.clear()
        me = threading.get_ident()
        if any(
            user == me and not record.info.get(READING)
            for record, user in list(self._users.items())
        ):
            return  # others may wait for what this very thread writes
        while self._is_used_beside(me) and time.monotonic() < deadline:
            time.sleep(_LOOK_AGAIN_S)

    def _is_used_beside(self, me: int) -> bool:
        coming = [user for user, _ in list(self._coming.values())]
        return any(user != me for user in (*coming, *list(self._users.values())))

    def open(self) -> None:
        """After a fork, in the parent: everybody goes on."""
        self._is_open.set()
        with suppress(RuntimeError):  # another fork took longer than could be waited
            self._forking.release()

    def close_copies(self) -> set[str]:
        """In a forked child: close what may be closed; return the files left open."""
        me = threading.get_ident()
        left = {file for _, file in self._coming.values()}
        for record, file in list(self._files.items()):
            user = self._users.get(record)
            if not _close_copy(record, user is not None, user in (None, me)):
                left.add(file)
        self._files.clear()
        self._start()
        return left


def _close_copy(record: ConnectionPoolEntry, is_used: bool, is_at_rest: bool) -> bool:
    """Close a child's copy of a connection; say whether SQLite has forgotten it."""
    raw: Any = record.driver_connection
    if raw is None:
        return True
    if is_used and not (
        # The thread of an aiosqlite connection may have been inside SQLite.
        is_at_rest and isinstance(raw, sqlite3.Connection) and record.info.get(READING)
    ):
        return False
    raw = raw if isinstance(raw, sqlite3.Connection) else raw._conn
    try:
        if runs_statement(raw):
            return False  # it would live on behind the closed connection
        raw.close()
    except sqlite3.ProgrammingError:  # somebody has closed it
        return True
    except sqlite3.Error:
        return False
    return True


gate = ForkGate()
