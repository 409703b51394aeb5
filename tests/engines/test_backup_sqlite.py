"""What is SQLite's own about backups: snapshots, logs, locks, kills, full disks."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.contrib.pytest.faults import KillAfter, LockHolder
from lockstep.engine import Database
from lockstep.engine.backup import (
    Step,
    back_up,
    plan_restore,
    restore_backup,
    verify_backup,
)
from lockstep.engine.backup import sqlite as sqlite_backup
from lockstep.engine.vacuum import vacuum
from lockstep.errors import (
    BackupFailed,
    Busy,
    ConfigError,
    StorageFailed,
    Unexaminable,
)

pytestmark = pytest.mark.engines("sqlite")

ODD_ROWS: list[tuple[object, ...]] = [
    (1, "1", 1.0, b"1"),
    (2, 1, "1", "1"),
    (3, None, float("inf"), b""),
    (4, "é", -0.0, bytes(range(256))),
    (5, -(2**63), 0.1 + 0.2, ""),
]


def path_of(db: Database) -> Path:
    assert db.url.path is not None
    return db.url.path


def fill(db: Database, rows: int = 1000) -> None:
    with db.write_session() as session:
        run = session.connection().exec_driver_sql
        run("CREATE TABLE part (id INTEGER PRIMARY KEY, a, b, c)")
        run(
            "WITH RECURSIVE n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n"
            f" WHERE v < {rows}) INSERT INTO part SELECT v, hex(zeroblob(50)), v, 0"
            " FROM n"
        )


def count(db: Database) -> int:
    with db.read_session() as session:
        return session.execute(sa.text("SELECT count(*) FROM part")).scalar_one()


def test_every_kind_of_value_is_compared_with_its_type(tmp_path: Path) -> None:
    def content(rows: list[tuple[object, ...]]) -> str:
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE t (id, a, b, c)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        connection.execute("INSERT INTO t VALUES (9, CAST(x'fffe' AS TEXT), 0, 0)")
        found = sqlite_backup.read_content(connection, lambda _: None, "")
        (table,) = [item for item in found if item.name == "t"]
        connection.close()
        return table.digest

    reference = content(ODD_ROWS)
    assert content(list(reversed(ODD_ROWS))) == reference
    for changed in [
        (1, "1", 1.0, "1"),
        (1, "1", 1, b"1"),
        (1, b"1", 1.0, b"1"),
        (1, "1", 1.0000000000000002, b"1"),
        (1, None, 1.0, b"1"),
    ]:
        assert content([changed, *ODD_ROWS[1:]]) != reference


def test_odd_tables_come_back(
    db: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    with db.write_session() as session:
        run = session.connection().exec_driver_sql
        run("CREATE TABLE odd (id INTEGER PRIMARY KEY AUTOINCREMENT, a, b, c)")
        for row in ODD_ROWS:
            run("INSERT INTO odd VALUES (?, ?, ?, ?)", row)
        run('CREATE TABLE "a ""quoted"" name" (k TEXT PRIMARY KEY) WITHOUT ROWID')
        run("CREATE TABLE made (a INTEGER, b AS (a * 2), c AS (a + 1) STORED)")
        run("INSERT INTO made (a) VALUES (21)")
        run("CREATE VIRTUAL TABLE words USING fts5 (text)")
        run("INSERT INTO words VALUES ('a bearing for the pump')")
        run("CREATE VIEW seen AS SELECT a FROM odd")
    result = back_up(db, tmp_path / "odd.db")
    assert verify_backup(result.path).is_good
    target = make_database("sqlite")
    restore_backup(result.path, target)
    with target.write_session() as session:
        run = session.connection().exec_driver_sql
        assert run("SELECT b, c FROM made").one() == (42, 22)
        assert run("SELECT count(*) FROM words WHERE words MATCH 'pump'").scalar() == 1
        assert [tuple(row) for row in run("SELECT * FROM odd ORDER BY 1")] == ODD_ROWS


def test_a_writer_that_never_stops_does_not_start_the_copy_again(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(db, 5000)
    monkeypatch.setattr(sqlite_backup, "PAGES_PER_STEP", 10)
    done: list[int] = []

    def write_between(step: Step) -> None:
        if step.task == "copying":
            done.append(step.done)
            with db.write_session() as session:
                session.execute(sa.text("UPDATE part SET c = c + 1"))

    back_up(db, tmp_path / "backup.db", on_progress=write_between)
    assert len(done) > 10
    assert done == sorted(done), "SQLite begins anew when it sees another commit"
    copy = sqlite3.connect(tmp_path / "backup.db")
    assert copy.execute("SELECT DISTINCT c FROM part").fetchall() == [(0,)]
    copy.close()


def test_rows_that_are_only_in_the_log_are_in_the_backup(
    db: Database, tmp_path: Path
) -> None:
    fill(db)
    path = path_of(db)
    assert Path(f"{path}-wal").stat().st_size > 0
    shutil.copy(path, tmp_path / "copied.db")
    naive = sqlite3.connect(tmp_path / "copied.db")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        naive.execute("SELECT * FROM part")
    naive.close()
    result = back_up(db, tmp_path / "backup.db")
    assert result.manifest.rows == 1000
    copy = sqlite3.connect(result.path)
    assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert copy.execute("SELECT count(*) FROM part").fetchone() == (1000,)
    copy.close()


@pytest.mark.parametrize("where", ["this process", "another process"])
def test_a_target_that_somebody_has_open_is_refused(
    db: Database,
    make_database: MakeDatabase,
    lock_holder: LockHolder,
    tmp_path: Path,
    where: str,
) -> None:
    fill(db)
    result = back_up(db, tmp_path / "backup.db")
    target = make_database("sqlite", sqlite={"busy_timeout_s": 0.1})
    with target.write_session() as session:
        session.execute(sa.text("CREATE TABLE mine (a INTEGER)"))
    target.close()
    if where == "another process":
        with lock_holder(target), pytest.raises(Busy, match="open in another"):
            restore_backup(result.path, target, replace=True)
    else:
        idle = sqlite3.connect(path_of(target))
        idle.execute("SELECT count(*) FROM mine").fetchone()
        with pytest.raises(Busy, match="open in another"):
            restore_backup(result.path, target, replace=True)
        idle.close()
    with target.read_session() as session:
        assert session.execute(sa.text("SELECT count(*) FROM mine")).scalar() == 0
    assert not list(tmp_path.glob("*before-restore*"))


def test_the_old_log_goes_into_the_kept_copy_and_away(
    db: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    fill(db)
    result = back_up(db, tmp_path / "backup.db")
    target = make_database("sqlite")
    path = path_of(target)
    # A process that was killed leaves its log behind.
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sqlite3, sys\n"
            "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "c.execute('PRAGMA journal_mode = WAL')\n"
            "c.execute('CREATE TABLE old (a)')\n"
            "c.execute('INSERT INTO old VALUES (7)')\n"
            "os._exit(9)",
            str(path),
        ],
        check=False,
    )
    assert Path(f"{path}-wal").stat().st_size > 0
    inode = path.stat().st_ino
    done = restore_backup(result.path, target, replace=True)
    assert path.stat().st_ino == inode
    assert not Path(f"{path}-wal").exists()
    assert not Path(f"{path}-shm").exists()
    assert not Path(f"{path}-journal").exists()
    assert count(target) == 1000
    kept = sqlite3.connect(done.kept[0])
    assert kept.execute("SELECT a FROM old").fetchall() == [(7,)]
    kept.close()


def test_a_log_without_its_database_is_set_aside(
    db: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    fill(db)
    result = back_up(db, tmp_path / "backup.db")
    target = make_database("sqlite")
    stale = Path(f"{path_of(target)}-wal")
    stale.write_bytes(b"of a database that somebody removed")
    with pytest.raises(BackupFailed, match="not empty"):
        restore_backup(result.path, target)
    done = restore_backup(result.path, target, replace=True)
    assert count(target) == 1000
    (kept,) = done.kept
    assert Path(kept).read_bytes() == b"of a database that somebody removed"


@pytest.mark.parametrize("is_there", [False, True])
def test_a_restored_file_is_written_to_by_who_reads_it(
    db: Database, make_database: MakeDatabase, tmp_path: Path, is_there: bool
) -> None:
    fill(db)
    result = back_up(db, tmp_path / "backup.db")
    target = make_database("sqlite", sqlite={"busy_timeout_s": 0.1})
    if is_there:
        fill(target, rows=1)
    restore_backup(result.path, target, replace=True)
    with target.read_session() as reader:
        assert reader.execute(sa.text("SELECT count(*) FROM part")).scalar() == 1000
        target.write(lambda unit: unit.execute("DELETE FROM part WHERE id = 1"))
        assert reader.execute(sa.text("SELECT count(*) FROM part")).scalar() == 1000
    assert count(target) == 999


def test_a_link_to_the_database_stays_a_link(
    db: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    fill(db)
    result = back_up(db, tmp_path / "backup.db")
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "real.db"
    link = tmp_path / "link.db"
    link.symlink_to(real)
    with Database(link) as target:
        restore_backup(result.path, target)
        assert count(target) == 1000
    assert link.is_symlink()
    assert real.is_file()


BACK_UP_FOR_EVER = """
import sys
from lockstep.engine import Database
from lockstep.engine.backup import back_up
db = Database(sys.argv[1])
print("x", flush=True)
while True:
    back_up(db, sys.argv[2], force=True)
"""


@pytest.mark.parametrize("delay_s", [0.03, 0.08, 0.13, 0.21, 0.34])
def test_a_kill_leaves_the_old_backup_good(
    db: Database, kill_after: KillAfter, tmp_path: Path, delay_s: float
) -> None:
    fill(db, 20_000)
    folder = tmp_path / "safe"
    folder.mkdir()
    result = back_up(db, folder / "backup.db")
    url = db.url.unmasked()
    kill_after(BACK_UP_FOR_EVER, url, str(result.path), delay_s=delay_s)
    assert verify_backup(result.path).is_good
    # The next run removes what the killed one left.
    back_up(db, result.path, force=True)
    assert sorted(p.name for p in folder.iterdir()) == [
        "backup.db",
        "backup.db.manifest.json",
    ]


RESTORE_IN_TURN = """
import sys
from lockstep.engine import Database
from lockstep.engine.backup import restore_backup
from pathlib import Path
db = Database(sys.argv[1])
print("x", flush=True)
while True:
    for backup in sys.argv[2:]:
        for kept in restore_backup(backup, db, replace=True).kept:
            Path(kept).unlink()
"""


@pytest.mark.parametrize("delay_s", [0.05, 0.11, 0.17, 0.29])
def test_a_kill_during_a_restore_leaves_one_content_whole(
    db: Database,
    make_database: MakeDatabase,
    kill_after: KillAfter,
    tmp_path: Path,
    delay_s: float,
) -> None:
    fill(db, 20_000)
    large = back_up(db, tmp_path / "large.bak")
    with db.write_session() as session:
        session.execute(sa.text("DELETE FROM part WHERE id > 9000"))
    small = back_up(db, tmp_path / "small.bak")
    target = make_database("sqlite")
    restore_backup(large.path, target)
    target.close()
    url = target.url.unmasked()
    kill_after(RESTORE_IN_TURN, url, str(small.path), str(large.path), delay_s=delay_s)
    found = sqlite3.connect(path_of(target))
    assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert found.execute("SELECT count(*) FROM part").fetchone() in [(9000,), (20000,)]
    found.close()
    result = back_up(target, tmp_path / "again.bak")
    assert result.manifest.tables in (large.manifest.tables, small.manifest.tables)


BACK_UP_WITH_A_LIMIT = """
import resource, signal, sys
from lockstep.engine import Database
from lockstep.engine.backup import back_up
from lockstep.errors import StorageFailed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    back_up(Database(sys.argv[1]), sys.argv[2], force=True)
except StorageFailed as error:
    print("refused:", error.message)
"""


def test_a_disk_that_fills_up_leaves_the_old_backup(
    db: Database, tmp_path: Path
) -> None:
    fill(db, 5000)
    folder = tmp_path / "safe"
    result = back_up(db, f"{folder}/")
    before = sorted(p.name for p in folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", BACK_UP_WITH_A_LIMIT, str(db.url), str(result.path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("refused:")
    assert sorted(p.name for p in folder.iterdir()) == before
    assert verify_backup(result.path).is_good


def test_too_little_room_is_said_before_anything_is_written(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(db)
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 100, 0))
    with pytest.raises(StorageFailed, match="bytes free"):
        back_up(db, f"{tmp_path}/safe/")
    assert list((tmp_path / "safe").iterdir()) == []
    with pytest.raises(StorageFailed, match="bytes free"):
        vacuum(db)


def test_orphans_of_the_source_do_not_prevent_a_backup(
    db: Database, tmp_path: Path
) -> None:
    raw = sqlite3.connect(path_of(db))
    raw.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    raw.execute("CREATE TABLE child (parent_id INTEGER REFERENCES parent)")
    raw.execute("INSERT INTO child VALUES (7)")
    raw.commit()
    raw.close()
    result = back_up(db, tmp_path / "backup.db")
    assert result.manifest.foreign_key_violations == 1
    assert verify_backup(result.path).is_good


def test_a_database_that_is_damaged_does_not_replace_a_good_backup(
    db: Database, tmp_path: Path
) -> None:
    fill(db, 5000)
    with db.write_session() as session:
        session.execute(sa.text("CREATE INDEX part_b ON part (b)"))
    result = back_up(db, tmp_path / "backup.db")
    vacuum(db)
    db.close()
    content = bytearray(path_of(db).read_bytes())
    last_page = len(content) - 4096
    content[last_page + 100 : last_page + 4000] = bytes(3900)
    path_of(db).write_bytes(content)
    with pytest.raises((BackupFailed, StorageFailed)):
        back_up(db, result.path, force=True)
    assert verify_backup(result.path).is_good


def test_the_database_is_not_its_own_backup(db: Database) -> None:
    fill(db)
    with pytest.raises(ConfigError, match="the database itself"):
        back_up(db, path_of(db), force=True)
    with pytest.raises(BackupFailed, match="exists"):
        back_up(db, path_of(db))
    assert count(db) == 1000


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with Database(tmp_path / "none.db") as db:
        with pytest.raises(Unexaminable, match="there is no"):
            back_up(db, tmp_path / "backup.db")
        assert list(tmp_path.iterdir()) == []


def test_a_database_in_memory_is_backed_up_too(tmp_path: Path) -> None:
    with Database("sqlite://") as db:
        fill(db, 10)
        result = back_up(db, tmp_path / "memory.db")
        assert result.manifest.rows == 10
        with pytest.raises(ConfigError, match="written to"):
            plan_restore(result.path, db)


def test_a_target_that_is_no_database_is_not_overwritten(
    db: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    fill(db)
    result = back_up(db, tmp_path / "backup.db")
    target = make_database("sqlite")
    path_of(target).write_bytes(b"a letter to my aunt, no database at all" * 100)
    with pytest.raises(StorageFailed, match="no SQLite database"):
        restore_backup(result.path, target, replace=True)
    assert path_of(target).read_bytes().startswith(b"a letter")


def test_vacuum_gives_space_back_and_says_how_much(db: Database) -> None:
    fill(db, 20_000)
    with db.write_session() as session:
        session.execute(sa.text("DELETE FROM part WHERE id > 10"))
    before = path_of(db).stat().st_size
    done = vacuum(db)
    assert done.before_bytes >= before
    assert done.after_bytes == path_of(db).stat().st_size < before
    assert done.to_json()["gained_bytes"] == done.before_bytes - done.after_bytes > 0
    assert done.auto_vacuum == "none"
    assert count(db) == 10


def test_vacuum_changes_auto_vacuum_where_the_pragma_alone_does_not(
    db: Database,
) -> None:
    fill(db)
    db.close()
    raw = sqlite3.connect(path_of(db))
    raw.execute("PRAGMA auto_vacuum = incremental")
    raw.close()
    assert vacuum(db).auto_vacuum == "none"
    assert vacuum(db, auto_vacuum="incremental").auto_vacuum == "incremental"
    assert vacuum(db).auto_vacuum == "incremental"
    assert os.path.exists(path_of(db))
