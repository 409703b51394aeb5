"""libSQL servers: how a connection is made and how a transaction begins.

Owns what Lockstep asks of a libSQL server (libsql-server, hosted or not). How one
speaks to it is ``hrana``'s; a local libSQL file is a SQLite file and ``sqlite.py``'s.

    Database ──► LibsqlBackend ──► HranaDialect (SQLite's, other driver) ──► HTTP
                     └─ begin: read ──► BEGIN, every statement judged by its text
                               write ─► a turn in the process's queue, BEGIN IMMEDIATE

Invariants: nothing is sent before the first statement; foreign keys are enforced
in every stream; a read transaction cannot write (the server has neither authorizer
nor query_only, so the driver refuses whatever is not certain to read); the writers
of a process come one after another, because the server may hang when they do not.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import registry

from lockstep.engine.capabilities import Capabilities
from lockstep.engine.fence import Fence, PipelineFence
from lockstep.engine.hrana.dbapi import BIND_PARAMETERS_MAX, bind
from lockstep.engine.hrana.transport import Server, Transport
from lockstep.engine.hrana.wire import ServerFacts
from lockstep.engine.sqlite import (
    ACCESS_OPTION,
    READ,
    ROLLING_BACK,
    SYNCHRONOUS_LEVELS,
    capabilities_of_sqlite,
)
from lockstep.engine.sqlite_errors import primary_code
from lockstep.engine.write_turns import turns_of
from lockstep.errors import ConfigError, MissingExtraError, UnsupportedCapability

if TYPE_CHECKING:
    from pathlib import Path

    from lockstep.config import Settings
    from lockstep.engine.urls import DatabaseUrl

VERSION_MIN = (3, 37, 0)
"""Of the SQLite inside: STRICT tables."""

_DIALECTS = "lockstep.engine.hrana.dialect"

registry.register("sqlite.hrana", _DIALECTS, "HranaDialect")
registry.register("sqlite.aiohrana", _DIALECTS, "AsyncHranaDialect")


class LibsqlBackend:
    """The libSQL side of a ``Database``."""

    read_options: dict[str, Any] = {ACCESS_OPTION: READ}  # noqa: RUF012

    def __init__(self, url: DatabaseUrl, settings: Settings) -> None:
        self._url = url
        server = server_of(url, settings)
        self._transport = Transport(server, turns_of(url.http_url, is_file=False))
        self._facts = ServerFacts()
        self._commits_before = 0

    def engine_url(self, *, async_: bool) -> sa.URL:
        """Return the URL that ``create_engine`` gets: no token in it."""
        return self._url.sqlalchemy_url(async_)

    def engine_arguments(self) -> dict[str, Any]:
        """Return what ``create_engine`` needs beside URL and pool."""
        return {
            "connect_args": {
                "transport": self._transport,
                "facts": self._facts,
                # Transactions begin below, each in its own way.
                "autocommit": True,
            }
        }

    def install(self, engine: sa.Engine) -> None:
        """Attach the hooks that every transaction and connection goes through."""
        event.listen(engine, "begin", _begin)
        event.listen(engine, "checkout", _allow_writing)

    def close(self) -> None:
        """Close the sockets."""
        self._transport.close()

    def capabilities(self, connection: sa.Connection) -> Capabilities:
        """Return what the SQLite inside of the server can do."""
        version = connection.dialect.server_version_info or (0,)
        return capabilities_of_sqlite(
            "libsql",
            tuple(int(part) for part in version),
            bind_parameters_max=BIND_PARAMETERS_MAX,
        )

    def facts(self, connection: sa.Connection) -> dict[str, Any]:
        """Return what ``Database.describe`` tells about a server."""

        def pragma(name: str) -> Any:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        version = connection.dialect.server_version_info or ()
        return {
            "version": ".".join(str(part) for part in version),
            "size_bytes": pragma("page_count") * pragma("page_size"),
            "server": self._url.http_url,
            "hrana": self._facts.version,
            "journal_mode": pragma("journal_mode"),
            "synchronous": SYNCHRONOUS_LEVELS[pragma("synchronous")],
            "foreign_keys": bool(pragma("foreign_keys")),
        }

    def fence(self, driver: Any) -> Fence:
        """Return what keeps functions of one transaction apart."""
        self._commits_before = driver.commits
        return PipelineFence(HranaPipeline(driver))

    def in_transaction(self, driver: Any) -> bool:
        """Say whether a transaction is open."""
        return driver.in_transaction and not driver.is_lost

    def has_failed(self, driver: Any) -> bool:
        """Say no: a statement that fails undoes itself, or the whole transaction."""
        return False

    def is_broken(self, driver: Any) -> bool:
        """Say whether the server ended the transaction, or cannot be reached."""
        return driver.is_lost and not driver.was_rolled_back

    def dooms(self, error: BaseException) -> bool:
        """Say no: a savepoint takes back what failed."""
        return False

    def rolled_back_by(self, driver: Any, error: BaseException) -> bool:
        """Say whether SQLite itself rolled back when this error came."""
        was_committed = driver.commits != self._commits_before
        return primary_code(error) in ROLLING_BACK and not was_committed


def server_of(url: DatabaseUrl, settings: Settings) -> Server:
    """Return where a libSQL server is, with the token of the URL or the settings.

    Raises:
        MissingExtraError: The library that speaks HTTP is not installed.
    """
    if importlib.util.find_spec("httpcore2") is None:
        raise MissingExtraError("libSQL", extra="libsql")
    given = settings.libsql
    return Server(
        url.http_url,
        auth_token=token_of(url, settings),
        connect_timeout_s=given.connect_timeout_s,
        call_timeout_s=given.statement_timeout_s,
        turn_timeout_s=given.busy_timeout_s,
        stream_timeout_s=given.stream_timeout_s,
    )


def token_of(url: DatabaseUrl, settings: Settings) -> str | Callable[[], str] | None:
    """Return the token for a server, or what reads it anew for each request."""
    given = settings.libsql
    if url.auth_token is not None:
        return url.auth_token
    if given.auth_token is not None:
        return given.auth_token.get_secret_value()
    if given.auth_token_file is not None:
        return partial(_read_token, given.auth_token_file)
    return None


def _read_token(file: Path) -> str:
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the token's file {file} cannot be read ({type(error).__name__})",
            hint="LOCKSTEP_LIBSQL__AUTH_TOKEN_FILE names a file that holds it alone",
        ) from None
    if not token.isprintable():
        raise ConfigError(f"the token's file {file} holds more than a token")
    return token


class HranaPipeline:
    """Many statements in one batch; see ``pipeline.py`` for what it is to do."""

    together = None

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._sent: list[Any] = []

    def ready(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return a statement with its values as they are sent."""
        return replace(bind(sql, parameters or ()), want_rows=False)

    def send(self, statements: Iterable[Any], *, prepared: bool = False) -> None:
        """Keep statements for ``finish``: they are one request."""
        self._sent += statements

    def finish(self) -> Exception | None:
        """Run all, or up to the first that fails; return its error."""
        sent, self._sent = self._sent, []
        try:
            self._driver.execute_together(sent)
        except Exception as error:
            if self._driver.is_lost:
                raise
            return error
        return None

    def run(self, statements: Iterable[Any]) -> Exception | None:
        """Send and finish."""
        self.send(statements)
        return self.finish()

    def run_soon(self, sql: str) -> None:
        """Run a savepoint's statement with the next one: no round trip of its own."""
        self._driver.conversation.execute_later(sql)

    def catch_up(self) -> None:
        """Do nothing: what was left goes with whatever comes next."""


def _begin(connection: sa.Connection) -> None:
    version = connection.dialect.server_version_info
    if version is not None and version < VERSION_MIN:
        text = ".".join(map(str, version))
        raise UnsupportedCapability(
            f"SQLite {text} in the server has no STRICT tables",
            hint="upgrade the server: SQLite 3.37 or newer",
        )
    options = connection.get_execution_options()
    driver: Any = connection.connection.dbapi_connection
    # Whoever ends the transaction in words is not out of it.
    driver.only_reads = options.get(ACCESS_OPTION) == READ
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    driver.begin("DEFERRED" if driver.only_reads else "IMMEDIATE")


def _allow_writing(driver: Any, record: Any, proxy: Any) -> None:
    """Give the next one a connection as it was made, whoever had it before."""
    driver.only_reads = False
