"""A cursor that is kept half read holds nobody up after its session.

SQLite lets such a statement run on through commit and rollback. The next who gets the
connection must neither read the past nor be refused when another process has written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine import Database

SELECT = "SELECT n FROM numbers ORDER BY n"
COUNT = "SELECT count(*) FROM numbers"

Keep = Callable[[Database, list[Any]], None]


@pytest.fixture
def numbers(make_database: MakeDatabase) -> Iterator[Database]:
    # One connection, so that the next one gets the same.
    with make_database("sqlite", pool={"size": 1, "overflow_max": 0}) as database:
        with database.write_session() as session:
            connection = session.connection()
            connection.exec_driver_sql("CREATE TABLE numbers (n INTEGER) STRICT")
            connection.exec_driver_sql("INSERT INTO numbers VALUES (1), (2), (3)")
        yield database


def half_read(cursor: Any, kept: list[Any]) -> None:
    assert tuple(cursor.fetchone()) == (1,)
    kept.append(cursor)


def in_read(database: Database, kept: list[Any]) -> None:
    database.read(lambda unit: half_read(unit.execute(SELECT), kept))


def in_read_on_the_driver(database: Database, kept: list[Any]) -> None:
    database.read(lambda unit: half_read(unit.driver.execute(SELECT), kept))


def in_read_by_sqlalchemy(database: Database, kept: list[Any]) -> None:
    database.read(lambda unit: half_read(unit.connection.exec_driver_sql(SELECT), kept))


def in_write(database: Database, kept: list[Any]) -> None:
    database.write(lambda unit: half_read(unit.execute(SELECT), kept))


def in_read_session(database: Database, kept: list[Any]) -> None:
    with database.read_session() as session:
        half_read(session.connection().exec_driver_sql(SELECT), kept)


def in_write_session(database: Database, kept: list[Any]) -> None:
    with database.write_session() as session:
        half_read(session.connection().exec_driver_sql(SELECT), kept)


KEEPERS: list[Keep] = [
    *(in_read, in_read_on_the_driver, in_read_by_sqlalchemy),
    *(in_write, in_read_session, in_write_session),
]


@pytest.mark.parametrize("keep", KEEPERS)
def test_nobody_reads_the_past_or_waits_for_ever(numbers: Database, keep: Keep) -> None:
    kept: list[Any] = []
    keep(numbers, kept)
    with closing(sqlite3.connect(str(numbers.url.path))) as elsewhere:
        elsewhere.execute("INSERT INTO numbers VALUES (4)")
        elsewhere.commit()
    assert numbers.read(lambda unit: unit.execute(COUNT).fetchone()) == (4,)
    numbers.write(lambda unit: unit.execute("INSERT INTO numbers VALUES (5)"))
    with numbers.read_session() as session:
        count = session.connection().exec_driver_sql(COUNT).scalar_one()
    assert count == 5
    with pytest.raises(Exception, match=r"interrupted|closed"):
        kept[0].fetchone()


def test_who_closes_last_still_writes_the_checkpoint(numbers: Database) -> None:
    path = numbers.url.path
    assert path is not None
    numbers.read(lambda unit: unit.execute(COUNT).fetchone())
    numbers.close()
    assert [each.name for each in path.parent.glob(f"{path.name}*")] == [path.name]
