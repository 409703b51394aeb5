"""Throw-away databases: empty when they begin, gone when they end.

Owns making and removing them on each engine, and which PostgreSQL server they
are made on: ``scratch_postgresql_url`` of the settings, ``LOCKSTEP_TEST_DSN``, or
an embedded server that this process shares and that ends with it.

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
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.engine.embedded import EmbeddedPostgres
from lockstep.engine.sessions import raise_classified
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from lockstep.config import Settings

SERVER_VARIABLE = "LOCKSTEP_TEST_DSN"
NAME_PREFIX = "lockstep_scratch_"

_shared_lock = threading.Lock()
_shared: dict[int, EmbeddedPostgres] = {}


@contextmanager
def scratch_database(
    dialect_name: str, settings: Settings | None = None
) -> Generator[str]:
    """Make an empty database, yield its URL, remove it.

    SQLite: a file in a temporary folder. PostgreSQL: a database on the server
    that :func:`scratch_server_url` names.

    Raises:
        ConfigError: ``dialect_name`` is neither ``sqlite`` nor ``postgresql``.
        LockstepError: The server cannot be started or reached.
    """
    if dialect_name == "sqlite":
        folder = Path(tempfile.mkdtemp(prefix="lockstep-"))
        try:
            yield f"sqlite:///{folder / 'scratch.db'}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    elif dialect_name == "postgresql":
        if importlib.util.find_spec("psycopg") is None:
            raise MissingExtraError("A scratch database on PostgreSQL", extra="pg")
        with postgresql_database(scratch_server_url(settings)) as url:
            yield url
    else:
        raise ConfigError(f"no scratch database can be made on '{dialect_name}'")


def scratch_server_url(settings: Settings | None = None) -> str:
    """Return the server for scratch databases; starts the shared one if needed."""
    if settings is not None and settings.scratch_postgresql_url:
        return settings.scratch_postgresql_url
    named = os.environ.get(SERVER_VARIABLE)
    return named or shared_server().url


def shared_server() -> EmbeddedPostgres:
    """Return this process's embedded server; it ends with the process."""
    with _shared_lock:
        # By process: a forked child has no server of its own yet.
        server = _shared.get(os.getpid())
        if server is None:
            server = _shared[os.getpid()] = EmbeddedPostgres().start()
        return server


def stop_shared_server() -> None:
    """Stop this process's embedded server; the next use starts another."""
    with _shared_lock:
        server = _shared.pop(os.getpid(), None)
    if server is not None:
        server.stop()


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
