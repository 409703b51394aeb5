"""Who reads leaves a SQLite file as it is; who writes first switches it to WAL."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.engines.together import let_go_together

from lockstep.engine import Database
from lockstep.engine.sqlite_wal import use_wal

pytestmark = pytest.mark.engines("sqlite")

COUNT = sa.text("SELECT count(*) FROM part")
INSERT = "INSERT INTO part VALUES (1)"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A file that another program made, in SQLite's own journal mode."""
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE part (n)")
        connection.execute(INSERT)
    return path


@pytest.fixture
def db(theirs: Path) -> Generator[Database]:
    """A ``Database`` on their file."""
    with Database(theirs) as database:
        yield database


def mode_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


def begin_to_read(path: Path) -> sqlite3.Connection:
    reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM part").fetchall()
    return reader


def write(db: Database) -> None:
    with db.write_session() as session:
        session.execute(sa.text(INSERT))


def read(db: Database) -> None:
    with db.read_session() as session:
        assert session.scalar(COUNT) == 1


def read_function(db: Database) -> None:
    assert db.read(lambda unit: unit.execute(str(COUNT)).fetchone()) == (1,)


def ask(db: Database) -> None:
    assert db.ping()
    assert db.capabilities
    assert db.describe().facts["journal_mode"] == "delete"
    assert sa.inspect(db.reader).get_table_names() == ["part"]


def read_async(db: Database) -> None:
    async def look() -> None:
        async with db.async_read_session() as session:
            assert await session.scalar(COUNT) == 1
        await db.async_read(lambda unit: unit.session.scalar(COUNT))
        await db.aclose()

    asyncio.run(look())


@pytest.mark.parametrize("look", [read, read_function, ask, read_async])
def test_reading_changes_nothing(
    look: Callable[[Database], None], db: Database, theirs: Path
) -> None:
    before, names = theirs.read_bytes(), list(theirs.parent.iterdir())
    changed = theirs.stat().st_mtime_ns
    look(db)
    db.close()
    assert theirs.read_bytes() == before
    assert theirs.stat().st_mtime_ns == changed
    assert list(theirs.parent.iterdir()) == names


def test_reading_an_old_file_sees_one_snapshot(db: Database, theirs: Path) -> None:
    with closing(sqlite3.connect(theirs, timeout=0)) as other, db.read_session() as now:
        assert now.scalar(COUNT) == 1
        with pytest.raises(sqlite3.OperationalError, match="locked"), other:
            other.execute(INSERT)
        assert now.scalar(COUNT) == 1


def write_function(db: Database) -> None:
    db.write(lambda unit: unit.execute(INSERT))


def make_tables(db: Database) -> None:
    sa.MetaData().create_all(db.engine)


def write_async(db: Database) -> None:
    async def work() -> None:
        async with db.async_write_session() as session:
            await session.execute(sa.text(INSERT))
        await db.aclose()

    asyncio.run(work())


@pytest.mark.parametrize("work", [write, write_function, make_tables, write_async])
def test_the_first_write_switches(
    work: Callable[[Database], None], db: Database, theirs: Path
) -> None:
    read(db)
    work(db)
    assert mode_of(theirs) == "wal"


def test_a_connection_asks_once(db: Database) -> None:
    write(db)
    asked: list[str] = []
    with db.engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.set_trace_callback(asked.append)
        connection.execute(COUNT)
        driver.set_trace_callback(None)
    assert asked == ["BEGIN IMMEDIATE", str(COUNT)]


def test_who_reads_meanwhile_holds_up_the_switch_and_not_the_write(
    db: Database, theirs: Path
) -> None:
    with closing(begin_to_read(theirs)) as reader:
        threading.Timer(0.4, lambda: reader.execute("ROLLBACK")).start()
        write(db)
        assert mode_of(theirs) == "delete"
        write(db)
    assert mode_of(theirs) == "wal"
    with db.read_session() as session:
        assert session.scalar(COUNT) == 3


def test_the_switch_waits_for_a_moment_only(theirs: Path) -> None:
    with (
        closing(begin_to_read(theirs)),
        closing(sqlite3.connect(theirs, isolation_level=None, timeout=9)) as writer,
    ):
        started = time.monotonic()
        assert not use_wal(writer, 9)
        assert time.monotonic() - started < 5
        assert writer.execute("PRAGMA busy_timeout").fetchone() == (9000,)
        # It left no lock behind that would keep readers out.
        begin_to_read(theirs).close()
    with closing(sqlite3.connect(theirs, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with closing(sqlite3.connect(theirs, isolation_level=None)) as writer:
            assert not use_wal(writer, 0)


def test_a_file_that_cannot_switch_keeps_its_mode(theirs: Path) -> None:
    with closing(sqlite3.connect(f"file:{theirs}?mode=ro", uri=True)) as fixed:
        assert use_wal(fixed, 1)
        assert fixed.execute("PRAGMA journal_mode").fetchone() == ("delete",)


_FIRST = """
import sys
from lockstep.engine import Database
db = Database(sys.argv[1])
db.settings
print("ready", flush=True)
sys.stdin.readline()
with db:
    db.ping()
    db.write(lambda unit: unit.execute("CREATE TABLE IF NOT EXISTS part (n)"))
    db.write(lambda unit: unit.execute("INSERT INTO part VALUES (1)"))
    print(db.read(lambda unit: unit.execute("SELECT 1 FROM part").fetchone()))
"""


def test_processes_make_and_write_a_new_file_at_the_same_moment(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    printed = let_go_together(_FIRST, [[f"sqlite:///{path}"]] * 4)
    assert printed == ["(1,)\n"] * 4
    assert mode_of(path) == "wal"
    with Database(path) as db, db.read_session() as session:
        assert session.scalar(COUNT) == 4
