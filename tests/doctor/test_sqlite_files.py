"""Files that are no database, damaged, held, left behind: a clear answer, no trace."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from tests.doctor.corpus import make
from tests.mover.test_unparsable import from_later

from lockstep.doctor import Limits, Report, examine
from lockstep.engine import Database
from lockstep.errors import ConfigError, StorageFailed, Unexaminable

R = TypeVar("R")

QUICK = Limits(busy_s=0.2)


def only(report: Report) -> tuple[str, str]:
    """Return severity and text of the one thing that can be said."""
    (finding,) = report.findings
    assert finding.check == "readable"
    return finding.severity, finding.what


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\0" * 8192, "zero bytes"),
        (b"PGDMP\x01\x0e", "pg_dump"),
        (b"BEGIN TRANSACTION;\nCREATE TABLE t (x);\n" * 40, "SQL text"),
        (b"just some notes\n" * 100, "does not begin as SQLite files do"),
        (b"version https://git-lfs.github.com/spec/v1\n" * 20, "git LFS"),
        (hashlib.shake_256(b"key").digest(8192), "encrypted"),
    ],
    ids=["empty", "zeroes", "dump", "sql", "text", "lfs", "encrypted"],
)
def test_what_is_no_database_is_said(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "file.db"
    path.write_bytes(content)
    severity, what = only(examine(path))
    assert severity == "problem"
    assert word in what
    assert path.read_bytes() == content


def test_a_file_that_is_cut_off_is_damaged(tmp_path: Path) -> None:
    path = make(tmp_path / "cut.db", wal=False)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    report = examine(path)
    damage = [f for f in report.findings if f.check == "readable"]
    assert [f.severity for f in damage] == ["problem"]
    assert "damaged" in damage[0].what


def test_overwritten_pages_are_damage(tmp_path: Path) -> None:
    path = make(tmp_path / "torn.db", wal=False)
    whole = bytearray(path.read_bytes())
    whole[4096 * 4 : 4096 * 6] = os.urandom(8192)
    path.write_bytes(whole)
    report = examine(path)
    assert ("readable", "problem") in {(f.check, f.severity) for f in report.findings}
    assert all(run.outcome != "failed" for run in report.runs), report.unfinished


def test_a_file_that_is_not_there_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(Unexaminable, match="there is no"):
        examine(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def test_a_database_in_memory_is_a_wrong_question() -> None:
    with pytest.raises(ConfigError, match="in memory"):
        examine("sqlite://")


def test_a_check_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    with pytest.raises(ConfigError, match="'orphan' is no check") as caught:
        examine(path, checks=["orphan"])
    assert "did you mean 'orphans'" in caught.value.hint


def test_an_exclusive_lock_is_told_and_not_waited_for_long(tmp_path: Path) -> None:
    path = make(tmp_path / "held.db", wal=False)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    started_s = time.monotonic()
    severity, what = only(examine(path, limits=QUICK))
    holder.close()
    assert severity == "problem"
    assert "held by another process" in what
    assert time.monotonic() - started_s < 3


def test_a_hot_journal_is_named_and_not_rolled_back(tmp_path: Path) -> None:
    path = make(tmp_path / "live.db", wal=False)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE orders SET note = hex(randomblob(400))")
    folder = tmp_path / "crashed"
    folder.mkdir()
    for name in ("live.db", "live.db-journal"):
        shutil.copy(tmp_path / name, folder / name)
    writer.execute("ROLLBACK")
    writer.close()
    before = fingerprint(folder)
    severity, what = only(examine(folder / "live.db"))
    assert severity == "problem"
    assert "hot journal" in what
    assert fingerprint(folder) == before


def fingerprint(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Return every file of a folder with its content and times."""
    return {
        path.name: (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
            path.stat().st_size,
        )
        for path in sorted(folder.iterdir())
        if not path.name.endswith("-shm")  # its bytes are marks of live readers
    }


@pytest.mark.parametrize("wal", [True, False])
def test_looking_changes_no_byte_and_leaves_no_file(tmp_path: Path, wal: bool) -> None:
    path = make(tmp_path / "quiet.db", wal=wal)
    names = os.listdir(tmp_path)
    before = fingerprint(tmp_path)
    examine(path)
    assert os.listdir(tmp_path) == names
    assert fingerprint(tmp_path) == before


def test_looking_at_what_a_crash_left_changes_nothing(tmp_path: Path) -> None:
    live = make(tmp_path / "live.db")
    writer = sqlite3.connect(live)
    writer.execute("UPDATE orders SET total_cents = 'twelve' WHERE id = 7")
    writer.commit()
    folder = tmp_path / "left"
    folder.mkdir()
    for name in ("live.db", "live.db-wal"):
        shutil.copy(tmp_path / name, folder / name)
    writer.close()
    before = fingerprint(folder)
    report = examine(folder / "live.db")
    assert sorted(os.listdir(folder)) == list(before)
    assert fingerprint(folder) == before
    found = {(f.check, f.severity, f.subject) for f in report.findings}
    # The row is committed in the -wal only.
    assert ("dirty-types", "warning", "orders.total_cents") in found
    assert ("readable", "notice", "live.db") in found


def test_a_folder_that_cannot_be_written_to_is_no_hot_journal(tmp_path: Path) -> None:
    path = make(tmp_path / "media.db")

    def look() -> Report:
        with (
            Database(f"sqlite:///{path}") as db,
            pytest.raises(StorageFailed) as refused,
        ):
            db.ping()
        assert "immutable=1" in refused.value.hint
        return examine(path)

    tmp_path.chmod(0o555)
    try:
        report = as_an_ordinary_user(look)
    finally:
        tmp_path.chmod(0o755)
    assert report.findings, "it was looked at"
    said = [f.what for f in report.findings if f.check == "readable"]
    assert len(said) == 1
    assert "read without locks" in said[0]


def as_an_ordinary_user(function: Callable[[], R]) -> R:
    """Call it in a thread that has no right to pass over permissions."""

    def call() -> R:
        if os.geteuid() == 0:
            header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
            assert ctypes.CDLL(None).capset(header, none) == 0
        return function()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()


def test_a_wal_without_room_for_a_shm_is_read_and_said(tmp_path: Path) -> None:
    path = make(tmp_path / "media.db")
    # As on read-only media: no -shm can be made.
    (tmp_path / "media.db-shm").symlink_to(tmp_path / "nowhere" / "shm")
    report = examine(path)
    assert ("readable", "notice") in {(f.check, f.severity) for f in report.findings}
    assert any("read without locks" in finding.what for finding in report.findings)


@pytest.mark.parametrize("wal", [True, False])
def test_it_works_while_a_writer_holds_the_lock(tmp_path: Path, wal: bool) -> None:
    path = make(tmp_path / "busy.db", wal=wal)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE orders SET note = 'held' WHERE id = 1")
    report = examine(path, limits=QUICK)
    assert report.unfinished == ()
    writer.execute("COMMIT")
    assert writer.execute("SELECT note FROM orders WHERE id = 1").fetchone() == (
        "held",
    )
    writer.close()


def test_a_program_that_has_the_file_open_keeps_its_locks(tmp_path: Path) -> None:
    """Closing a descriptor of the file would cancel this process's POSIX locks."""
    path = make(tmp_path / "own.db", wal=False)
    own = sqlite3.connect(path, isolation_level=None)
    own.execute("BEGIN IMMEDIATE")
    examine(path, limits=QUICK)
    probe = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0,"
        " isolation_level=None); c.execute('BEGIN IMMEDIATE')"
    )
    other = subprocess.run(
        [sys.executable, "-c", probe, str(path)], capture_output=True, text=True
    )
    own.close()
    assert "database is locked" in other.stderr


def test_the_first_rows_only_is_said(tmp_path: Path) -> None:
    path = make(
        tmp_path / "big.db", "UPDATE orders SET total_cents = 'x' WHERE id IN (3, 1999)"
    )
    report = examine(path, checks=["dirty-types"], limits=Limits(rows_max=500))
    (found,) = report.findings
    assert "1 value of 500" in found.what
    assert "the first 500 rows looked at" in found.what
    assert report.partial == ("orders", "order_lines")
    assert examine(path, checks=["dirty-types"]).partial == ()


def test_a_check_stops_when_its_time_is_up(tmp_path: Path) -> None:
    path = make(tmp_path / "slow.db")
    report = examine(path, checks=["readable"], limits=Limits(check_s=0.0))
    (run,) = report.runs
    assert run.outcome == "incomplete"
    assert not report.is_healthy
    assert "--limit-s" in run.reason


def wal_of(path: Path, sql: str) -> bytes:
    """Return the log that ``sql`` leaves beside a database that is in use."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.executescript(sql)
    content = Path(f"{path}-wal").read_bytes()
    connection.close()
    return content


def put_older_wal(path: Path) -> bytes:
    older = wal_of(path, "CREATE TABLE older (id INTEGER PRIMARY KEY)")
    for number in range(3):
        wal_of(path, f"CREATE TABLE newer_{number} (id INTEGER PRIMARY KEY)")
    return older


def other_wal(path: Path) -> bytes:
    other = path.with_name("other.db")
    make(other)
    return wal_of(other, "CREATE TABLE o (v TEXT); DROP TABLE orders; VACUUM")


FOREIGN_LOGS: dict[str, tuple[bool, Callable[[Path], bytes], str, str]] = {
    "of an older state": (True, put_older_wal, "problem", "another time"),
    "beside a rollback journal's": (False, other_wal, "problem", "rollback-journal"),
    "no log at all": (True, lambda _: b"\0" * 9000, "warning", "no whole transaction"),
}


@pytest.mark.parametrize("name", FOREIGN_LOGS)
def test_a_log_that_does_not_belong_is_named(tmp_path: Path, name: str) -> None:
    wal, foreign, severity, said = FOREIGN_LOGS[name]
    path = make(tmp_path / "shop.db", wal=wal)
    log = foreign(path)
    Path(f"{path}-wal").write_bytes(log)
    before = fingerprint(tmp_path)
    (found,) = examine(path, checks=["readable"]).findings
    assert (found.severity, said in found.what) == (severity, True)
    assert fingerprint(tmp_path) == before


def test_a_log_that_makes_a_sound_file_unreadable_is_named(tmp_path: Path) -> None:
    path = make(tmp_path / "shop.db")
    other = make(tmp_path / "other.db", "DROP TABLE order_lines; VACUUM")
    log = wal_of(
        other,
        "PRAGMA user_version = 7; INSERT INTO orders SELECT id + 9000,"
        " 1, 1, 1, '', '' FROM orders",
    )
    Path(f"{path}-wal").write_bytes(log)
    (found,) = [f for f in examine(path).findings if f.check == "readable"]
    assert found.severity == "problem"
    assert "of another" in found.what


def test_a_copy_without_its_log_and_without_a_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER)")
    copy = tmp_path / "copied" / "app.db"
    copy.parent.mkdir()
    shutil.copy(path, copy)
    connection.close()
    (found,) = examine(copy, checks=["backup-by-copy"]).findings
    assert found.severity == "warning"
    assert "no table" in found.what


def test_statements_of_a_newer_sqlite_are_named_and_all_else_is_looked_at(
    tmp_path: Path,
) -> None:
    path = from_later(tmp_path / "later.db", "newer", "of_later")
    before = path.read_bytes()
    report = examine(path)
    (unreadable,) = (f for f in report.findings if f.check == "readable")
    assert unreadable.severity == "problem"
    assert "3 objects: table of_later, view newer, index of" in unreadable.what
    not_strict = next(f for f in report.findings if f.check == "not-strict")
    assert not_strict.what.startswith("1 table is not STRICT: t")
    assert path.read_bytes() == before
