"""What a transaction goes through that may write to a SQLite file.

Owns the order of it, and the refusal to write anything more once a file of the
database has lost its name.

    begin ──► turn among the writers ──► names ──► WAL ──► BEGIN IMMEDIATE
    end   ──► COMMIT, ROLLBACK ──► the turn ends

Invariant: who has the turn gives it back, whichever way the transaction ends; and the
waits for turn and lock together are no longer than the deadline of one.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from lockstep.engine.classify import for_one_more
from lockstep.engine.sqlite_aio import on_driver
from lockstep.engine.sqlite_names import OpenedFiles
from lockstep.engine.sqlite_wal import set_busy_timeout, use_wal
from lockstep.engine.write_turns import WriteTurns, turns_of
from lockstep.errors import StorageFailed

if TYPE_CHECKING:
    import sqlalchemy as sa

    from lockstep.engine.urls import DatabaseUrl

T = TypeVar("T")

_OPENED = "lockstep.opened"
_TURN = "lockstep.turn"
_JOURNAL_CHOSEN = "lockstep.journal_chosen"
_WAIT_COUNTS_FROM_S = 0.05
_OPEN_LOG = "PRAGMA schema_version"
"""The first read of a connection opens the -wal and the -shm."""


class SqliteWriting:
    """The writers of one ``Database``.

    Args:
        url: Of the file; in memory there is one process, and nothing to lose.
        busy_timeout_s: How long turn and lock may take.
    """

    def __init__(self, url: DatabaseUrl, busy_timeout_s: float) -> None:
        self._url = url
        self._busy_timeout_s = busy_timeout_s
        self._lost: StorageFailed | None = None
        self._turns = (
            WriteTurns()
            if url.path is None
            else turns_of(os.path.realpath(url.path), is_file=True)
        )

    def remove_traces(self) -> None:
        """Remove the side file in which processes wait for their turn."""
        self._turns.remove_traces()

    def note_opened(self, info: dict[Any, Any]) -> None:
        """Keep what a connection has just opened, to know later that it is there."""
        if self._url.path is not None:
            info[_OPENED] = OpenedFiles.of(os.path.realpath(self._url.path))

    def begin(self, connection: sa.Connection, dbapi: Any) -> None:
        """Begin a transaction that holds the write lock from its start.

        One on a file that was opened read-only holds none.

        Raises:
            StorageFailed: A file has lost its name.
        """
        if self._url.read_only:
            connection.exec_driver_sql("BEGIN")
            return
        started = time.monotonic()
        if self._take_turn(dbapi):
            connection.info[_TURN] = True
        try:
            self._check_names(connection)
            self._choose_journal(connection, dbapi)
            waited_s = time.monotonic() - started
            self._take_write_lock(connection, dbapi, waited_s)
        except BaseException:
            self.end_turn(connection.info)
            raise

    def _take_turn(self, dbapi: Any) -> bool:
        """Wait for the turn; say whether it came in time."""
        if isinstance(dbapi, sqlite3.Connection):
            return self._turns.take(self._busy_timeout_s)

        async def wait(_driver: Any) -> bool:
            return await self._turns.take_async(self._busy_timeout_s)

        return dbapi.run_async(wait)

    def _choose_journal(self, connection: sa.Connection, dbapi: Any) -> None:
        """Let the file be in WAL mode; each connection asks until that is settled."""
        if _JOURNAL_CHOSEN in connection.info or self._url.path is None:
            return
        timeout_s = self._busy_timeout_s
        if on_driver(dbapi, lambda raw: use_wal(raw, timeout_s)):
            on_driver(dbapi, lambda raw: raw.execute(_OPEN_LOG).fetchone())
            opened: OpenedFiles = connection.info[_OPENED]
            connection.info[_OPENED] = self._noticing_loss(opened.with_log)
            connection.info[_JOURNAL_CHOSEN] = True

    def _check_names(self, connection: sa.Connection) -> None:
        """Refuse to write to files that have lost their names."""
        opened: OpenedFiles | None = connection.info.get(_OPENED)
        if opened is not None:
            self._noticing_loss(opened.check)

    def _noticing_loss(self, look: Callable[[], T]) -> T:
        self.refuse_lost()
        try:
            return look()
        except StorageFailed as error:
            self._lost = error
            raise

    def refuse_lost(self) -> None:
        """Use no other connection either: it would mix new files with lost ones.

        Raises:
            StorageFailed: A file was found to have lost its name.
        """
        if self._lost is not None:
            raise for_one_more(self._lost)

    def _take_write_lock(
        self, connection: sa.Connection, dbapi: Any, waited_s: float
    ) -> None:
        if waited_s < _WAIT_COUNTS_FROM_S:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        # What was waited for the turn is not there to be waited for the lock.
        timeout_s = self._busy_timeout_s
        left_s = max(timeout_s - waited_s, 0.0)
        on_driver(dbapi, lambda raw: set_busy_timeout(raw, left_s))
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        finally:
            on_driver(dbapi, lambda raw: set_busy_timeout(raw, timeout_s))

    def end_turns_after(self, dialect: Any) -> None:
        """End the turn once a COMMIT or ROLLBACK is done.

        SQLAlchemy's events of these names come before it; a turn that ended there
        would send the next writer into SQLite's busy sleep, and let it write while
        this one's checkpoint runs.
        """
        for name in ("do_commit", "do_rollback"):
            setattr(dialect, name, self._then_end_turn(getattr(dialect, name)))

    def _then_end_turn(
        self, end_transaction: Callable[[Any], None]
    ) -> Callable[[Any], None]:
        def end(dbapi_connection: Any) -> None:
            # A commit that fails leaves the transaction open, and keeps the turn
            # until the rollback that follows.
            end_transaction(dbapi_connection)
            try:
                info = dbapi_connection.info
            except NotImplementedError:
                return  # the dialect looks at a first connection: no turn was taken
            self.end_turn(info)

        return end

    def end_turn(self, info: dict[Any, Any]) -> None:
        """End the turn of a connection that has it."""
        if info.pop(_TURN, False):
            self._turns.give()
