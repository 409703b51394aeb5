"""SQLite's own failures: locks, full disks, damaged and foreign files."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.contrib.pytest.faults import FullDisk, LockHolder
from lockstep.engine import Database
from lockstep.engine.sqlite_errors import EXTENDED, PRIMARY, classify_sqlite
from lockstep.engine.sqlite_files import is_open_here
from lockstep.errors import (
    Busy,
    CheckFailed,
    EngineError,
    InvalidValue,
    StorageFailed,
)

pytestmark = pytest.mark.engines("sqlite")


def run(db: Database, *statements: str) -> None:
    with db.write_session() as session:
        for statement in statements:
            session.execute(sa.text(statement))


@pytest.fixture
def quick(make_database: MakeDatabase) -> Database:
    """A database whose writers give up after a moment."""
    database = make_database("sqlite", sqlite={"busy_timeout_s": 0.2})
    run(database, "CREATE TABLE part (id INTEGER PRIMARY KEY, n INTEGER) STRICT")
    return database


def test_a_writer_waits_its_time_and_no_longer(
    quick: Database, lock_holder: LockHolder
) -> None:
    with lock_holder(quick):
        started = time.monotonic()
        with pytest.raises(Busy) as caught:
            run(quick, "INSERT INTO part VALUES (1, 1)")
        waited_s = time.monotonic() - started
        assert 0.15 < waited_s < 3
        assert caught.value.retryable
        with quick.read_session() as session:  # readers do not wait
            assert session.scalar(sa.text("SELECT count(*) FROM part")) == 0
    run(quick, "INSERT INTO part VALUES (1, 1)")


def test_a_second_writer_of_the_same_thread_gives_up_in_time(quick: Database) -> None:
    run(quick, "INSERT INTO part VALUES (1, 1)")
    started = time.monotonic()
    with quick.write_session() as outer:
        outer.execute(sa.text("UPDATE part SET n = 2"))
        with pytest.raises(Busy):
            run(quick, "UPDATE part SET n = 3")
    assert 0.15 < time.monotonic() - started < 3
    with quick.read_session() as session:
        assert session.scalar(sa.text("SELECT n FROM part")) == 2
    run(quick, "UPDATE part SET n = 3")


def test_a_full_disk_keeps_what_was_there(db: Database, full_disk: FullDisk) -> None:
    run(db, "CREATE TABLE part (n TEXT)", "INSERT INTO part VALUES ('bolt')")
    full_disk(db, pages_free=2)
    with pytest.raises(StorageFailed) as caught:
        run(db, "INSERT INTO part VALUES (hex(zeroblob(100000)))")
    assert caught.value.detail["sqlite_code"] == sqlite3.SQLITE_FULL
    run(db, "UPDATE part SET n = 'nut'")
    with db.read_session() as session:
        assert session.scalars(sa.text("SELECT n FROM part")).all() == ["nut"]


_GROW = """
import resource, sys
import sqlalchemy as sa
from lockstep.engine import Database
from lockstep.errors import StorageFailed
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Database(sys.argv[1]) as db:
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (n TEXT)"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        with db.write_session() as session:
            session.execute(sa.text("INSERT INTO part VALUES (hex(zeroblob(500000)))"))
    except StorageFailed as error:
        print(error.detail["sqlite_name"])
    with db.write_session() as session:
        session.execute(sa.text("INSERT INTO part VALUES ('small')"))
"""


def test_the_operating_system_s_own_limit(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    done = subprocess.run(
        [sys.executable, "-c", _GROW, url], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("SQLITE_FULL", "SQLITE_IOERR_WRITE")
    with Database(url) as db, db.read_session() as session:
        assert session.scalars(sa.text("SELECT n FROM part")).all() == ["small"]
        assert session.scalar(sa.text("PRAGMA integrity_check")) == "ok"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"Dear Anna, " * 1000, "it is text"),
        (gzip.compress(b"x" * 9000), "gzip"),
        (b"PK\x03\x04" + b"x" * 9000, "zip"),
        (b"--\n-- PostgreSQL database dump\n" * 99, "dump of PostgreSQL"),
        (hashlib.shake_256(b"key").digest(8192), "encrypted"),
        (b"\0" * 8 + b"DUCK" + b"\0" * 9000, "DuckDB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_no_database_is_named_with_what_it_seems_to_be(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    path = tmp_path / "letter.db"
    path.write_bytes(content)

    async def look(db: Database) -> None:
        async with db.async_read_session() as session:
            await session.connection()

    with Database(path) as db:
        for use in (lambda: db.ping(), lambda: asyncio.run(look(db))):
            with pytest.raises(StorageFailed) as caught:
                use()
            assert f"{path} is no SQLite database: " in caught.value.message
            assert kind in caught.value.message
        assert not is_open_here(path)
    assert path.read_bytes() == content


def test_a_damaged_file(db: Database) -> None:
    run(
        db,
        "CREATE TABLE part (n TEXT)",
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 5000)"
        " INSERT INTO part SELECT 'number ' || i FROM c",
    )
    db.close()
    assert db.url.path
    with db.url.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40960)
    with pytest.raises(StorageFailed, match="damaged"), db.read_session() as session:
        session.execute(sa.text("SELECT count(n), max(n) FROM part")).all()


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with Database(tmp_path / "no" / "a.db") as db, pytest.raises(StorageFailed):
        db.ping()
    assert not (tmp_path / "no").exists()


def test_a_read_only_url_writes_nothing(db: Database) -> None:
    run(db, "CREATE TABLE part (n TEXT)")
    with Database(f"file:{db.url.path}?mode=ro") as reader:
        with pytest.raises(StorageFailed):
            run(reader, "INSERT INTO part VALUES ('x')")
        with reader.read_session() as session:
            assert session.scalars(sa.text("SELECT n FROM part")).all() == []


def test_a_strict_column_refuses_another_type(quick: Database) -> None:
    with pytest.raises(InvalidValue, match="INTEGER column"):
        run(quick, "INSERT INTO part VALUES (1, 'many')")


def test_a_trigger_speaks_in_its_own_words(quick: Database) -> None:
    run(
        quick,
        "CREATE TRIGGER no_zero BEFORE INSERT ON part WHEN NEW.n = 0 BEGIN"
        " SELECT RAISE(ABORT, 'zero parts are no parts'); END",
    )
    with pytest.raises(CheckFailed, match="zero parts are no parts"):
        run(quick, "INSERT INTO part VALUES (1, 0)")


def test_an_upgraded_snapshot_is_named(quick: Database) -> None:
    """What our sessions never do; the plain driver does it here."""
    path = str(quick.url.path)
    reader = sqlite3.connect(path, isolation_level=None, timeout=0)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM part").fetchall()
    run(quick, "INSERT INTO part VALUES (1, 1)")
    with pytest.raises(sqlite3.OperationalError) as caught:
        reader.execute("INSERT INTO part VALUES (2, 2)")
    reader.close()
    error = classify_sqlite(caught.value)
    assert isinstance(error, Busy)
    assert error.detail["sqlite_name"] == "SQLITE_BUSY_SNAPSHOT"


# Those that an error can carry; see https://sqlite.org/rescode.html
PRIMARY_NAMES = (
    *("ERROR", "INTERNAL", "PERM", "ABORT", "BUSY", "LOCKED", "NOMEM", "READONLY"),
    *("INTERRUPT", "IOERR", "CORRUPT", "FULL", "CANTOPEN", "PROTOCOL", "SCHEMA"),
    *("TOOBIG", "CONSTRAINT", "MISMATCH", "MISUSE", "NOLFS", "AUTH", "RANGE"),
    "NOTADB",
)


@pytest.mark.parametrize("name", PRIMARY_NAMES)
def test_every_result_code_has_a_meaning(name: str) -> None:
    error = sqlite3.OperationalError("words that decide nothing")
    error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
    error.sqlite_errorname = name
    meaning = classify_sqlite(error)
    assert type(meaning) is PRIMARY[error.sqlite_errorcode][0]
    assert meaning.detail["sqlite_name"] == name
    # An extended code that the table does not know means what its family means.
    error.sqlite_errorcode |= 250 << 8
    assert type(classify_sqlite(error)) is type(meaning)


@pytest.mark.parametrize("code", sorted(EXTENDED))
def test_extended_codes_win(code: int) -> None:
    error = sqlite3.OperationalError("words that decide nothing")
    error.sqlite_errorcode = code
    assert type(classify_sqlite(error)) is EXTENDED[code][0]


def test_a_code_nobody_knows_is_an_engine_error() -> None:
    error = sqlite3.DatabaseError("new in some later version")
    error.sqlite_errorcode = 99
    assert type(classify_sqlite(error)) is EngineError
