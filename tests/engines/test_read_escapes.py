"""Whoever only reads cannot write, whatever SQL is tried, by whichever way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
import sqlalchemy as sa

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine import Database
from lockstep.engine.unit import Unit
from lockstep.errors import InvalidStatement, ReadOnlySession

WRITE = "INSERT INTO part VALUES (2, 'nut')"

ESCAPES: dict[str, list[str]] = {
    "several in one": [f"COMMIT; {WRITE}"],
    "several in one behind a query": [f"SELECT 1; COMMIT; BEGIN; {WRITE}; COMMIT"],
    "commit": ["/* ; */ COMMIT", WRITE, "COMMIT"],
    "end": ["END", WRITE],
    "rollback": ["ROLLBACK", WRITE, "COMMIT"],
    "begin behind commit": ["COMMIT", "BEGIN", WRITE, "COMMIT"],
    "immediate": ["COMMIT", "BEGIN IMMEDIATE", WRITE, "COMMIT"],
    "set transaction": ["SET TRANSACTION READ WRITE", WRITE, "COMMIT"],
    "set the name": ["set /**/ local transaction_read_only = off", WRITE, "COMMIT"],
    "reset": ["RESET ALL", "RESET transaction_read_only", WRITE, "COMMIT"],
    "begin again": ["BEGIN READ WRITE", WRITE, "COMMIT"],
    "start again": ["START TRANSACTION READ WRITE", WRITE, "COMMIT"],
    "session": [
        *("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "COMMIT"),
        *(WRITE, "COMMIT"),
    ],
    "chain": ["COMMIT AND CHAIN", "SET TRANSACTION READ WRITE", WRITE, "COMMIT"],
    "function": [
        *("SELECT set_config('transaction_read_only', 'off', false)", WRITE),
        "COMMIT",
    ],
    "block": [
        f"DO $$ BEGIN SET TRANSACTION READ WRITE; {WRITE}; COMMIT; END $$",
        "COMMIT",
    ],
    "prepared": [f"PREPARE p AS {WRITE}", "EXECUTE p", "COMMIT"],
    "explained": [f"EXPLAIN ANALYZE {WRITE}", "COMMIT"],
    "inside of a query": [f"WITH x AS ({WRITE} RETURNING 1) SELECT * FROM x", "COMMIT"],
    "savepoint": ["SAVEPOINT a", "SET TRANSACTION READ WRITE", WRITE, "COMMIT"],
    "default": [
        *("SET default_transaction_read_only = off", "COMMIT", "BEGIN", WRITE),
        "COMMIT",
    ],
}


@pytest.fixture
def parts(db: Database) -> Database:
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (id INTEGER PRIMARY KEY, n TEXT)"))
    return db


def count(db: Database) -> int:
    with db.read_session() as session:
        return session.scalars(sa.text("SELECT count(*) FROM part")).one()


def in_a_session(db: Database, texts: list[str]) -> None:
    with db.read_session() as session:
        for text in texts:
            session.execute(sa.text(text))


def in_an_async_session(db: Database, texts: list[str]) -> None:
    async def run() -> None:
        try:
            async with db.async_read_session() as session:
                for text in texts:
                    await session.execute(sa.text(text))
        finally:
            await db.aclose()

    asyncio.run(run())


def _in_a_unit(execute: Callable[[Unit, str], object]) -> Callable[..., None]:
    def run(db: Database, texts: list[str]) -> None:
        def function(unit: Unit) -> None:
            for text in texts:
                execute(unit, text)

        db.read(function)

    return run


WAYS: dict[str, Callable[[Database, list[str]], None]] = {
    "session": in_a_session,
    "async session": in_an_async_session,
    "unit": _in_a_unit(lambda unit, text: unit.execute(text)),
    "driver": _in_a_unit(lambda unit, text: unit.driver.execute(text)),
    "connection": _in_a_unit(lambda unit, text: unit.connection.exec_driver_sql(text)),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_sql_leads_out_of_a_read_transaction(parts: Database, way: str) -> None:
    """An error, or nothing: but no row, now or for whoever comes next."""
    for name, texts in ESCAPES.items():
        with suppress(Exception):  # what matters is what is there afterwards
            WAYS[way](parts, texts)
        assert count(parts) == 0, name
    with parts.write_session() as session:
        session.execute(sa.text(WRITE))
    assert count(parts) == 1, "a reader's guard was left on the connection"


@pytest.mark.engines("sqlite", "libsql")
def test_the_driver_s_own_methods_lead_nowhere(parts: Database) -> None:
    def commit(unit: Unit) -> None:
        unit.execute("SELECT 1").fetchall()
        unit.driver.commit()
        unit.driver.execute(WRITE)

    def many(unit: Unit) -> None:
        unit.driver.commit()
        unit.driver.executemany("INSERT INTO part VALUES (?, ?)", [(2, "nut")])

    for function in (commit, many):
        with pytest.raises(ReadOnlySession):
            parts.read(function)
    assert count(parts) == 0


@pytest.mark.engines("libsql")
def test_a_whole_transaction_of_a_libsql_driver_is_refused(parts: Database) -> None:
    def transaction(unit: Unit) -> None:
        unit.driver.commit()
        unit.driver.transaction([(WRITE, ())])

    def script(unit: Unit) -> None:
        unit.driver.commit()
        unit.driver.executescript(WRITE)

    for function in (transaction, script):
        with pytest.raises(ReadOnlySession):
            parts.read(function)
    assert count(parts) == 0
    with parts.engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(sa.text(WRITE))
    raw = parts.engine.raw_connection()
    raw.cursor().execute(WRITE.replace("2", "3"))
    raw.commit()
    raw.close()
    assert count(parts) == 2, "a reader's guard was left on the connection"


@pytest.mark.engines("postgresql")
def test_several_statements_are_refused_and_a_last_semicolon_is_not(
    parts: Database, make_database: MakeDatabase
) -> None:
    """The server itself counts them: a semicolon may stand in a text."""
    pooled = make_database("postgresql", postgresql={"pooler": "transaction"})
    for database in (parts, pooled):
        with database.read_session() as session:
            assert session.scalar(sa.text("SELECT 'a;b' /* ; */ ; ")) == "a;b"
            session.execute(sa.text("SET LOCAL work_mem = '8MB'"))
            assert session.scalar(sa.text("SHOW work_mem")) == "8MB"
        with pytest.raises(InvalidStatement), database.read_session() as session:
            session.execute(sa.text("SELECT 1; SELECT 2"))
        with database.write_session() as session:
            session.execute(sa.text("SELECT 1; SELECT 2"))
