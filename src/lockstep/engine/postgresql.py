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

import difflib
import importlib.util
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event

from lockstep.engine.capabilities import Capabilities
from lockstep.engine.classify import classify
from lockstep.engine.fence import Fence, PipelineFence
from lockstep.engine.pipeline import Pipeline
from lockstep.engine.postgresql_errors import WHILE_COMMITTING
from lockstep.engine.sessions import (
    FAILED_EARLIER,
    FAILED_EARLIER_HINT,
    MAY_HAVE_WRITTEN,
    note_statement,
)
from lockstep.errors import (
    ConfigError,
    EngineError,
    MissingExtraError,
    UnsupportedCapability,
)
from lockstep.redaction import SECRET_PARAMETERS

if TYPE_CHECKING:
    from lockstep.config import Settings
    from lockstep.engine.urls import DatabaseUrl

VERSION_MIN = 13

NOTICE_A_DEAD_SERVER = {
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 40_000,
}
"""After 40 seconds without a sign of its machine a connection is lost.

Linux itself gives up after a quarter of an hour, or two hours where it waits for an
answer. A server that is alive and busy is waited for: ``statement_timeout`` is its own.
"""

_SHARED = "lockstep.shared"
"""Set in a connection's ``info`` when something stands before the server."""
_NOT_ISOLATED = "40001"
"""serialization_failure"""
_UNDER_WAY = 1
"""libpq's PQTRANS_ACTIVE."""
_IN_ERROR = 3
"""libpq's PQTRANS_INERROR."""
_IN_TRANSACTION = (2, _IN_ERROR)
"""libpq's PQTRANS_INTRANS, and the same."""


class PostgresqlBackend:
    """The PostgreSQL side of a ``Database``."""

    read_options: dict[str, Any] = {  # noqa: RUF012
        "isolation_level": "REPEATABLE READ",
        "postgresql_readonly": True,
    }

    def __init__(self, url: DatabaseUrl, settings: Settings) -> None:
        if importlib.util.find_spec("psycopg") is None:
            raise MissingExtraError("PostgreSQL", extra="pg")
        self._url = url
        self._settings = settings.postgresql
        self.behind_pooler = self._settings.pooler == "transaction" or (
            self._settings.pooler == "auto" and url.pooler_likely
        )

    def engine_url(self, *, async_: bool) -> sa.URL:
        """Return the URL that ``create_engine`` gets: no secret parameter in it.

        SQLAlchemy masks the password of a URL wherever it shows one, and no
        parameter (``sslpassword``, …); those travel as arguments.
        """
        url = self._url.sqlalchemy_url(async_)
        return url.set(query={k: v for k, v in url.query.items() if not _is_secret(k)})

    def engine_arguments(self) -> dict[str, Any]:
        """Return what ``create_engine`` needs beside URL and pool."""
        query = self._url.sqlalchemy_url().query
        _refuse_unknown_parameters(query)
        arguments: dict[str, Any] = {k: v for k, v in query.items() if _is_secret(k)}
        ours = {
            "connect_timeout": self._settings.connect_timeout_s,
            "application_name": self._settings.application_name,
            **NOTICE_A_DEAD_SERVER,
        }
        arguments.update({k: v for k, v in ours.items() if k not in query})
        if self.behind_pooler:
            arguments["prepare_threshold"] = None
        # A server that restarted, or a pooler that closed idle connections, is
        # noticed before a transaction begins; one round trip each time.
        return {"connect_args": arguments, "pool_pre_ping": True}

    def install(self, engine: sa.Engine) -> None:
        """Attach the hooks that every connection goes through."""
        event.listen(engine, "connect", self._after_connect)
        event.listen(engine, "begin", _note_begin)
        event.listen(engine, "commit", _refuse_failed)
        dialect: Any = engine.dialect
        dialect.do_commit = _marking_errors(dialect.do_commit)
        event.listen(engine, "after_cursor_execute", _note_statement)
        if self._settings.pooler != "none":
            event.listen(engine, "begin", self._begin_behind_pooler)

    def close(self) -> None:
        """Hold nothing beside the pools."""

    def capabilities(self, connection: sa.Connection) -> Capabilities:
        """Return what this server can do."""
        dialect_version = connection.dialect.server_version_info or (0,)
        version = tuple(int(part) for part in dialect_version)
        return Capabilities(
            engine_name="postgresql",
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
            "behind_pooler": self._is_shared(connection),
        }

    def fence(self, driver: Any) -> Fence:
        """Return what keeps functions of one transaction apart."""
        pipeline = Pipeline(driver, prepares=driver.prepare_threshold is not None)
        if not self.in_transaction(driver):
            # psycopg begins with the first statement it sends; ours go past it.
            error = pipeline.run([pipeline.ready("BEGIN")])
            if error is not None:
                raise error
        return PipelineFence(pipeline)

    def in_transaction(self, driver: Any) -> bool:
        """Say whether a transaction is open, also one that failed."""
        connection = driver.pgconn
        status = connection.transaction_status
        if status == _UNDER_WAY:  # statements that ``send`` left, and none of these
            return bool(connection.pipeline_status)  # ends a transaction
        return status in _IN_TRANSACTION

    def has_failed(self, driver: Any) -> bool:
        """Say whether a statement failed, so that COMMIT would be a rollback."""
        return driver.pgconn.transaction_status == _IN_ERROR

    def is_broken(self, driver: Any) -> bool:
        """Say whether the server is gone, and so whatever was not committed."""
        return driver.closed

    def rolled_back_by(self, driver: Any, error: BaseException) -> bool:
        """Say that PostgreSQL never ends a transaction by itself and goes on."""
        return False

    def dooms(self, error: BaseException) -> bool:
        """Say whether isolation failed: of its transaction nothing can be committed.

        Only where ``default_transaction_isolation`` is not READ COMMITTED.
        """
        meaning = classify(error)
        return meaning is not None and meaning.detail.get("sqlstate") == _NOT_ISOLATED

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
        version: int = dbapi_connection.info.server_version
        if version < VERSION_MIN * 10_000:
            raise UnsupportedCapability(
                f"PostgreSQL {version // 10_000} is too old; {VERSION_MIN} is the "
                "oldest that works",
                hint="upgrade the server; pg_dump of the new version carries it over",
                detail={"version": version // 10_000, "version_min": VERSION_MIN},
            )
        # psycopg is an extra; its classes are only there where it is.
        from lockstep.engine.postgresql_reading import guard

        guard(dbapi_connection)
        if self.behind_pooler:
            return
        # Whoever stands between gives a process number of its own. Statements that
        # are prepared there, or settings that stay, would be those of others.
        sql = self._set_config(local=False)
        if self._settings.pooler == "auto":
            sql += f" WHERE pg_backend_pid() = {dbapi_connection.info.backend_pid}"
        cursor = dbapi_connection.cursor()
        cursor.execute(sql)
        if cursor.fetchone() is None:
            record.info[_SHARED] = True
            record.driver_connection.prepare_threshold = None
        cursor.close()
        dbapi_connection.commit()

    def _is_shared(self, connection: sa.Connection) -> bool:
        """Say whether the server's side may be another one in each transaction."""
        return self.behind_pooler or connection.info.get(_SHARED, False)

    def _begin_behind_pooler(self, connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if self._is_shared(connection) and options.get("isolation_level") != (
            "AUTOCOMMIT"
        ):
            connection.exec_driver_sql(self._set_config(local=True))


def _note_begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    # None: a transaction that may write anyway is not looked at.
    reading = options.get("postgresql_readonly")
    connection.info[MAY_HAVE_WRITTEN] = False if reading else None


def _refuse_failed(connection: sa.Connection) -> None:
    """Refuse to commit after an error that nobody let out.

    The server would answer COMMIT with a rollback, and psycopg takes it for success.
    A transaction that reads loses nothing by it.
    """
    options = connection.get_execution_options()
    driver: Any = connection.connection.driver_connection
    if (
        not options.get("postgresql_readonly")
        and driver.pgconn.transaction_status == _IN_ERROR
    ):
        raise EngineError(FAILED_EARLIER, hint=FAILED_EARLIER_HINT)


def _marking_errors(commit: Callable[[Any], None]) -> Callable[[Any], None]:
    """Let an error tell that it came instead of COMMIT's answer.

    Not in a transaction that reads: nothing of it could be written.
    """

    def marked(dbapi_connection: Any) -> None:
        try:
            commit(dbapi_connection)
        except Exception as error:
            info = dbapi_connection.info
            if isinstance(info, dict) and info.get(MAY_HAVE_WRITTEN) is None:  # pyright: ignore[reportUnknownMemberType]
                setattr(error, WHILE_COMMITTING, True)
            raise

    return marked


def _note_statement(connection: sa.Connection, cursor: Any, *_: Any) -> None:
    note_statement(connection, cursor)


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


def _is_secret(parameter: str) -> bool:
    return parameter.lower() in SECRET_PARAMETERS


def _refuse_unknown_parameters(names: Iterable[str]) -> None:
    """Refuse what libpq would refuse at the first connection, with a better text."""
    from psycopg import pq

    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"the PostgreSQL URL has an unknown parameter '{name}'",
                hint=f"did you mean '{near[0]}'?" if near else "libpq knows none such",
                detail={"parameter": name},
            )
