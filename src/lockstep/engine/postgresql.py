"""PostgreSQL: how a connection is made and how a transaction begins.

Owns connection parameters, timeouts, time zone and what changes behind a
transaction pooler. It knows nothing of sessions or models.

    direct   connect ──► one set_config: TimeZone, timeouts   (for the session)
    pooler   begin   ──► one set_config: the same, is_local   (for the transaction)
             and no prepared statements, no startup options

Invariant: behind a transaction pooler nothing that outlives a transaction is
left on the server's connection, because the next client gets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event

from lockstep.engine.capabilities import Capabilities
from lockstep.errors import MissingExtraError, UnsupportedCapability

if TYPE_CHECKING:
    from lockstep.config import Settings
    from lockstep.engine.urls import DatabaseUrl

VERSION_MIN = 13


class PostgresqlBackend:
    """The PostgreSQL side of a ``Database``."""

    read_options: dict[str, Any] = {  # noqa: RUF012
        "isolation_level": "REPEATABLE READ",
        "postgresql_readonly": True,
    }

    def __init__(self, url: DatabaseUrl, settings: Settings) -> None:
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("PostgreSQL", extra="pg") from error
        self._url = url
        self._settings = settings.postgresql
        self.behind_pooler = self._settings.pooler == "transaction" or (
            self._settings.pooler == "auto" and url.pooler_likely
        )

    def engine_arguments(self) -> dict[str, Any]:
        """Return what ``create_engine`` needs beside URL and pool."""
        arguments: dict[str, Any] = {}
        query = self._url.sqlalchemy_url().query
        if "connect_timeout" not in query:
            arguments["connect_timeout"] = self._settings.connect_timeout_s
        if "application_name" not in query:
            arguments["application_name"] = self._settings.application_name
        if self.behind_pooler:
            arguments["prepare_threshold"] = None
        return {"connect_args": arguments, "pool_pre_ping": True}

    def install(self, engine: sa.Engine) -> None:
        """Attach the hooks that every connection goes through."""
        if self.behind_pooler:
            event.listen(engine, "begin", self._begin_behind_pooler)
        else:
            event.listen(engine, "connect", self._after_connect)

    def close(self) -> None:
        """Hold nothing beside the pools."""

    def capabilities(self, connection: sa.Connection) -> Capabilities:
        """Return what this server can do."""
        version = self._version(connection)
        return Capabilities(
            dialect_name="postgresql",
            version=version,
            bind_parameters_max=65535,
            identifier_bytes_max=63,
            concurrent_writers=True,
            native_uuid=True,
            native_json=True,
            native_array=True,
            row_locks=True,
            alter_constraints=True,
            nulls_not_distinct=version >= (15,),
            session_state=not self.behind_pooler,
            logical_replication=not self.behind_pooler,
        )

    def facts(self, connection: sa.Connection) -> dict[str, Any]:
        """Return what ``Database.describe`` tells about a server."""
        row = connection.exec_driver_sql(
            "SELECT current_setting('server_version'), current_database(),"
            " current_user, pg_database_size(current_database()),"
            " current_setting('statement_timeout'), current_setting('TimeZone'),"
            " current_setting('wal_level')"
        ).one()
        return {
            "version": row[0],
            "database": row[1],
            "user": row[2],
            "size_bytes": row[3],
            "statement_timeout": row[4],
            "time_zone": row[5],
            "wal_level": row[6],
            "behind_pooler": self.behind_pooler,
        }

    def _version(self, connection: sa.Connection) -> tuple[int, ...]:
        version = connection.dialect.server_version_info or ()
        if version[0] < VERSION_MIN:
            raise UnsupportedCapability(
                f"PostgreSQL {version[0]} is too old; {VERSION_MIN} is the oldest "
                "that works"
            )
        return tuple(version)

    def _session_settings(self) -> dict[str, str]:
        s = self._settings
        return {
            "TimeZone": "UTC",
            "statement_timeout": _milliseconds(s.statement_timeout_s),
            "lock_timeout": _milliseconds(s.lock_timeout_s),
            "idle_in_transaction_session_timeout": _milliseconds(
                s.idle_in_transaction_timeout_s
            ),
        }

    def _set_config(self, *, local: bool) -> str:
        # Values are numbers and "UTC", never text from outside.
        calls = [
            f"set_config('{name}', '{value}', {str(local).lower()})"
            for name, value in self._session_settings().items()
        ]
        return "SELECT " + ", ".join(calls)

    def _after_connect(self, dbapi_connection: Any, record: Any) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute(self._set_config(local=False))
        cursor.close()
        dbapi_connection.commit()

    def _begin_behind_pooler(self, connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql(self._set_config(local=True))


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
