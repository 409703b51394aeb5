"""Backups on both engines: consistent under writers, checked, put back safely."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine import Database
from lockstep.engine.backup import (
    BackedUp,
    Step,
    back_up,
    manifest_path,
    plan_restore,
    restore_backup,
    verify_backup,
)
from lockstep.engine.backup.files import split_name
from lockstep.errors import BackupDamaged, BackupFailed, ConfigError

pytestmark = pytest.mark.engines("sqlite", "postgresql")

WRITERS = 4
ROWS = 20_000


def fill(db: Database) -> None:
    with db.write_session() as session:
        run = session.connection().exec_driver_sql
        run("CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL)")
        run("CREATE TABLE booking (id TEXT PRIMARY KEY, amount INTEGER NOT NULL)")
        run("CREATE TABLE ballast (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        run("CREATE INDEX booking_amount ON booking (amount)")
        run("INSERT INTO account VALUES (1, 0), (2, 0), (3, 0), (4, 0)")
        run(
            "WITH RECURSIVE n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n"
            f" WHERE v < {ROWS}) INSERT INTO ballast"
            " SELECT v, 'some text of a usual length number ' || v FROM n"
        )


@contextmanager
def writers_at_work(db: Database) -> Iterator[list[int]]:
    """Book amounts in both tables at once, from four threads, without a pause."""
    stop, counts = threading.Event(), [0] * WRITERS
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            while not stop.is_set():
                amount = counts[number] % 7 + 1
                with db.write_session() as session:
                    session.execute(
                        sa.text(
                            "UPDATE account SET amount = amount + :a WHERE id = :i"
                        ),
                        {"a": amount, "i": number + 1},
                    )
                    session.execute(
                        sa.text("INSERT INTO booking VALUES (:k, :a)"),
                        {"k": f"{number}-{counts[number]}", "a": amount},
                    )
                counts[number] += 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def scalar(db: Database, sql: str) -> int:
    with db.read_session() as session:
        return session.execute(sa.text(sql)).scalar_one()


def made(db: Database, folder: Path) -> BackedUp:
    fill(db)
    return back_up(db, folder / "backup")


def test_a_backup_under_four_writers_is_one_instant(
    db: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    fill(db)
    during: list[int] = []
    with writers_at_work(db) as counts:
        while min(counts) < 3:
            pass
        result = back_up(
            db, tmp_path / "backup", on_progress=lambda _: during.append(sum(counts))
        )
        after = sum(counts)
    assert after > during[0], "the writers were at work while it was made"
    assert verify_backup(result.path).is_good

    target = make_database(db.dialect_name)
    restore_backup(result.path, target)
    booked = scalar(target, "SELECT sum(amount) FROM booking")
    assert scalar(target, "SELECT sum(amount) FROM account") == booked > 0
    bookings = scalar(target, "SELECT count(*) FROM booking")
    assert 12 <= bookings <= after
    assert scalar(target, "SELECT count(*) FROM ballast") == ROWS


def test_what_is_restored_is_what_was_backed_up(db: Database, tmp_path: Path) -> None:
    result = made(db, tmp_path)
    assert result.manifest.rows == ROWS + 4
    with db.write_session() as session:
        session.execute(sa.text("DELETE FROM ballast WHERE id > 5"))
        session.execute(sa.text("DROP TABLE booking"))
    with pytest.raises(BackupFailed, match="not empty"):
        restore_backup(result.path, db)
    assert scalar(db, "SELECT count(*) FROM ballast") == 5

    done = restore_backup(result.path, db, replace=True)
    assert scalar(db, "SELECT count(*) FROM ballast") == ROWS
    assert scalar(db, "SELECT count(*) FROM booking") == 0
    # Restored, it backs up to the same content.
    again = back_up(db, tmp_path / "again")
    assert again.manifest.tables == result.manifest.tables

    (kept,) = done.kept
    if db.dialect_name == "sqlite":
        old = Database(Path(kept))
    else:
        old = Database(db.url.sqlalchemy_url().set(database=kept))
    try:
        assert scalar(old, "SELECT count(*) FROM ballast") == 5
    finally:
        old.close()
        if db.dialect_name == "postgresql":
            with db.engine.connect() as connection:
                connection.execution_options(
                    isolation_level="AUTOCOMMIT"
                ).exec_driver_sql(f'DROP DATABASE "{kept}"')


def test_a_plan_changes_nothing(
    db: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    result = made(db, tmp_path)
    plan = plan_restore(result.path, db)
    assert (plan.is_empty, plan.manifest) == (False, result.manifest)
    target = make_database(db.dialect_name)
    assert plan_restore(result.path, target).is_empty
    path = target.url.path
    assert path is None or not path.exists(), "looking makes no file"


@pytest.mark.parametrize("damage", ["truncated", "one bit", "emptied", "appended"])
def test_a_damaged_backup_is_caught_and_never_restored(
    db: Database, make_database: MakeDatabase, tmp_path: Path, damage: str
) -> None:
    result = made(db, tmp_path)
    content = bytearray(result.path.read_bytes())
    match damage:
        case "truncated":
            content = content[: len(content) // 2]
        case "one bit":
            content[len(content) // 2] ^= 0x10
        case "emptied":
            content.clear()
        case _:
            content += b"\0"
    result.path.write_bytes(content)
    found = verify_backup(result.path)
    assert not found.is_good
    assert "SHA-256 differs" in found.problems[0]
    if damage in ("truncated", "emptied"):
        told = {d.name.removeprefix("public."): d.reason for d in found.differences}
        is_read = damage == "emptied" and db.dialect_name == "sqlite"
        reason = "the table is missing" if is_read else "it cannot be read"
        assert told["ballast"] == reason

    target = make_database(db.dialect_name)
    with pytest.raises(BackupDamaged):
        restore_backup(result.path, target)
    assert plan_restore(result.path, target).is_empty
    before = scalar(db, "SELECT count(*) FROM ballast")
    with pytest.raises(BackupDamaged):
        restore_backup(result.path, db, replace=True)
    assert scalar(db, "SELECT count(*) FROM ballast") == before


def test_a_manifest_that_says_otherwise_names_the_table(
    db: Database, tmp_path: Path
) -> None:
    result = made(db, tmp_path)
    (ballast,) = [t for t in result.manifest.tables if t.name.endswith("ballast")]
    path = manifest_path(result.path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(ballast.digest, "0" * 32), encoding="utf-8")
    found = verify_backup(result.path)
    assert found.problems == ()
    assert [(d.name, d.reason) for d in found.differences] == [
        (ballast.name, "the values differ")
    ]


def test_an_existing_backup_is_replaced_only_by_force(
    db: Database, tmp_path: Path
) -> None:
    first = made(db, tmp_path)
    before = first.path.read_bytes()
    with pytest.raises(BackupFailed, match="exists"):
        back_up(db, first.path)
    assert first.path.read_bytes() == before
    with db.write_session() as session:
        session.execute(sa.text("DELETE FROM ballast WHERE id > 7"))
    second = back_up(db, first.path, force=True)
    assert verify_backup(second.path).is_good
    assert second.manifest.rows == 11
    assert sorted(p.name for p in tmp_path.glob("*backup*")) == [
        "backup",
        "backup.manifest.json",
    ]


def test_the_newest_are_kept_and_nothing_else_is_touched(
    db: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    fill(db)
    folder = tmp_path / "safe"
    other = make_database(db.dialect_name)
    with other.write_session() as session:
        session.execute(sa.text("CREATE TABLE t (a INTEGER)"))
    foreign = back_up(other, f"{folder}/")
    (folder / "notes.txt").write_text("mine")
    lone = folder / back_up(db, f"{folder}/").path.name.replace("Z", "Z-900")
    lone.write_bytes(b"no manifest, so not ours")
    results = [back_up(db, f"{folder}/", keep=2) for _ in range(4)]
    names = [result.path.name for result in results]
    assert names == sorted(names, key=lambda name: split_name(Path(name)))
    left = sorted(p for p in folder.iterdir() if not p.name.endswith(".json"))
    kept = [result.path for result in results[2:]]
    assert left == sorted([*kept, foreign.path, folder / "notes.txt", lone])
    assert results[3].removed == (results[1].path,)
    assert all(verify_backup(path).is_good for path in kept)


def test_keeping_the_newest_needs_a_folder(db: Database, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folder"):
        back_up(db, tmp_path / "one.db", keep=3)
    with pytest.raises(ConfigError, match="1 or more"):
        back_up(db, tmp_path, keep=0)


def test_the_instant_between_two_backups_is_described(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(db, tmp_path)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("lockstep.engine.backup.files.put_in_place", die)
        with pytest.raises(KeyboardInterrupt):
            back_up(db, first.path, force=True)
    # The new manifest is there, the new backup is not.
    assert verify_backup(first.path).is_good
    again = back_up(db, first.path, force=True)
    assert verify_backup(again.path).is_good


def test_an_interrupt_leaves_nothing_behind(db: Database, tmp_path: Path) -> None:
    fill(db)
    folder = tmp_path / "safe"
    folder.mkdir()

    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(db, folder / "backup", on_progress=interrupt)
    assert list(folder.iterdir()) == []


def test_a_backup_is_private(db: Database, tmp_path: Path) -> None:
    result = made(db, tmp_path)
    for path in (result.path, manifest_path(result.path)):
        assert path.stat().st_mode & 0o077 == 0


def test_what_is_not_there_is_said_so(db: Database, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no backup"):
        verify_backup(tmp_path / "missing")
    alone = tmp_path / "alone.db"
    alone.write_bytes(b"x")
    with pytest.raises(BackupDamaged, match="missing"):
        verify_backup(alone)


@pytest.mark.engines("sqlite")
def test_a_backup_goes_back_to_its_own_engine(
    db: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    result = made(db, tmp_path)
    with pytest.raises(ConfigError, match="backup of sqlite"):
        restore_backup(result.path, make_database("postgresql"))
