"""What ``Database.read`` shares with the pool: connections, and no snapshot."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import sqlalchemy as sa

from lockstep import Database
from lockstep.engine.sqlite_reading import READING
from lockstep.errors import LockstepError

COUNT = "SELECT count(*) FROM numbers"


@pytest.fixture
def numbers(db: Database) -> Database:
    db.write(lambda unit: unit.execute("CREATE TABLE numbers (n integer)"))
    return db


def add(database: Database) -> None:
    database.write(lambda unit: unit.execute("INSERT INTO numbers VALUES (1)"))


def test_the_three_ways_into_a_unit_see_one_snapshot(numbers: Database) -> None:
    def look(unit: Any) -> list[int]:
        seen = [unit.execute(COUNT).fetchone()[0]]
        add(numbers)
        seen.append(unit.connection.execute(sa.text(COUNT)).scalar_one())
        seen.append(unit.session.execute(sa.text(COUNT)).scalar_one())
        seen.append(unit.execute(COUNT).fetchone()[0])
        return seen

    assert numbers.read(look) == [0, 0, 0, 0]
    assert numbers.read(look) == [1, 1, 1, 1]


def test_reading_gives_its_connection_back(numbers: Database) -> None:
    def fail(unit: Any) -> None:
        # Two while the writer, whose caller was answered, lets go of its own.
        assert numbers.pool_statistics().checked_out >= 1
        unit.connection.execute(sa.text("SELECT * FROM nothing"))

    for _ in range(3):
        with pytest.raises(LockstepError):
            numbers.read(fail)
        assert numbers.read(lambda unit: unit.execute(COUNT).fetchone()[0]) == 0
    until = time.monotonic() + 10
    while numbers.pool_statistics().checked_out and time.monotonic() < until:
        time.sleep(0.001)
    assert numbers.pool_statistics().checked_out == 0


@pytest.mark.anyio
async def test_functions_that_wait_together_are_answered_apart(
    numbers: Database,
) -> None:
    def look(unit: Any) -> int:
        return unit.connection.execute(sa.text(COUNT)).scalar_one()

    def fail(unit: Any) -> None:
        raise ZeroDivisionError

    for number in range(3):
        functions = [look, fail, look, fail, look]
        found = await asyncio.gather(
            *map(numbers.async_read, functions), return_exceptions=True
        )
        assert [f if isinstance(f, int) else type(f) for f in found] == [
            *(number, ZeroDivisionError, number, ZeroDivisionError, number)
        ]
        add(numbers)


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("way", ["raw", "autocommit", "session", "unit"])
def test_whoever_takes_the_connection_of_a_reader_may_write(
    numbers: Database, way: str
) -> None:
    numbers.close()
    drivers = [numbers.read(lambda unit: id(unit.driver)) for _ in range(2)]
    assert drivers[0] == drivers[1]
    insert = "INSERT INTO numbers VALUES (2)"
    if way == "raw":
        pooled = numbers.engine.raw_connection()
        assert READING not in pooled.info
        pooled.cursor().execute(insert)
        pooled.commit()
        pooled.close()
    elif way == "autocommit":
        plain = numbers.engine.execution_options(isolation_level="AUTOCOMMIT")
        with plain.connect() as connection:
            connection.exec_driver_sql(insert)
    elif way == "session":
        with numbers.write_session() as session:
            session.execute(sa.text(insert))
    else:
        numbers.write(lambda unit: unit.execute(insert))
    assert numbers.read(lambda unit: unit.execute(COUNT).fetchone()[0]) == 1


@pytest.mark.engines("sqlite")
def test_reading_again_finds_the_connection_guarded(
    numbers: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    guards: list[Any] = []
    monkeypatch.setattr("lockstep.engine.sqlite.forbid_writing", guards.append)
    numbers.close()
    for _ in range(3):
        numbers.read(lambda unit: None)
    assert len(guards) == 1
