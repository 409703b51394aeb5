"""Throw-away databases: empty when they begin, gone when they end.

Owns making and removing them on each engine, and which server they are made on.
PostgreSQL: ``scratch_postgresql_url`` of the settings, ``LOCKSTEP_TEST_DSN``, or an
embedded server that this process shares and that ends with it. libSQL: an embedded
server of the same kind.

Invariant: a scratch database has a random name that no other has, and nothing
but that database is created or dropped.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lockstep.engine.embedded import EmbeddedPostgres
from lockstep.engine.embedded_libsql import EmbeddedLibsql
from lockstep.engine.sessions import raise_classified
from lockstep.engine.supervised import SupervisedServer
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from lockstep.config import Settings

SERVER_VARIABLE = "LOCKSTEP_TEST_DSN"
NAME_PREFIX = "lockstep_scratch_"

_shared_lock = threading.Lock()
_shared: dict[int, EmbeddedPostgres] = {}
_shared_libsql: dict[int, EmbeddedLibsql] = {}

S = TypeVar("S", bound=SupervisedServer)


@contextmanager
def scratch_database(
    engine_name: str, settings: Settings | None = None
) -> Generator[str]:
    """Make an empty database, yield its URL, remove it.

    SQLite: a file in a temporary folder. libSQL: a namespace of an embedded
    libsql-server. PostgreSQL: a database on the server that
    :func:`scratch_server_url` names.

    Raises:
        ConfigError: ``engine_name`` is no engine's.
        LockstepError: The server cannot be started or reached.
    """
    if engine_name == "sqlite":
        folder = Path(tempfile.mkdtemp(prefix="lockstep-"))
        try:
            yield f"sqlite:///{folder / 'scratch.db'}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    elif engine_name == "libsql":
        if importlib.util.find_spec("httpcore2") is None:
            raise MissingExtraError("A scratch database on libSQL", extra="libsql")
        with libsql_database(shared_libsql_server()) as url:
            yield url
    elif engine_name == "postgresql":
        if importlib.util.find_spec("psycopg") is None:
            raise MissingExtraError("A scratch database on PostgreSQL", extra="pg")
        with postgresql_database(scratch_server_url(settings)) as url:
            yield url
    else:
        raise ConfigError(
            f"no scratch database can be made on '{engine_name}'",
            hint="name sqlite, libsql or postgresql",
        )


def scratch_server_url(settings: Settings | None = None) -> str:
    """Return the server for scratch databases; starts the shared one if needed."""
    if settings is not None and settings.scratch_postgresql_url:
        return settings.scratch_postgresql_url
    named = os.environ.get(SERVER_VARIABLE)
    return named or shared_server().url


def shared_server() -> EmbeddedPostgres:
    """Return this process's embedded PostgreSQL; it ends with the process."""
    return _share(_shared, EmbeddedPostgres)


def stop_shared_server() -> None:
    """Stop this process's embedded PostgreSQL; the next use starts another."""
    _stop(_shared)


def shared_libsql_server() -> EmbeddedLibsql:
    """Return this process's embedded libsql-server; it ends with the process."""
    return _share(_shared_libsql, EmbeddedLibsql)


def stop_shared_libsql_server() -> None:
    """Stop this process's embedded libsql-server; the next use starts another."""
    _stop(_shared_libsql)


def _share(shared: dict[int, S], kind: Callable[[], S]) -> S:
    with _shared_lock:
        # By process: a forked child has no server of its own yet.
        server = shared.get(os.getpid())
        if server is None:
            server = shared[os.getpid()] = kind().start()
        return server


def _stop(shared: dict[int, S]) -> None:
    with _shared_lock:
        server = shared.pop(os.getpid(), None)
    if server is not None:
        server.stop()


@contextmanager
def libsql_database(server: EmbeddedLibsql) -> Generator[str]:
    """Make a database on ``server``, yield its URL, remove it."""
    name = NAME_PREFIX.replace("_", "-") + secrets.token_hex(8)
    url = server.create(name)
    try:
        yield url
    finally:
        server.drop(name)


@contextmanager
def postgresql_database(server_url: str) -> Generator[str]:
    """Make a database on the server of ``server_url``, yield its URL, drop it.

    Sessions that are still open on it when it is dropped are ended.
    """
    server = DatabaseUrl.parse(server_url)
    name = NAME_PREFIX + secrets.token_hex(8)
    _create(server.unmasked(), name)
    try:
        url = server.sqlalchemy_url().set(drivername="postgresql", database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        _drop(server.unmasked(), name)


def _create(server: str, name: str) -> None:
    import psycopg
    from psycopg import sql

    with _classified(), psycopg.connect(server, autocommit=True) as connection:
        (fsync,) = connection.execute("SHOW fsync").fetchone() or ("on",)
        # Copying files costs two checkpoints: cheaper than logging every page
        # where nothing waits for the disk, as on an embedded server.
        copies_files = fsync == "off" and connection.info.server_version >= 150000
        command = "CREATE DATABASE {} TEMPLATE template0"
        statement = sql.SQL(command).format(sql.Identifier(name))
        if copies_files:
            statement += sql.SQL(" STRATEGY FILE_COPY")
        connection.execute(statement)


def _drop(server: str, name: str) -> None:
    import psycopg
    from psycopg import sql

    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    with _classified(), psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name)))


@contextmanager
def _classified() -> Generator[None]:
    try:
        yield
    except Exception as error:
        raise_classified(error)
