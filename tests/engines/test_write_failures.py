"""``db.write`` when the process, the disk, the server or another writer fails."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.contrib.pytest.faults import KillAfter
from lockstep.engine import Database, Unit, sqlite_files, write_turns
from lockstep.engine.pipeline import Pipeline
from lockstep.errors import (
    Busy,
    CheckFailed,
    ConnectionLost,
    Duplicate,
    EngineError,
    OutcomeUnknown,
    StorageFailed,
)

from .write_cases import ADD, RAISE, Held, adding, queued, rows, with_parts


@pytest.fixture
def parts(make_database: MakeDatabase, lockstep_engine: str) -> Database:
    return with_parts(make_database, lockstep_engine)


_FOR_EVER = """
import sys, threading
from lockstep.engine import Database
db = Database(sys.argv[1])
lock = threading.Lock()
def work(number):
    for n in range(100_000):
        def write(unit):
            row = {"who": number, "n": n}
            unit.execute("INSERT INTO ack (who, n) VALUES (:who, :n)", row)
            unit.execute("UPDATE part SET n = n + 1 WHERE id = 1")
        db.write(write)
        with lock:
            print(number, n, flush=True)
for number in range(30):
    threading.Thread(target=work, args=(number,)).start()
"""


def test_no_acknowledged_write_is_lost_by_a_kill(
    parts: Database, kill_after: KillAfter
) -> None:
    db_url = parts.url.unmasked()
    parts.write(
        lambda u: u.execute(
            "CREATE TABLE ack (who INTEGER, n INTEGER, UNIQUE (who, n))"
        )
    )
    acknowledged = 0
    for delay_s in (0.05, 0.15, 0.3):
        lines = kill_after(_FOR_EVER, db_url, delay_s=delay_s).splitlines()
        told = {
            tuple(map(int, line.split())) for line in lines if len(line.split()) == 2
        }

        def read(unit: Unit) -> set[tuple[int, int]]:
            return set(unit.execute("SELECT who, n FROM ack").fetchall())

        there = parts.read(read)
        assert told <= there
        assert len(there) == rows(parts)[1], "no function was torn"
        acknowledged += len(told)
        parts.write(
            lambda u: (u.execute("DELETE FROM ack"), u.execute("UPDATE part SET n = 0"))
        )
    assert acknowledged > 0


@pytest.mark.engines("sqlite")
def test_a_full_disk_fails_what_does_not_fit(db: Database) -> None:
    db.write(lambda u: u.execute("CREATE TABLE big (id INTEGER PRIMARY KEY, b BLOB)"))
    put = "INSERT INTO big VALUES (:id, zeroblob(:size))"

    def limited(unit: Unit) -> None:
        pages = unit.execute("PRAGMA page_count").fetchone()[0]
        unit.execute(f"PRAGMA max_page_count = {pages + 40}")

    db.write(limited)
    held = Held(db)
    with ThreadPoolExecutor(3) as pool:
        small = pool.submit(
            db.write, lambda u: u.execute(put, {"id": 1, "size": 10}).rowcount
        )
        queued(db, 1)
        large = pool.submit(
            db.write, lambda u: u.execute(put, {"id": 2, "size": 10**7}).rowcount
        )
        queued(db, 2)
        later = pool.submit(
            db.write, lambda u: u.execute(put, {"id": 3, "size": 10}).rowcount
        )
        queued(db, 3)
        held.let_go()
        with pytest.raises(StorageFailed):
            large.result()
        assert small.result() == later.result() == 1
        assert held.result.result() == "held"
    ids = db.read(lambda u: u.execute("SELECT id FROM big ORDER BY id").fetchall())
    assert ids == [(1,), (3,)]


@pytest.mark.engines("sqlite")
def test_a_trigger_that_rolls_everything_back_hurts_nobody_else(
    parts: Database,
) -> None:
    parts.write(
        lambda u: u.execute(
            "CREATE TRIGGER no BEFORE INSERT ON part WHEN NEW.id = 66 "
            "BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
        )
    )
    held = Held(parts)
    with ThreadPoolExecutor(3) as pool:
        futures = []
        for count, key in enumerate((2, 66, 3), 1):
            futures.append(pool.submit(parts.write, adding(key)))
            queued(parts, count)
        held.let_go()
        assert futures[0].result() == 2
        with pytest.raises(CheckFailed):
            futures[1].result()
        assert futures[2].result() == 3
        assert held.result.result() == "held"
    assert set(rows(parts)) == {1, 2, 3}


ADD_3 = "INSERT INTO part (id, n) VALUES (3, 0)"


def test_who_commits_by_himself_makes_nothing_run_twice(parts: Database) -> None:
    """His error may look as if the engine had rolled everything back."""
    ran: list[str] = []

    def noting(sql: str) -> Callable[[Unit], object]:
        def note(unit: Unit) -> object:
            ran.append(sql)
            return unit.execute(sql)

        return note

    def commit_and_fail(unit: Unit) -> None:
        unit.execute(ADD, {"id": 7, "n": 0})
        unit.driver.commit()
        unit.driver.execute("INSERT INTO part (id, n) VALUES (1, 0)")

    held = Held(parts)
    with ThreadPoolExecutor(3) as pool:
        writes = (noting(RAISE), commit_and_fail, noting(ADD_3))
        futures = []
        for count, write in enumerate(writes, 1):
            futures.append(pool.submit(parts.write, write))
            queued(parts, count)
        held.let_go()
        for future in (held.result, *futures[:2]):
            with pytest.raises(OutcomeUnknown):
                future.result()
        futures[2].result()  # it came after, in a transaction of its own
    assert ran == [RAISE, ADD_3]
    assert rows(parts) == {1: 1, 3: 0, 7: 0}


def test_a_caught_error_takes_nothing_from_anybody_who_was_told_of_success(
    parts: Database,
) -> None:
    """PostgreSQL answers COMMIT with a rollback when a statement had failed."""

    def catching(unit: Unit) -> int:
        unit.execute(ADD, {"id": 5, "n": 0})
        with suppress(Exception):
            unit.execute(ADD, {"id": 1, "n": 0})
        return 5

    held = Held(parts)
    with ThreadPoolExecutor(4) as pool:
        futures = []
        for count, write in enumerate((adding(2), catching, adding(3), catching), 1):
            futures.append(pool.submit(parts.write, write))
            queued(parts, count)
        held.let_go()
        told = {future.result() for future in futures if future.exception() is None}
    assert {2, 3} <= told
    assert {1, *told} == set(rows(parts))
    if parts.engine_name == "postgresql":
        with pytest.raises(EngineError, match="nothing is written"):
            futures[-1].result()


def copied_by(pipeline: Pipeline) -> object:
    return pipeline.run([pipeline.ready("COPY part FROM STDIN")])


KILL_ME = "SELECT pg_terminate_backend(pg_backend_pid())"
WAYS_TO_LOSE_IT: dict[str, Callable[[Unit], object]] = {
    "execute": lambda unit: unit.execute(KILL_ME),
    "send": lambda unit: unit.send(KILL_ME),
    "session": lambda unit: unit.session.execute(sa.text(KILL_ME)),
    "connection": lambda unit: unit.connection.exec_driver_sql(KILL_ME),
    "closed": lambda unit: unit.driver.close(),
    "copy": lambda unit: copied_by(Pipeline(unit.driver, prepares=False)),
}


@pytest.mark.engines("postgresql")
def test_a_server_that_ends_the_connection_has_written_nothing(parts: Database) -> None:
    for way, lose in WAYS_TO_LOSE_IT.items():

        def killed(unit: Unit, lose: Callable[[Unit], object] = lose) -> None:
            unit.execute(ADD, {"id": 3, "n": 0})
            lose(unit)

        held = Held(parts)
        with ThreadPoolExecutor(2) as pool:
            before = pool.submit(parts.write, adding(2))
            queued(parts, 1)
            killing = pool.submit(parts.write, killed)
            queued(parts, 2)
            held.let_go()
            told = [f.exception(30) for f in (held.result, before, killing)]
        for error in told:
            assert isinstance(error, ConnectionLost), way
            assert error.retryable
            assert error.hint == "try again"
        assert len({id(error) for error in told}) == 3, "one object told to several"
    assert parts.write(adding(4)) == 4
    assert set(rows(parts)) == {1, 4}


LOST_AT_COMMIT = """
CREATE FUNCTION lost() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON part
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id = 66) EXECUTE FUNCTION lost()
"""


@pytest.mark.engines("postgresql")
def test_a_commit_without_an_answer_is_unknown_to_all_who_shared_it(
    parts: Database,
) -> None:
    with parts.engine.begin() as connection:
        connection.exec_driver_sql(LOST_AT_COMMIT)
    held = Held(parts)
    with ThreadPoolExecutor(3) as pool:
        futures = []
        for count, key in enumerate((2, 1, 66), 1):
            futures.append(pool.submit(parts.write, adding(key)))
            queued(parts, count)
        held.let_go()
        shared, failed, last = [future.exception(30) for future in futures]
    assert isinstance(failed, Duplicate), "its own error stands"
    for error in (shared, last, held.result.exception(30)):
        assert isinstance(error, OutcomeUnknown)
        assert not error.retryable
        assert "idempotency_key" in error.hint
        assert isinstance(error.__cause__, sa.exc.DBAPIError)
    assert parts.write(adding(3)) == 3
    assert set(rows(parts)) == {1, 3}


@pytest.mark.engines("postgresql")
def test_a_server_that_is_lost_before_the_first_function_is_named(
    parts: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = parts._backend
    fence = backend.fence

    def too_late(driver: Any) -> Any:
        driver.close()  # answered the ping, and is gone now
        return fence(driver)

    with monkeypatch.context() as patch:
        patch.setattr(backend, "fence", too_late)
        with pytest.raises(ConnectionLost):
            parts.write(adding(2))
    assert parts.write(adding(3)) == 3
    assert set(rows(parts)) == {1, 3}


@pytest.mark.engines("postgresql")
@pytest.mark.parametrize("way", ["execute", "send"])
def test_a_failure_of_isolation_is_told_to_one(parts: Database, way: str) -> None:
    """It ends the transaction for everybody; the others run again."""
    url = sa.make_url(parts.url.unmasked()).update_query_dict(
        {"options": "-c default_transaction_isolation=repeatable\\ read"}
    )
    looked, changed = threading.Event(), threading.Event()

    def raising(unit: Unit) -> None:
        getattr(unit, way)(RAISE)

    def looking(unit: Unit) -> int:
        found = unit.execute("SELECT n FROM part WHERE id = 1").fetchone()[0]
        looked.set()
        assert changed.wait(10)
        unit.execute(ADD, {"id": 2 + found, "n": 0})
        return found

    with Database(url, settings=parts.settings) as isolated:
        held = Held(isolated)
        with ThreadPoolExecutor(4) as pool:
            futures = []
            for count, write in enumerate((looking, raising, raising), 1):
                futures.append(pool.submit(isolated.write, write))
                queued(isolated, count)
            letting_go = pool.submit(held.let_go)
            assert looked.wait(10)
            parts.write(lambda unit: unit.execute(RAISE))
            changed.set()
            letting_go.result(30)
            assert futures[0].result(30) == 1
            with pytest.raises(Busy) as told:
                futures[1].result(30)
            assert told.value.retryable
            futures[2].result(30)
    assert rows(parts) == {1: 2, 3: 0}


@pytest.mark.engines("sqlite")
def test_another_process_s_long_transaction_is_waited_for(parts: Database) -> None:
    """Longer than SQLite's own timeout, as long as the caller's deadline allows."""
    path = parts.url.path
    assert path
    shorter = parts.settings.model_copy(
        update={
            "sqlite": parts.settings.sqlite.model_copy(update={"busy_timeout_s": 0.1})
        }
    )
    with Database(parts.url.unmasked(), settings=shorter) as impatient:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.5, lambda: other.execute("COMMIT")).start()
        assert impatient.write(adding(2)) == 2
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            impatient.write(adding(3), timeout_s=0.3)
        other.execute("COMMIT")
        other.close()
        assert set(rows(impatient)) == {1, 2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_writes_with_a_writer_of_its_own(parts: Database) -> None:
    # Threads that hold these in this moment do not exist in the child.
    with write_turns._places_lock, sqlite_files._open_lock:
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if parts.write(adding(2), timeout_s=10) == 2 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert parts.write(adding(3)) == 3
    assert set(rows(parts)) == {1, 2, 3}
