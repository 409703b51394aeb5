"""SQLite: how a connection is made and how a transaction begins.

Owns a connection's pragmas and every BEGIN; what comes before one that may write is
``sqlite_writing.py``'s. It knows nothing of sessions or models.

    connect ──► checks (folder, mount, second library) ──► open ──► pragmas
    begin   ──► default, write: ``sqlite_writing``, BEGIN IMMEDIATE
            └─► read:           authorizer + query_only, BEGIN; undone at check-in
    commit  ──► COMMIT, and a checkpoint when it is due; then the turn ends

Invariants: every connection of a ``Database`` has the same pragmas (they are per
connection), and connecting changes nothing in the file; a transaction that may write
holds the write lock from its start, so no read snapshot is ever upgraded (that fails
at once, whatever the timeout); a read transaction cannot change any database, not by
raw SQL and not by ATTACH.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event

from lockstep.engine.batch_mark import BatchMark
from lockstep.engine.capabilities import Capabilities
from lockstep.engine.fence import Fence, SavepointFence
from lockstep.engine.sqlite_aio import on_driver, open_in_thread
from lockstep.engine.sqlite_errors import classify_opening, primary_code
from lockstep.engine.sqlite_files import (
    check_filesystem,
    check_folder,
    check_second_library,
    note_closed,
    note_opening,
)
from lockstep.engine.sqlite_leftovers import close_with_leftovers
from lockstep.engine.sqlite_reading import (
    READING,
    allow_writing,
    allow_writing_unless_expected,
    forbid_writing,
    take_guarded,
)
from lockstep.engine.sqlite_wal import set_busy_timeout
from lockstep.engine.sqlite_writing import SqliteWriting
from lockstep.errors import OutcomeUnknown, StorageFailed, UnsupportedCapability

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.pool import PoolProxiedConnection

    from lockstep.config import Settings
    from lockstep.engine.urls import DatabaseUrl, EngineName

VERSION_MIN = (3, 37, 0)
"""STRICT tables."""

ACCESS_OPTION = "lockstep_access"
READ = "read"

STATEMENTS_CACHED = 512
JOURNAL_SIZE_BYTES_MAX = 64 * 1024 * 1024
"""A larger WAL is cut to this after a checkpoint."""

SYNCHRONOUS_LEVELS = ("off", "normal", "full", "extra")

_COUNTED = "lockstep.counted"

ROLLING_BACK = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM),
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CORRUPT),
    sqlite3.SQLITE_CONSTRAINT,  # RAISE(ROLLBACK), INSERT OR ROLLBACK
}


class SqliteBackend:
    """The SQLite side of a ``Database``."""

    read_options: dict[str, Any] = {ACCESS_OPTION: READ}  # noqa: RUF012

    def __init__(self, url: DatabaseUrl, settings: Settings) -> None:
        self._url = url
        self._settings = settings.sqlite
        # A memory database lives as long as one connection to it is open.
        self._anchor: sqlite3.Connection | None = None
        self._mark = BatchMark()
        self._writing = SqliteWriting(url, self._settings.busy_timeout_s)

    def engine_url(self, *, async_: bool) -> sa.URL:
        """Return the URL that ``create_engine`` gets."""
        return self._url.sqlalchemy_url(async_)

    def engine_arguments(self) -> dict[str, Any]:
        """Return what ``create_engine`` needs beside URL and pool."""
        return {
            "connect_args": {
                "uri": True,
                "timeout": self._settings.busy_timeout_s,
                "isolation_level": None,
                "cached_statements": STATEMENTS_CACHED,
            }
        }

    def install(self, engine: sa.Engine) -> None:
        """Attach the hooks that every connection goes through."""
        if self._url.path is not None:
            pool: Any = engine.pool
            pool.file = os.path.realpath(self._url.path)
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "connect", self._after_connect)
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "commit", _refuse_ended)
        self._writing.end_turns_after(engine.dialect)
        event.listen(engine, "reset", self._reset)
        event.listen(engine, "checkin", close_with_leftovers)
        event.listen(engine, "checkout", allow_writing_unless_expected)
        for ending in ("close", "close_detached", "invalidate"):
            event.listen(engine, ending, self._closed)

    def close(self) -> None:
        """Let go of a memory database, and of the side file of a real one."""
        self._writing.remove_traces()
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None

    def take_snapshot(self, reader: sa.Engine) -> PoolProxiedConnection:
        """Take a connection from the pool and begin to read on its driver.

        For who closes it soon. SQLAlchemy's part in a transaction takes ten times as
        long as SQLite's; so it has none until somebody asks for a ``Connection``.
        """
        pooled = take_guarded(reader.pool)
        try:
            if self._url.path is not None:
                check_second_library(self._url.path, self._settings)
            raw: Any = pooled.dbapi_connection
            if raw.isolation_level is not None:
                raw.isolation_level = None  # see ``_begin``
            if not pooled.info.get(READING):
                pooled.info[READING] = True
                forbid_writing(raw)
            raw.execute("BEGIN")
        except BaseException:
            pooled.close()
            raise
        return pooled

    def capabilities(self, connection: sa.Connection) -> Capabilities:
        """Return what this SQLite library can do; the limit is the connection's."""
        return capabilities_of_sqlite(
            "sqlite",
            sqlite3.sqlite_version_info,
            bind_parameters_max=on_driver(
                connection.connection.dbapi_connection,
                lambda raw: raw.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER),
            ),
        )

    def facts(self, connection: sa.Connection) -> dict[str, Any]:
        """Return what ``Database.describe`` tells about a SQLite file."""

        def pragma(name: str) -> Any:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        path = self._url.path
        return {
            "version": sqlite3.sqlite_version,
            "size_bytes": pragma("page_count") * pragma("page_size"),
            "file": str(path) if path else None,
            "journal_mode": pragma("journal_mode"),
            "synchronous": SYNCHRONOUS_LEVELS[pragma("synchronous")],
            "foreign_keys": bool(pragma("foreign_keys")),
            "busy_timeout_s": pragma("busy_timeout") / 1000,
        }

    def fence(self, driver: Any) -> Fence:
        """Return what keeps functions of one transaction apart."""
        self._mark.put(driver)
        return SavepointFence(driver.cursor().execute)

    def in_transaction(self, driver: Any) -> bool:
        """Say whether a transaction is open."""
        return driver.in_transaction

    def has_failed(self, driver: Any) -> bool:
        """Say no: a statement that fails undoes itself, or the whole transaction."""
        return False

    def is_broken(self, driver: Any) -> bool:
        """Say that a file is never gone as a server is."""
        return False

    def dooms(self, error: BaseException) -> bool:
        """Say no: a savepoint takes back what failed."""
        return False

    def rolled_back_by(self, driver: Any, error: BaseException) -> bool:
        """Say whether SQLite itself rolled back when this error came.

        See https://www.sqlite.org/lang_transaction.html, section 2.3.
        """
        return primary_code(error) in ROLLING_BACK and self._mark.is_gone(driver)

    def _connect(
        self, dialect: Any, record: Any, cargs: list[Any], cparams: dict[str, Any]
    ) -> Any:
        if sqlite3.sqlite_version_info < VERSION_MIN:
            raise UnsupportedCapability(
                f"SQLite {sqlite3.sqlite_version} has no STRICT tables",
                hint="use a Python whose sqlite3 is 3.37 or newer",
            )
        self._writing.refuse_lost()
        # One spelling for both drivers; SQLAlchemy's own would not encode it.
        cargs[0] = self._url.sqlite_uri
        if dialect.is_async:
            cparams["async_creator_fn"] = open_in_thread
        path = self._url.path
        if path is None:
            self._hold_memory()
            return dialect.connect(*cargs, **cparams)
        check_folder(path, read_only=self._url.read_only)
        check_filesystem(path, self._settings)
        check_second_library(path, self._settings)
        note_opening(path)
        try:
            return dialect.connect(*cargs, **cparams)
        except BaseException as error:
            note_closed(path)
            _name_file(error, path)
            raise

    def _hold_memory(self) -> None:
        if self._anchor is None:
            self._anchor = sqlite3.connect(
                self._url.sqlite_uri, uri=True, check_same_thread=False
            )

    def _after_connect(self, dbapi_connection: Any, record: Any) -> None:
        path = record.record_info[_COUNTED] = self._url.path
        try:
            on_driver(dbapi_connection, self._configure)
        except BaseException as error:
            # The pool drops what it could not prepare, and closes it at some time.
            dbapi_connection.close()
            self._closed(dbapi_connection, record)
            if path is not None:
                _name_file(error, path)
            raise
        self._writing.note_opened(record.info)

    def _configure(self, raw: sqlite3.Connection) -> None:
        """Set the pragmas that belong to the connection.

        They start at SQLite's own defaults on each new one. None changes the file
        (``sqlite_wal.py`` owns what does). temp_store stays with files, so that a
        large sort does not take the memory.
        """
        settings = self._settings
        set_busy_timeout(raw, settings.busy_timeout_s)
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute(f"PRAGMA cache_size = -{settings.cache_size_kib}")
        raw.execute(f"PRAGMA synchronous = {settings.synchronous}")
        if self._url.path is not None and not self._url.read_only:
            raw.execute(f"PRAGMA journal_size_limit = {JOURNAL_SIZE_BYTES_MAX}")

    def _begin(self, connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") == "AUTOCOMMIT":
            return
        dbapi: Any = connection.connection.dbapi_connection
        if self._url.path is not None:
            check_second_library(self._url.path, self._settings)
        if dbapi.isolation_level is not None:
            # SQLAlchemy gives the driver its own transactions back after an
            # AUTOCOMMIT connection; ours begin below.
            dbapi.isolation_level = None
        if options.get(ACCESS_OPTION) == READ:
            if not connection.info.get(READING):  # else it is forbidden already
                connection.info[READING] = True
                on_driver(dbapi, forbid_writing)
            if not (isinstance(dbapi, sqlite3.Connection) and dbapi.in_transaction):
                connection.exec_driver_sql("BEGIN")  # else ``take_snapshot`` did it
            return
        if connection.info.pop(READING, False):
            on_driver(dbapi, allow_writing)
        self._writing.begin(connection, dbapi)

    def _reset(self, dbapi_connection: Any, record: Any, state: Any) -> None:
        """Make the connection as it was, before the pool has it back."""
        if record is None:
            return
        self._writing.end_turn(record.info)
        if state.terminate_only or not (
            state.asyncio_safe or isinstance(dbapi_connection, sqlite3.Connection)
        ):
            return  # it is closed instead
        if not isinstance(dbapi_connection, sqlite3.Connection) and record.info.pop(
            READING, False
        ):
            # A guard costs this driver two hops to its thread; who takes a connection
            # out of the pool cannot make them, who brings it back can.
            on_driver(dbapi_connection, allow_writing)

    def _closed(self, dbapi_connection: Any, record: Any = None, *_: Any) -> None:
        if record is not None:
            self._writing.end_turn(record.info)
            path = record.record_info.pop(_COUNTED, None)
            if path is not None:
                note_closed(path)


def capabilities_of_sqlite(
    engine_name: EngineName, version: tuple[int, ...], *, bind_parameters_max: int
) -> Capabilities:
    """Return what SQLite can do, in this process or inside of a server."""
    return Capabilities(
        engine_name=engine_name,
        dialect_name="sqlite",
        version=version,
        bind_parameters_max=bind_parameters_max,
        identifier_bytes_max=63,
        concurrent_writers=False,
        native_uuid=False,
        native_json=False,
        native_array=False,
        row_locks=False,
        alter_constraints=False,
        nulls_not_distinct=False,
        session_state=True,
        logical_replication=False,
    )


def _refuse_ended(connection: sa.Connection) -> None:
    """Refuse to call success what SQLite has taken back meanwhile.

    Some errors roll the whole transaction back (a full disk, ``RAISE(ROLLBACK)``).
    Who caught one and went on would be told that everything was written.
    """
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    driver: Any = connection.connection.driver_connection
    if options.get(ACCESS_OPTION) != READ and not driver.in_transaction:
        raise OutcomeUnknown(
            "the transaction ended before its commit: by an error that was caught, or "
            "in words; what came before may not be written, what came after is",
            hint="let such an error leave the block; no COMMIT or ROLLBACK as text",
        )


def _name_file(error: BaseException, path: Path) -> None:
    """Raise, in the place of a driver's error, one that says which file it is about."""
    if isinstance(error, sqlite3.Error):
        meaning = classify_opening(error, path)
        if isinstance(meaning, StorageFailed):
            raise meaning from error
