"""SQLite files that are refused: by place, and by company."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest
import sqlalchemy as sa

from lockstep.config import load_settings
from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine import Database, sqlite_files
from lockstep.errors import NetworkFilesystem, SecondSqliteLibrary

pytestmark = pytest.mark.engines("sqlite")


@pytest.fixture
def on_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the mount table say that ``tmp_path/share`` is a network file system."""
    share = tmp_path / "share"
    share.mkdir()
    table = tmp_path / "mountinfo"
    table.write_text(
        f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {share} rw - nfs4 nas:/x rw\n"
    )
    monkeypatch.setattr(sqlite_files, "MOUNT_TABLE", table)
    return share


def test_a_file_on_a_network_file_system_is_not_even_made(on_a_network: Path) -> None:
    path = on_a_network / "a.db"
    with Database(path) as db:
        with pytest.raises(NetworkFilesystem) as caught:
            db.ping()
        with pytest.raises(NetworkFilesystem):
            db.engine.connect()
        with pytest.raises(NetworkFilesystem):
            asyncio.run(ping_async(db))
    assert "ALLOW_NETWORK_FILESYSTEM=1" in caught.value.hint
    assert list(on_a_network.iterdir()) == []


async def ping_async(db: Database) -> None:
    async with db.async_read_session() as session:
        await session.execute(sa.text("SELECT 1"))


def test_the_hint_s_variable_allows_it(on_a_network: Path) -> None:
    env = {"LOCKSTEP_SQLITE__ALLOW_NETWORK_FILESYSTEM": "1"}
    url = f"sqlite:///{on_a_network / 'a.db'}"
    with Database(url, settings=load_settings(env=env, url=url)) as db:
        assert db.ping() > 0


def test_memory_has_no_place(on_a_network: Path) -> None:
    with Database("sqlite://") as db:
        assert db.ping() > 0


@pytest.fixture
def foreign(db: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A file of ours, in a process that has imported another SQLite library."""
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (id INTEGER)"))
    monkeypatch.setitem(sys.modules, "apsw", types.ModuleType("apsw"))
    return db


def open_as_another_library_would(db: Database) -> int:
    assert db.url.path
    return os.open(db.url.path, os.O_RDWR)


def test_a_file_that_another_library_opened_first_is_refused(foreign: Database) -> None:
    foreign.close()
    descriptor = open_as_another_library_would(foreign)
    try:
        for use in (foreign.ping, lambda: asyncio.run(ping_async(foreign))):
            with pytest.raises(SecondSqliteLibrary):
                use()
    finally:
        os.close(descriptor)
    assert foreign.ping() > 0


def test_a_file_that_another_library_opened_later_is_refused(foreign: Database) -> None:
    assert foreign.ping() > 0
    descriptor = open_as_another_library_would(foreign)
    try:
        with pytest.raises(SecondSqliteLibrary):
            foreign.ping()
    finally:
        os.close(descriptor)
    assert foreign.ping() > 0


def test_the_library_alone_is_no_reason(foreign: Database) -> None:
    """Our own connections, opening and closing all the time, are told apart."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                foreign.ping()
        except BaseException as error:
            failures.append(error)

    for _ in range(3):
        threads = [threading.Thread(target=work) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asyncio.run(ping_async(foreign))
        foreign.engine.dispose()
    assert failures == []
    assert foreign.ping() > 0


def test_two_databases_of_ours_on_one_file_are_fine(foreign: Database) -> None:
    with Database(foreign.url.unmasked(), settings=foreign.settings) as other:
        with foreign.read_session() as session:
            session.execute(sa.text("SELECT * FROM part"))
            assert other.ping() > 0
        with other.write_session() as session:
            session.execute(sa.text("INSERT INTO part VALUES (1)"))
        assert foreign.ping() > 0


def test_the_setting_allows_a_second_library(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = make_database("sqlite", sqlite={"allow_second_library": True})
    monkeypatch.setitem(sys.modules, "apsw", types.ModuleType("apsw"))
    db.ping()
    descriptor = open_as_another_library_would(db)
    try:
        assert db.ping() > 0
    finally:
        os.close(descriptor)


_WRITE_BESIDE = """
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
try:
    c.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error.sqlite_errorname)
else:
    print("began")
"""


@pytest.mark.parametrize("disturbed", [False, True])
def test_what_the_refusal_is_about(db: Database, disturbed: bool) -> None:
    """POSIX locks are the process's: any close of the file cancels them all.

    ``os.open`` and ``os.close`` stand for the other library, which does just that
    when it lets go of the file. Then another process writes beside our lock.
    """
    path = str(db.url.path)
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (id INTEGER)"))
        if disturbed:
            os.close(os.open(path + "-shm", os.O_RDWR))
        done = subprocess.run(
            [sys.executable, "-c", _WRITE_BESIDE, path], capture_output=True, text=True
        )
        session.rollback()
    assert done.stdout.strip() == ("began" if disturbed else "SQLITE_BUSY")
