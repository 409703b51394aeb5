"""What depends on the machine: mounts, libraries, versions, other processes."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.doctor.corpus import make

from lockstep.config import load_settings
from lockstep.doctor import Finding, Limits, examine
from lockstep.doctor.checks import bind_limit, sqlite_bugs, wal_size
from lockstep.doctor.processes import holders_of, libraries_in
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.doctor.sqlite.opening import opened
from lockstep.engine import sqlite_files

HERE = sqlite3.sqlite_version_info


def look(path: Path, check: str, **options: object) -> list[Finding]:
    report = examine(path, checks=[check], **options)  # type: ignore[arg-type]
    assert report.unfinished == ()
    return list(report.findings)


@contextmanager
def context_of(path: Path) -> Iterator[SqliteContext]:
    with opened(path) as database:
        yield SqliteContext(path, database, Limits())


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Say that the test's folder is an NFS mount."""
    table = tmp_path / "mountinfo"
    table.write_text(
        f"21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"22 21 0:5 / {tmp_path} rw - nfs4 server:/export rw\n"
    )
    monkeypatch.setattr(sqlite_files, "MOUNT_TABLE", table)
    return tmp_path


@pytest.mark.parametrize(("wal", "severity"), [(True, "problem"), (False, "warning")])
def test_a_network_file_system(mounted: Path, wal: bool, severity: str) -> None:
    (found,) = look(make(mounted / "shared.db", wal=wal), "file-system")
    assert (found.severity, found.evidence["filesystem"]) == (severity, "nfs4")


@pytest.mark.parametrize(
    ("folder", "fires"),
    [
        ("Dropbox", True),
        ("OneDrive - Contoso", True),
        ("Mobile Documents", True),
        ("dropbox-importer", False),
        ("data", False),
    ],
)
def test_a_folder_that_is_synced(tmp_path: Path, folder: str, fires: bool) -> None:
    (tmp_path / folder).mkdir()
    found = look(make(tmp_path / folder / "app.db"), "file-system")
    assert bool(found) is fires


MAPS = """\
7f01-7f02 r-xp 00000000 08:01 11 /usr/lib/x86_64-linux-gnu/libsqlite3.so.0.8.6
7f03-7f04 r-xp 00000000 08:01 12 /usr/lib/python3.11/lib-dynload/_sqlite3.cpython.so
7f05-7f06 r-xp 00000000 08:01 13 /venv/site-packages/apsw/__init__.cpython-311.so
7f07-7f08 rw-p 00000000 00:00 0
"""


def test_libraries_are_recognised_by_their_files() -> None:
    assert libraries_in(MAPS) == ("apsw", "the system's libsqlite3")
    assert libraries_in(MAPS.replace("apsw", "numpy")) == ("the system's libsqlite3",)
    bundled = "1-2 r-xp 0 0:0 1 /opt/python/lib/_sqlite3.cpython-312.so"
    assert libraries_in(bundled) == ("Python's own sqlite3",)
    assert libraries_in("") == ()


HOLD = """
import mmap, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM orders").fetchone()
if len(sys.argv) > 2:
    with open(sys.argv[2], "rb") as file:
        second = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def holding(path: Path, *libraries: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has the file open, with further libraries mapped."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), *map(str, libraries)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.communicate(timeout=30)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_with_two_libraries_is_found(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    library = tmp_path / "apsw" / "__init__.so"
    library.parent.mkdir()
    library.write_bytes(b"\x7fELF" + b"\0" * 4096)
    with holding(path, library) as process:
        (found,) = look(path, "second-sqlite-library")
        assert found.severity == "problem"
        assert found.evidence["pid"] == process.pid
        assert "apsw" in found.what
    assert look(path, "second-sqlite-library") == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_with_one_library_is_none_of_our_business(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    with holding(path) as process:
        assert [holder.pid for holder in holders_of(path)] == [process.pid]
        assert look(path, "second-sqlite-library") == []


@pytest.mark.parametrize(
    ("version", "effects"),
    [
        ((3, 51, 3), []),
        ((3, 53, 4), []),
        ((3, 51, 2), ["WAL-reset"]),
        ((3, 40, 1), ["WAL-reset"]),
        ((3, 38, 3), ["WAL-reset", "missing rows"]),
        ((3, 35, 4), ["WAL-reset", "damaged", "damaged"]),
        ((3, 6, 23), []),
    ],
)
def test_bugs_are_told_by_version(
    tmp_path: Path, version: tuple[int, int, int], effects: list[str]
) -> None:
    with context_of(make(tmp_path / "app.db")) as context:
        found = list(sqlite_bugs.found_in(version, context))
    assert len(found) == len(effects)
    for finding, word in zip(found, effects, strict=True):
        assert word in finding.what
        assert "sqlite.org" in finding.why


def test_the_wal_reset_bug_needs_wal_and_warns_where_two_write(tmp_path: Path) -> None:
    with context_of(make(tmp_path / "old.db", wal=False)) as context:
        assert list(sqlite_bugs.found_in((3, 51, 2), context)) == []
    path = make(tmp_path / "wal.db")
    with context_of(path) as context:
        (alone,) = sqlite_bugs.found_in((3, 51, 2), context)
        assert alone.severity == "notice"
        if sys.platform == "linux":
            with holding(path), holding(path):
                (shared,) = sqlite_bugs.found_in((3, 51, 2), context)
                assert shared.severity == "warning"


def test_an_upsert_trigger_bug_needs_such_a_trigger(tmp_path: Path) -> None:
    trigger = """CREATE TRIGGER remember AFTER UPDATE ON customers BEGIN
                 UPDATE orders SET note = old.name WHERE id = 0; END"""
    with context_of(make(tmp_path / "app.db", trigger, wal=False)) as context:
        (found,) = sqlite_bugs.found_in((3, 45, 2), context)
    assert "old.*" in found.what
    assert found.severity == "notice"


def test_a_library_with_few_parameters(tmp_path: Path) -> None:
    assert look(make(tmp_path / "app.db"), "bind-limit") == []
    with context_of(tmp_path / "app.db") as context:
        context.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
        (found,) = bind_limit.examine(context)
    assert found.severity == "warning"
    assert found.evidence == {"limit": 999}


@pytest.mark.parametrize(
    ("level", "wal", "severity"),
    [
        ("off", True, "problem"),
        ("normal", True, "notice"),
        ("normal", False, "warning"),
        ("full", True, None),
        ("extra", False, None),
    ],
)
def test_the_promised_durability(
    tmp_path: Path, level: str, wal: bool, severity: str | None
) -> None:
    path = make(tmp_path / "app.db", wal=wal)
    settings = load_settings(start=tmp_path, env={}, sqlite={"synchronous": level})
    found = look(path, "durability", settings=settings)
    assert [finding.severity for finding in found] == ([severity] if severity else [])


def test_a_file_on_its_own_is_judged_by_the_library(tmp_path: Path) -> None:
    # CPython's and Debian's builds start with full.
    assert look(make(tmp_path / "app.db"), "durability") == []


def test_a_schema_without_a_history_is_noticed(tmp_path: Path) -> None:
    (found,) = look(make(tmp_path / "none.db"), "migration-history")
    assert found.severity == "notice"
    for number, sql in enumerate(
        (
            "CREATE TABLE alembic_version (version_num TEXT PRIMARY KEY)",
            "CREATE TABLE django_migrations (id INTEGER PRIMARY KEY)",
            "CREATE TABLE __drizzle_migrations (id INTEGER PRIMARY KEY)",
            "PRAGMA user_version = 7",
        )
    ):
        path = make(tmp_path / f"kept-{number}.db", sql)
        assert look(path, "migration-history") == []


def test_tables_that_are_not_strict_are_listed_once(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db", "CREATE TABLE s (id INTEGER PRIMARY KEY) STRICT")
    (found,) = look(path, "not-strict")
    assert found.severity == "notice"
    assert found.evidence["tables"] == ["customers", "orders", "order_lines"]
    with closing(sqlite3.connect(tmp_path / "strict.db")) as connection:
        connection.execute("CREATE TABLE s (id INTEGER PRIMARY KEY) STRICT")
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    assert look(tmp_path / "strict.db", "not-strict") == []


def test_a_wal_that_a_reader_keeps_from_shrinking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal_size, "LARGE_BYTES", 100_000)
    path = make(tmp_path / "app.db")
    assert look(path, "wal-size") == []
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM orders").fetchone()
    writer = sqlite3.connect(path, isolation_level=None)
    for _ in range(3):
        writer.execute("UPDATE orders SET note = hex(randomblob(50))")
    (found,) = look(path, "wal-size")
    assert found.severity == "warning"
    wal, size = found.evidence["wal_bytes"], found.evidence["size_bytes"]
    assert wal > size / 4, "else the next line says nothing"
    monkeypatch.setattr(wal_size, "LARGE_BYTES", wal)
    assert look(path, "wal-size") != []
    monkeypatch.setattr(wal_size, "LARGE_BYTES", wal + 1)
    assert look(path, "wal-size") == []
    writer.close()
    reader.close()


def test_a_copy_in_wal_mode_without_its_wal_is_noticed(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("UPDATE orders SET note = 'only in the -wal'")
    shutil.copy(path, tmp_path / "app-backup-2026-01-02.db")
    (found,) = look(path, "backup-by-copy")
    assert found.severity == "notice"
    assert found.evidence["files"] == ["app-backup-2026-01-02.db"]
    writer.execute("VACUUM INTO ?", (str(tmp_path / "app-backup-good.db"),))
    writer.close()
    assert found.evidence == look(path, "backup-by-copy")[0].evidence


def test_other_databases_beside_it_are_no_copies(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    make(tmp_path / "app2.db")
    make(tmp_path / "other-backup.db")
    assert look(path, "backup-by-copy") == []


def test_a_copy_that_never_had_a_wal_lacks_nothing(tmp_path: Path) -> None:
    path = make(tmp_path / "app-backup.db", wal=False)
    assert look(path, "backup-by-copy") == []
