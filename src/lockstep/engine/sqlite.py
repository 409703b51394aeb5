"""SQLite: how a connection is made and how a transaction begins.

Owns every pragma and every BEGIN. It knows nothing of sessions or models.

    connect ──► checks (folder, mount, second library) ──► open ──► pragmas
    begin   ──► default, write: BEGIN IMMEDIATE
            └─► read:           authorizer + query_only, BEGIN; undone at check-in

Invariants: every connection of a ``Database`` has the same pragmas (they are per
connection); a transaction that may write holds the write lock from its start, so
no read snapshot is ever upgraded (that fails at once, whatever the timeout); a
read transaction cannot change any database, not by raw SQL and not by ATTACH.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

from lockstep.engine.capabilities import Capabilities
from lockstep.engine.sqlite_files import check_before_open, check_folder
from lockstep.errors import UnsupportedCapability

if TYPE_CHECKING:
    from lockstep.config import Settings
    from lockstep.engine.urls import DatabaseUrl

T = TypeVar("T")

VERSION_MIN = (3, 37, 0)
"""STRICT tables."""

ACCESS_OPTION = "lockstep_access"
READ = "read"

_READING = "lockstep.reading"
_RETRY_S = 0.005

_READ_ACTIONS = {
    *(sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION),
    *(sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT),
}
# Pragmas that take an argument and still only read.
_READ_PRAGMAS = {
    *("table_info", "table_xinfo", "table_list", "index_list", "index_info"),
    *("index_xinfo", "foreign_key_list", "foreign_key_check", "integrity_check"),
    *("quick_check", "function_list", "collation_list", "pragma_list"),
}
# Pragmas that do something although they take no argument.
_ACTING_PRAGMAS = {"wal_checkpoint", "incremental_vacuum", "optimize", "shrink_memory"}


class SqliteBackend:
    """The SQLite side of a ``Database``."""

    read_options: dict[str, Any] = {ACCESS_OPTION: READ}  # noqa: RUF012

    def __init__(self, url: DatabaseUrl, settings: Settings) -> None:
        self._url = url
        self._settings = settings.sqlite
        # A memory database lives as long as one connection to it is open.
        self._anchor: sqlite3.Connection | None = None

    def engine_arguments(self) -> dict[str, Any]:
        """Return what ``create_engine`` needs beside URL and pool."""
        return {
            "connect_args": {
                "timeout": self._settings.busy_timeout_s,
                "isolation_level": None,
                "cached_statements": 512,
            }
        }

    def install(self, engine: sa.Engine) -> None:
        """Attach the hooks that every connection goes through."""
        event.listen(engine, "do_connect", self._before_connect)
        event.listen(engine, "connect", self._after_connect)
        event.listen(engine, "begin", self._begin)
        event.listen(engine.pool, "reset", _end_reading)

    def close(self) -> None:
        """Let go of a memory database."""
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None

    def capabilities(self, connection: sa.Connection) -> Capabilities:
        """Return what this SQLite library can do; the limit is the connection's."""
        return Capabilities(
            dialect_name="sqlite",
            version=sqlite3.sqlite_version_info,
            bind_parameters_max=on_driver(
                connection.connection.dbapi_connection,
                lambda raw: raw.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER),
            ),
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

    def facts(self, connection: sa.Connection) -> dict[str, Any]:
        """Return what ``Database.describe`` tells about a SQLite file."""

        def pragma(name: str) -> Any:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        path = self._url.path
        return {
            "version": sqlite3.sqlite_version,
            "file": str(path) if path else None,
            "size_bytes": pragma("page_count") * pragma("page_size"),
            "journal_mode": pragma("journal_mode"),
            "synchronous": ("off", "normal", "full", "extra")[pragma("synchronous")],
            "foreign_keys": bool(pragma("foreign_keys")),
            "busy_timeout_s": pragma("busy_timeout") / 1000,
        }

    def _before_connect(
        self, dialect: Any, record: Any, cargs: list[Any], cparams: dict[str, Any]
    ) -> None:
        if sqlite3.sqlite_version_info < VERSION_MIN:
            raise UnsupportedCapability(
                f"SQLite {sqlite3.sqlite_version} has no STRICT tables",
                hint="use a Python whose sqlite3 is 3.37 or newer",
            )
        cargs[0] = self._url.sqlite_uri
        cparams["uri"] = True
        if self._url.path is not None:
            check_folder(self._url.path, read_only=self._url.read_only)
            check_before_open(self._url.path, self._settings)
        elif self._anchor is None:
            self._anchor = sqlite3.connect(
                self._url.sqlite_uri, uri=True, check_same_thread=False
            )

    def _after_connect(self, dbapi_connection: Any, record: Any) -> None:
        on_driver(dbapi_connection, self._configure)

    def _configure(self, raw: sqlite3.Connection) -> None:
        """Set the pragmas: the only place where one is spelled."""
        settings = self._settings
        raw.execute(f"PRAGMA busy_timeout = {int(settings.busy_timeout_s * 1000)}")
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute("PRAGMA recursive_triggers = ON")
        raw.execute(f"PRAGMA cache_size = -{settings.cache_size_kib}")
        raw.execute("PRAGMA temp_store = MEMORY")
        if self._url.path is not None and not self._url.read_only:
            use_wal(raw, settings.busy_timeout_s)
        raw.execute(f"PRAGMA synchronous = {settings.synchronous}")

    def _begin(self, connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") == "AUTOCOMMIT":
            return
        dbapi: Any = connection.connection.dbapi_connection
        if dbapi.isolation_level is not None:
            # SQLAlchemy gives the driver its own transactions back after an
            # AUTOCOMMIT connection; ours begin below.
            dbapi.isolation_level = None
        if options.get(ACCESS_OPTION) == READ:
            connection.info[_READING] = True
            on_driver(dbapi, _forbid_writing)
            connection.exec_driver_sql("BEGIN")
            return
        if connection.info.get(_READING):
            _end_reading(dbapi, connection, None)
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def on_driver(dbapi_connection: Any, function: Callable[[sqlite3.Connection], T]) -> T:
    """Run ``function`` on the sqlite3 connection, in the thread that owns it."""
    if isinstance(dbapi_connection, sqlite3.Connection):
        return function(dbapi_connection)
    # aiosqlite: the connection lives in a thread of its own.
    return dbapi_connection.run_async(
        lambda driver: driver._execute(function, driver._conn)  # noqa: SLF001
    )


def use_wal(raw: sqlite3.Connection, timeout_s: float) -> None:
    """Switch the file to WAL, once in its life.

    The switch needs the file alone and does not wait for it, so the first
    connections of several processes collide: each retries until the deadline.
    A file that cannot be written to keeps the mode it has.
    """
    if raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    deadline = time.monotonic() + max(timeout_s, 1.0)
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorcode & 0xFF
            if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
                return
            if code != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _forbid_writing(raw: sqlite3.Connection) -> None:
    # query_only alone can be switched off by the SQL it guards, and does not
    # stop ATTACH from making a file; the authorizer is asked at every prepare,
    # and setting it discards statements that were prepared without it.
    raw.execute("PRAGMA query_only = ON")
    raw.set_authorizer(_authorize_reading)


def _allow_writing(raw: sqlite3.Connection) -> None:
    raw.set_authorizer(None)
    raw.execute("PRAGMA query_only = OFF")


def _authorize_reading(
    action: int, first: str | None, second: str | None, *_: str | None
) -> int:
    if action in _READ_ACTIONS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        name = (first or "").lower()
        if name in _READ_PRAGMAS or (second is None and name not in _ACTING_PRAGMAS):
            return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _end_reading(dbapi_connection: Any, record: Any, state: Any) -> None:
    if record is not None and record.info.pop(_READING, False):
        on_driver(dbapi_connection, _allow_writing)
