"""A demo factory per test, on every engine.

The history is upgraded and the demo seeded once per engine; each test gets a copy
of that database, so a test costs a copy and not a migration. Time stands still
until a test moves it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from acting import People, demo_people
from argon2 import PasswordHasher

from fixit import security
from fixit.project import prepare
from lockstep import Database
from lockstep.clock import ManualClock
from lockstep.contrib.pytest.databases import MakeDatabase, PostgresServer
from lockstep.engine.embedded_libsql import EmbeddedLibsql
from lockstep.engine.scratch import (
    libsql_database,
    postgresql_database,
    scratch_database,
    shared_libsql_server,
)

START = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Run on libSQL only when asked (--lockstep-engines=libsql): it takes minutes.

    The library's own suite runs there always.
    """
    if config.getoption("--lockstep-engines") is not None:
        return
    here = Path(__file__).parent
    left_out = [item for item in items if _is_libsql(item, here)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _is_libsql(item, here)]


def _is_libsql(item: pytest.Item, folder: Path) -> bool:
    call = getattr(item, "callspec", None)
    engine = call.params.get("lockstep_engine") if call else None
    return engine == "libsql" and item.path.is_relative_to(folder)


class Prepared:
    """Databases of one engine that were made ready in this run, to copy from."""

    def __init__(self, new_database: Callable[[], AbstractContextManager[str]]) -> None:
        self._new_database = new_database
        self._kept = ExitStack()
        self._ready: dict[bool, Database] = {}

    def copy_to(self, empty: Database, *, demo: bool) -> None:
        """Fill an empty database with FixIt's schema and first rows."""
        if demo not in self._ready:
            url = self._kept.enter_context(self._new_database())
            with Database(url, clock=ManualClock(START)) as db:
                prepare(db, demo=demo)
            self._ready[demo] = db
        _copy(self._ready[demo], empty)

    def drop(self) -> None:
        """Remove them."""
        self._kept.close()


@pytest.fixture(autouse=True)
def production_hasher(monkeypatch: pytest.MonkeyPatch) -> PasswordHasher:
    """Let PINs cost next to nothing here: argon2 as ever, without the stretching.

    Returns what hashes in production.
    """
    hasher = security._hasher
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(security, "_hasher", quick)
    return hasher


@pytest.fixture
def clock() -> ManualClock:
    """The time in the factory: a Monday, six in the morning, UTC."""
    return ManualClock(START)


@pytest.fixture(scope="session")
def prepared_sqlite() -> Iterator[Prepared]:
    prepared = Prepared(lambda: scratch_database("sqlite"))
    yield prepared
    prepared.drop()


@pytest.fixture(scope="session")
def prepared_libsql(libsql_server: EmbeddedLibsql) -> Iterator[Prepared]:
    prepared = Prepared(lambda: libsql_database(libsql_server))
    yield prepared
    prepared.drop()


@pytest.fixture(scope="session")
def prepared_postgresql(postgres_server: PostgresServer) -> Iterator[Prepared]:
    prepared = Prepared(lambda: postgresql_database(postgres_server.url))
    yield prepared
    prepared.drop()


@pytest.fixture
def prepared(lockstep_engine: str, request: pytest.FixtureRequest) -> Prepared:
    """What this test's database is copied from."""
    return request.getfixturevalue(f"prepared_{lockstep_engine}")


def _copy(prepared: Database, empty: Database) -> None:
    empty.close()
    if prepared.url.path is not None and empty.url.path is not None:
        shutil.copyfile(prepared.url.path, empty.url.path)
        return
    if empty.engine_name == "libsql":
        server = shared_libsql_server()
        names = [server.name_in(db.url.http_url) for db in (prepared, empty)]
        server.drop(names[1])
        server.fork(*names)
        return
    source, target = (db.url.sqlalchemy_url() for db in (prepared, empty))
    server = sa.create_engine(
        target.set(database="postgres"),
        isolation_level="AUTOCOMMIT",
        poolclass=sa.NullPool,
    )
    with server.connect() as connection:
        for statement in (
            f'DROP DATABASE "{target.database}"',
            f'CREATE DATABASE "{target.database}" TEMPLATE "{source.database}"',
        ):
            connection.exec_driver_sql(statement)


@pytest.fixture
def blank(lockstep_engine: str, make_database: MakeDatabase) -> Database:
    """A database with nothing in it."""
    return make_database(lockstep_engine)


@pytest.fixture
def empty(
    blank: Database, prepared: Prepared, clock: ManualClock
) -> Iterator[Database]:
    """FixIt as it is installed, without the demo: nobody can sign in."""
    prepared.copy_to(blank, demo=False)
    with Database(blank.url.unmasked(), settings=blank.settings, clock=clock) as db:
        yield db


@pytest.fixture
def db(blank: Database, prepared: Prepared, clock: ManualClock) -> Iterator[Database]:
    """The demo factory."""
    prepared.copy_to(blank, demo=True)
    with Database(blank.url.unmasked(), settings=blank.settings, clock=clock) as db:
        yield db


@pytest.fixture
def who(db: Database) -> People:
    """The demo's four users."""
    return demo_people(db)
