"""SQLAlchemy on a libSQL server: SQLite's dialect with another driver.

Owns what differs from a file: how a connection is made, when one is broken, and
what an isolation level is. Everything else (types, DDL, reflection, every rule
this library adds for SQLite) is the dialect's own, because the server *is* SQLite.

    sqlite+hrana://host:8080/path          ?tls=1 for https
    sqlite+aiohrana://host:8080/path       the same for asyncio
"""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.base import SQLiteDialect, SQLiteExecutionContext
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from lockstep.engine.hrana import dbapi
from lockstep.engine.hrana.aio import AdaptedConnection
from lockstep.engine.hrana.transport import Server, Transport
from lockstep.engine.hrana.wire import ServerFacts

AUTOCOMMIT = "AUTOCOMMIT"
SERIALIZABLE = "SERIALIZABLE"


class HranaExecutionContext(SQLiteExecutionContext):
    """One execution; ``stream_results`` reads its rows as they arrive."""

    def create_server_side_cursor(self) -> Any:
        """Return a cursor that streams."""
        return self._dbapi_connection.cursor(stream=True)


class HranaDialect(SQLiteDialect):
    """SQLite's dialect over Hrana, for threads."""

    execution_ctx_cls = HranaExecutionContext
    supports_server_side_cursors = True

    driver = "hrana"
    is_async = False
    supports_statement_cache = True
    returns_native_bytes = True
    default_paramstyle = "qmark"

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return the driver's PEP 249 module."""
        return dbapi

    @classmethod
    def get_pool_class(cls, url: sa.URL) -> Any:
        """Return a pool that keeps connections; they cost nothing while idle."""
        return QueuePool

    def create_connect_args(self, url: sa.URL) -> Any:
        """Return the server and the token that ``connect`` takes."""
        query: dict[str, Any] = dict(url.query)
        scheme = "https" if query.pop("tls", "0") in ("1", "true") else "http"
        port = f":{url.port}" if url.port else ""
        path = f"/{url.database}" if url.database else ""
        address = f"{scheme}://{url.host or 'localhost'}{port}{path}"
        return [], {"server": Server(address, auth_token=query.get("authToken"))}

    def connect(self, *cargs: Any, **cparams: Any) -> Any:
        """Return a connection; nothing is sent before its first statement."""
        transport, facts, owns = self._transport(cparams)
        connection = dbapi.Connection(
            transport.run,
            autocommit=cparams.get("autocommit", False),
            facts=facts,
            give_turn=transport.give_turn,
        )
        if owns:
            connection.when_closed = transport.close
        return connection

    def _transport(self, given: dict[str, Any]) -> tuple[Transport, ServerFacts, bool]:
        """Return the transport to use, and whether it ends with the connection."""
        transport: Transport | None = given.get("transport")
        facts = given.get("facts") or ServerFacts()
        if transport is not None:
            return transport, facts, False
        return Transport(cast("Server", given["server"])), facts, True

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Say whether the connection is of no use any more: never.

        The next transaction opens a stream of its own, so a connection whose
        stream is lost is as good as a new one once it was rolled back.
        """
        return False

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        # Outside of a transaction, a token that only allows reading is enough.
        driver = connection.connection.dbapi_connection
        was, driver.autocommit = driver.autocommit, True
        try:
            text = connection.exec_driver_sql("SELECT sqlite_version()").scalar()
        finally:
            driver.autocommit = was
        return tuple(int(part) for part in str(text).split("."))

    def get_default_isolation_level(self, dbapi_conn: Any) -> Any:
        """Return SQLite's only level; there is nothing to ask."""
        return SERIALIZABLE

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        """Return ``SERIALIZABLE``, or ``AUTOCOMMIT``."""
        return AUTOCOMMIT if dbapi_connection.autocommit else SERIALIZABLE

    def get_isolation_level_values(self, dbapi_connection: Any) -> Any:
        """Return the levels that can be set."""
        return [SERIALIZABLE, AUTOCOMMIT]

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        """Switch between transactions and none."""
        by_default = dbapi_connection.autocommit_by_default
        dbapi_connection.autocommit = by_default or level == AUTOCOMMIT

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        """Say whether statements commit by themselves."""
        return bool(dbapi_conn.autocommit)


class AsyncHranaDialect(HranaDialect):
    """SQLite's dialect over Hrana, for asyncio."""

    driver = "aiohrana"
    is_async = True
    has_terminate = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: sa.URL) -> Any:
        """Return the pool for asyncio."""
        return AsyncAdaptedQueuePool

    def connect(self, *cargs: Any, **cparams: Any) -> Any:
        """Return a connection that awaits inside of SQLAlchemy's greenlet."""
        transport, facts, owns = self._transport(cparams)
        connection = AdaptedConnection(
            transport, autocommit=cparams.get("autocommit", False), facts=facts
        )
        if owns:
            connection.when_closed = transport.close
        return connection

    def get_driver_connection(self, connection: Any) -> Any:
        """Return the driver's own connection."""
        return connection

    def do_terminate(self, dbapi_connection: Any) -> None:
        """Close where nothing can be awaited."""
        dbapi_connection.terminate()
