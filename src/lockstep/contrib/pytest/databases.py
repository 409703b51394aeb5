"""Fixtures that make databases: one per test, empty, on each engine.

Owns where they come from and that they are gone afterwards. Everything heavy is
imported inside the fixtures, because the plugin is loaded by every pytest run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from lockstep.clock import ManualClock
    from lockstep.engine import Database
    from lockstep.engine.embedded_libsql import EmbeddedLibsql


class MakeDatabase(Protocol):
    """What the fixture ``make_database`` is."""

    def __call__(self, engine_name: str, **settings: Any) -> Database:
        """Return a new empty database; ``settings`` as ``load_settings`` takes."""
        ...


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """The PostgreSQL server that tests make their databases on.

    Attributes:
        url: With credentials, if it has any; of the database ``postgres``.
        embedded: Started for these tests, so its settings are known: unix
            socket, superuser, ``wal_level=logical``.
    """

    url: str
    embedded: bool


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of ``LOCKSTEP_TEST_DSN``, or an embedded one.

    A server that cannot be started or reached is an error, never a skip.
    """
    from lockstep.engine.scratch import (
        SERVER_VARIABLE,
        shared_server,
        stop_shared_server,
    )
    from lockstep.errors import LockstepError

    named = os.environ.get(SERVER_VARIABLE)
    if named:
        yield PostgresServer(named, embedded=False)
        return
    try:
        # The one that scratch databases use too: one server for the whole run.
        server = shared_server()
    except LockstepError as error:
        pytest.fail(
            f"PostgreSQL cannot be started, so its tests cannot run.\n{error}\n"
            f"Name a server in {SERVER_VARIABLE}, or choose --lockstep-engines=sqlite.",
            pytrace=False,
        )
    try:
        yield PostgresServer(server.url, embedded=True)
    finally:
        stop_shared_server()


@pytest.fixture(scope="session")
def libsql_server() -> Iterator[EmbeddedLibsql]:
    """A libsql-server, started for these tests; one for the whole run.

    A server that cannot be started is an error, never a skip.
    """
    from lockstep.engine.scratch import (
        shared_libsql_server,
        stop_shared_libsql_server,
    )
    from lockstep.errors import LockstepError

    try:
        server = shared_libsql_server()
    except LockstepError as error:
        pytest.fail(
            f"libsql-server cannot be started, so its tests cannot run.\n{error}\n"
            "Or choose other engines: --lockstep-engines=sqlite,postgresql.",
            pytrace=False,
        )
    try:
        yield server
    finally:
        stop_shared_libsql_server()


@pytest.fixture
def lockstep_engine(request: pytest.FixtureRequest) -> str:
    """The engine this test runs on: ``sqlite``, ``libsql`` or ``postgresql``."""
    name: str = request.param
    return name


@pytest.fixture
def make_database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[MakeDatabase]:
    """Make any number of empty databases; all are gone after the test."""
    with ExitStack() as stack:
        made = 0

        def make(engine_name: str, **settings: Any) -> Database:
            from lockstep.config import load_settings
            from lockstep.engine import Database
            from lockstep.engine.scratch import libsql_database, postgresql_database
            from lockstep.errors import LockstepError

            nonlocal made
            made += 1
            if engine_name == "sqlite":
                url = f"sqlite:///{tmp_path / f'test-{made}.db'}"
            elif engine_name == "libsql":
                libsql: EmbeddedLibsql = request.getfixturevalue("libsql_server")
                url = stack.enter_context(libsql_database(libsql))
            else:
                server: PostgresServer = request.getfixturevalue("postgres_server")
                try:
                    url = stack.enter_context(postgresql_database(server.url))
                except LockstepError as error:
                    pytest.fail(
                        f"no database can be made on the test server: {error}",
                        pytrace=False,
                    )
            loaded = load_settings(start=tmp_path, env={}, url=url, **settings)
            database = Database(url, settings=loaded)
            stack.callback(database.close)
            return database

        yield make


@pytest.fixture
def db(lockstep_engine: str, make_database: MakeDatabase) -> Database:
    """An empty database of this test alone, once per engine."""
    return make_database(lockstep_engine)


@pytest.fixture
def db_url(db: Database) -> str:
    """The URL of ``db``, with its credentials, for another process."""
    return db.url.unmasked()


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that moves only when the test says so."""
    from lockstep.clock import ManualClock

    return ManualClock()
