"""A demo factory per test, on every engine.

The history is upgraded and the demo seeded once per engine; each test gets a copy
of that database, so a test costs a copy and not a migration. Time stands still
until a test moves it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from typing import Protocol

import pytest
import sqlalchemy as sa
from acting import People, demo_people

from fixit.project import prepare
from lockstep import Database
from lockstep.clock import ManualClock
from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine.scratch import postgresql_database, scratch_database

START = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)


class CopyOf(Protocol):
    """What the fixture ``copy_of`` is."""

    def __call__(self, empty: Database, *, demo: bool) -> None:
        """Fill an empty database with FixIt's schema and first rows."""
        ...


@pytest.fixture
def clock() -> ManualClock:
    """The time in the factory: a Monday, six in the morning, UTC."""
    return ManualClock(START)


@pytest.fixture(scope="session")
def copy_of(request: pytest.FixtureRequest) -> Iterator[CopyOf]:
    """Fill databases from ones that are prepared at most once each."""
    with ExitStack() as stack:
        prepared: dict[tuple[str, bool], Database] = {}

        def copy(empty: Database, *, demo: bool) -> None:
            key = (empty.dialect_name, demo)
            if key not in prepared:
                url = stack.enter_context(_scratch(request, empty.dialect_name))
                prepared[key] = Database(url, clock=ManualClock(START))
                prepare(prepared[key], demo=demo)
                prepared[key].close()
            _copy(prepared[key], empty)

        yield copy


def _scratch(
    request: pytest.FixtureRequest, dialect_name: str
) -> AbstractContextManager[str]:
    if dialect_name == "sqlite":
        return scratch_database("sqlite")
    return postgresql_database(request.getfixturevalue("postgres_server").url)


def _copy(prepared: Database, empty: Database) -> None:
    empty.close()
    if prepared.url.path is not None and empty.url.path is not None:
        shutil.copyfile(prepared.url.path, empty.url.path)
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
def empty(blank: Database, copy_of: CopyOf, clock: ManualClock) -> Iterator[Database]:
    """FixIt as it is installed, without the demo: nobody can sign in."""
    copy_of(blank, demo=False)
    with Database(blank.url.unmasked(), settings=blank.settings, clock=clock) as db:
        yield db


@pytest.fixture
def db(blank: Database, copy_of: CopyOf, clock: ManualClock) -> Iterator[Database]:
    """The demo factory."""
    copy_of(blank, demo=True)
    with Database(blank.url.unmasked(), settings=blank.settings, clock=clock) as db:
        yield db


@pytest.fixture
def who(db: Database) -> People:
    """The demo's four users."""
    return demo_people(db)
