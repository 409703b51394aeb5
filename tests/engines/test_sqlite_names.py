"""A file that loses its name under an open database: nobody is told of success."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from lockstep.engine import Database
from lockstep.errors import StorageFailed

ADD = "INSERT INTO part (id) VALUES (2)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def db(path: Path) -> Database:
    db = Database(f"sqlite:///{path}")
    db.write(lambda unit: unit.execute("CREATE TABLE part (id INTEGER PRIMARY KEY)"))
    db.write(lambda unit: unit.execute("INSERT INTO part (id) VALUES (1)"))
    return db


def replaced(name: Path) -> None:
    other = name.with_name("other")
    shutil.copy(name, other)
    os.replace(other, name)


LOSSES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "the database is deleted": ("", Path.unlink),
    "the database is replaced": ("", replaced),
    "the log is deleted": ("-wal", Path.unlink),
    "the log is replaced": ("-wal", replaced),
    "the index of the log is deleted": ("-shm", Path.unlink),
    "the folder is moved": ("", lambda name: os.rename(name.parent, f"{name.parent}s")),
}


def write(db: Database) -> None:
    db.write(lambda unit: unit.execute(ADD))


def write_in_session(db: Database) -> None:
    with db.write_session() as session:
        session.execute(sa.text(ADD))


def write_in_async_session(db: Database) -> None:
    async def work() -> None:
        async with db.async_write_session() as session:
            await session.execute(sa.text(ADD))

    asyncio.run(work())


@pytest.mark.parametrize("loss", LOSSES)
def test_who_writes_to_a_file_without_a_name_is_told(
    db: Database, path: Path, loss: str
) -> None:
    suffix, lose = LOSSES[loss]
    lost = path.with_name(path.name + suffix)
    lose(lost)
    for attempt in (write, write_in_session, write):
        with pytest.raises(StorageFailed) as caught:
            attempt(db)
        assert caught.value.detail == {"file": str(lost)}
        assert caught.value.hint is not None
        assert ("the last to close" in caught.value.hint) is bool(suffix)
    db.close()


def test_no_connection_writes_on_once_one_has_noticed(db: Database, path: Path) -> None:
    with db.read_session() as reading:
        assert reading.scalar(sa.text("SELECT count(*) FROM part")) == 1
        path.with_name("shop.db-shm").unlink()
        for _ in range(2):
            with pytest.raises(StorageFailed):
                write(db)
    with pytest.raises(StorageFailed):
        write_in_async_session(db)
    db.close()


@pytest.mark.parametrize("suffixes", [["-wal"], ["-shm"], ["-wal", "-shm"]])
def test_what_was_acknowledged_is_there_after_the_last_close(
    db: Database, path: Path, suffixes: list[str]
) -> None:
    for suffix in suffixes:
        path.with_name(path.name + suffix).unlink()
    with pytest.raises(StorageFailed):
        write(db)
    db.close()
    write(db)  # opened anew
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM part").fetchall() == [(1,), (2,)]
    db.close()
