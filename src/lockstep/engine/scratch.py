"""Throw-away databases: empty when they begin, gone when they end.

Owns making and removing them on each engine, and which PostgreSQL server they
are made on: ``scratch_postgresql_url`` of the settings, ``LOCKSTEP_TEST_DSN``, or
an embedded server that this process shares and that ends with it.

Invariant: a scratch database has a random name that no other has, and nothing
but that database is created or dropped.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lockstep.engine.embedded import EmbeddedPostgres
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import ConfigError, LockstepError

if TYPE_CHECKING:
    from lockstep.config import Settings

SERVER_VARIABLE = "LOCKSTEP_TEST_DSN"
NAME_PREFIX = "lockstep_scratch_"

_shared_lock = threading.Lock()
_shared: dict[int, EmbeddedPostgres] = {}


@contextmanager
def scratch_database(
    dialect_name: str, settings: Settings | None = None
) -> Iterator[str]:
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


@contextmanager
def postgresql_database(server_url: str) -> Iterator[str]:
    """Make a database on the server of ``server_url``, yield its URL, drop it."""
    import psycopg

    from lockstep.engine.postgresql_errors import classify_postgresql

    parsed = DatabaseUrl.parse(server_url)
    name = NAME_PREFIX + secrets.token_hex(8)
    try:
        with psycopg.connect(**connect_arguments(parsed), autocommit=True) as server:
            # FILE_COPY: with fsync off it is three times faster, and the drop
            # too. Before 15 it is the only way and has no name.
            strategy = (
                " STRATEGY FILE_COPY" if server.info.server_version >= 150000 else ""
            )
            server.execute(f"CREATE DATABASE {name} TEMPLATE template0{strategy}")
    except psycopg.Error as error:
        meaning: LockstepError = classify_postgresql(error)
        raise meaning from error
    try:
        url = parsed.sqlalchemy_url().set(drivername="postgresql", database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        with psycopg.connect(**connect_arguments(parsed), autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def connect_arguments(url: DatabaseUrl) -> dict[str, Any]:
    """Return what ``psycopg.connect`` takes to reach ``url``."""
    dialect = sa.dialects.registry.load("postgresql.psycopg")()
    _, arguments = dialect.create_connect_args(url.sqlalchemy_url())
    arguments.pop("context", None)
    return arguments
