"""One migrator at a time: others wait, then find nothing left to do."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.migrations.histories import History, ask

from lockstep.contrib.pytest.faults import LockHolder
from lockstep.engine import Database
from lockstep.errors import Busy, MigrationError, MigrationLocked
from lockstep.migrations.lock import migrators_turn
from lockstep.migrations.results import Progress, WaitingForMigrator

WORKER = """
import json, sys
from pathlib import Path

import sqlalchemy as sa

from lockstep.engine import Database
from lockstep.migrations import Migrations

url, directory = sys.argv[1:]
with Database(url) as db:
    verbs = Migrations(db, metadata=sa.MetaData(), directory=Path(directory))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(verbs.upgrade().to_json()))
"""
SEVERAL = """
import json, subprocess, sys

workers = [
    subprocess.Popen(sys.argv[1:], stdin=-1, stdout=-1, stderr=-1, text=True)
    for _ in range(3)
]
for worker in workers:
    worker.stdout.readline()
for worker in workers:
    worker.stdin.write("go\\n")
    worker.stdin.flush()
for worker in workers:
    _, errors = worker.communicate()
    print(json.dumps([worker.returncode, errors]))
"""
PROCESSES = 4
REVISIONS = 6

# A libSQL server has no lock that outlives a transaction: who comes second is told.
HAS_TURNS = pytest.mark.engines("sqlite", "postgresql")


def turn(db: Database, wait_s: float, seen: list[Progress] | None = None):  # type: ignore[no-untyped-def]
    return migrators_turn(
        db.engine,
        path=db.url.path,
        wait_s=wait_s,
        on_progress=(lambda _: None) if seen is None else seen.append,
    )


@HAS_TURNS
def test_four_processes_upgrade_the_same_new_database(
    db: Database, db_url: str, history: History, tmp_path: Path
) -> None:
    for number in range(REVISIONS):
        history.add(
            f"r{number}",
            f"op.create_table('t{number}', sa.Column('id', sa.Integer()))\n"
            f"op.execute('INSERT INTO t{number} VALUES (1)')",
        )
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    workers = [
        subprocess.Popen(
            [sys.executable, str(script), db_url, str(history.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outcomes = [worker.communicate(timeout=120) for worker in workers]

    assert [worker.returncode for worker in workers] == [0] * PROCESSES, outcomes
    done = [json.loads(out) for out, _ in outcomes]
    applied = [step["revision"] for one in done for step in one["steps"]]
    assert sorted(applied) == [f"r{number}" for number in range(REVISIONS)]
    assert {tuple(one["after"]) for one in done} == {(f"r{REVISIONS - 1}",)}
    for number in range(REVISIONS):
        assert ask(db, f"SELECT count(*) FROM t{number}") == [(1,)]
    if db.url.path is not None:
        assert not list(db.url.path.parent.glob("*-migrating"))


@pytest.mark.engines("libsql")
def test_of_several_migrators_each_revision_is_one_s(
    db: Database, db_url: str, history: History, tmp_path: Path
) -> None:
    for number in range(REVISIONS):
        history.add(
            f"r{number}", f"op.create_table('t{number}', sa.Column('id', sa.Integer()))"
        )
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SEVERAL,
            sys.executable,
            str(script),
            db_url,
            str(history.directory),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    for line in done.stdout.splitlines():
        code, told = json.loads(line)
        assert code == 0 or "LS-3105" in told, told
    history.on(db).upgrade()
    for number in range(REVISIONS):
        assert ask(db, f"SELECT count(*) FROM t{number}") == [(0,)]


@HAS_TURNS
def test_a_second_migrator_waits_says_so_and_gives_up(
    db: Database, history: History
) -> None:
    history.add("one", "op.create_table('t', sa.Column('id', sa.Integer()))")
    seen: list[Progress] = []
    with turn(db, 1.0), pytest.raises(MigrationLocked) as caught:
        history.on(db, lock_wait_s=0.3).upgrade(on_progress=seen.append)
    assert caught.value.retryable
    assert [type(event) for event in seen] == [WaitingForMigrator]
    assert history.on(db).current_heads() == ()
    history.on(db).upgrade()


@HAS_TURNS
def test_after_waiting_nothing_is_left_to_do(db: Database, history: History) -> None:
    history.add("one", "op.create_table('t', sa.Column('id', sa.Integer()))")
    entered, leave = threading.Event(), threading.Event()

    def first() -> None:
        with turn(db, 5.0):
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=first)
    holder.start()
    entered.wait(10)
    seen: list[Progress] = []

    def release(event: Progress) -> None:
        seen.append(event)
        leave.set()

    applied = history.on(db, lock_wait_s=20).upgrade(on_progress=release)
    holder.join()
    assert applied.after == ("one",)
    assert isinstance(seen[0], WaitingForMigrator)
    again = history.on(db).upgrade()
    assert again.steps == ()
    assert again.before == again.after == ("one",)


def test_reading_does_not_wait_for_a_migrator(db: Database, history: History) -> None:
    history.add("one", "op.create_table('t', sa.Column('id', sa.Integer()))")
    with turn(db, 1.0):
        assert history.on(db).current() == ()
        assert len(history.on(db).history()) == 1
        assert [step.revision for step in history.on(db).plan().steps] == ["one"]


@pytest.mark.engines("sqlite")
def test_looking_does_not_wait_for_a_writer(
    db: Database, history: History, lock_holder: LockHolder
) -> None:
    history.add("one", "op.create_table('t', sa.Column('id', sa.Integer()))")
    history.on(db).upgrade()
    with lock_holder(db):
        assert history.on(db).upgrade().steps == ()
        findings = history.on(db).check()
    assert {finding.code for finding in findings} == {"drift"}


@pytest.mark.engines("sqlite")
def test_a_writer_that_never_ends_makes_the_migrator_give_up(
    make_database,
    history: History,
    lock_holder: LockHolder,  # type: ignore[no-untyped-def]
) -> None:
    db = make_database("sqlite", sqlite={"busy_timeout_s": 0.2})
    history.add("one", "op.create_table('t', sa.Column('id', sa.Integer()))")
    with lock_holder(db), pytest.raises(Busy):
        history.on(db).upgrade()
    assert history.on(db).current_heads() == ()


def test_somebody_who_moves_the_history_meanwhile_is_noticed(
    db: Database, history: History
) -> None:
    history.add("one", "op.create_table('t', sa.Column('id', sa.Integer()))")
    history.add("two", "op.create_table('u', sa.Column('id', sa.Integer()))")
    history.add("three", "op.create_table('v', sa.Column('id', sa.Integer()))")

    def meddle(event: Progress) -> None:
        if getattr(event, "revision", "") == "two":
            with db.engine.begin() as connection:
                connection.exec_driver_sql(
                    "UPDATE alembic_version SET version_num='three'"
                )

    with pytest.raises(MigrationError, match="from one to three"):
        history.on(db).upgrade(on_progress=meddle)
    assert history.on(db).current_heads() == ("three",)
