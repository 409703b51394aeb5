"""``db.write`` and ``db.read``: functions that share transactions, not failures."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import orm

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.contrib.pytest.faults import KillAfter
from lockstep.engine import Database, Unit, classify
from lockstep.errors import (
    Busy,
    CheckFailed,
    ConnectionLost,
    Duplicate,
    EngineError,
    ForeignKeyMissing,
    InvalidStatement,
    InvalidValue,
    LockstepError,
    OutcomeUnknown,
    ReadOnlySession,
    StorageFailed,
)
from lockstep.repository import Repository
from lockstep.schema import Audited, Base, Text, UuidKey, Versioned

CREATE = "CREATE TABLE part (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n >= 0))"
ADD = "INSERT INTO part (id, n) VALUES (:id, :n)"
RAISE = "UPDATE part SET n = n + 1 WHERE id = 1"


def adding(key: int, n: int = 0) -> Callable[[Unit], int]:
    def add(unit: Unit) -> int:
        unit.execute(ADD, {"id": key, "n": n})
        return key

    return add


def rows(db: Database) -> dict[int, int]:
    def read(unit: Unit) -> dict[int, int]:
        return dict(unit.execute("SELECT id, n FROM part ORDER BY id").fetchall())

    return db.read(read)


@pytest.fixture
def parts(db: Database) -> Database:
    db.write(lambda unit: unit.execute(CREATE))
    db.write(adding(1))
    return db


class Held:
    """Keeps the writer inside a function until it is let go."""

    def __init__(self, db: Database) -> None:
        self._inside, self._go = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self.result = self._pool.submit(db.write, self._hold)
        assert self._inside.wait(10)

    def _hold(self, unit: Unit) -> str:
        self._inside.set()
        assert self._go.wait(10)
        return "held"

    def let_go(self) -> None:
        self._go.set()
        self._pool.shutdown()


def queued(db: Database, count: int) -> None:
    """Wait until ``count`` functions wait for the writer."""
    lane = db._units._writing
    deadline = time.monotonic() + 10
    while len(lane._queue) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_it_returns_what_the_function_returns_and_others_see_the_row(
    parts: Database,
) -> None:
    assert parts.write(adding(2, 7)) == 2
    with parts.read_session() as session:
        assert session.scalar(sa.text("SELECT n FROM part WHERE id = 2")) == 7


def test_hot_row_loses_nothing_and_batches_are_shared(parts: Database) -> None:
    async def main() -> None:
        await asyncio.gather(
            *(parts.async_write(lambda u: u.execute(RAISE)) for _ in range(300))
        )

    with ThreadPoolExecutor(20) as pool:
        threads = [
            pool.submit(parts.write, lambda u: u.execute(RAISE)) for _ in range(200)
        ]
        asyncio.run(main())
        for thread in threads:
            thread.result()
    assert rows(parts) == {1: 500}
    statistics = parts.write_statistics()
    assert statistics.writes == 502
    assert statistics.batches < 400, "300 tasks that wait together share commits"


def test_a_function_that_fails_fails_alone(parts: Database) -> None:
    held = Held(parts)

    def wrong(unit: Unit) -> None:
        unit.execute(ADD, {"id": 50, "n": 1})
        unit.execute(ADD, {"id": 1, "n": 1})

    def raising(unit: Unit) -> None:
        unit.execute(ADD, {"id": 51, "n": 1})
        raise KeyError("mine")

    with ThreadPoolExecutor(5) as pool:
        good = [pool.submit(parts.write, adding(key)) for key in (2, 3)]
        duplicate = pool.submit(parts.write, wrong)
        own = pool.submit(parts.write, raising)
        negative = pool.submit(parts.write, adding(60, -1))
        queued(parts, 5)
        held.let_go()
        assert [future.result() for future in good] == [2, 3]
        with pytest.raises(Duplicate):
            duplicate.result()
        with pytest.raises(KeyError, match="mine"):
            own.result()
        with pytest.raises(CheckFailed):
            negative.result()
    assert held.result.result() == "held"
    assert set(rows(parts)) == {1, 2, 3}
    assert parts.write_statistics().batches == 3, "create, first row, and one batch"


def test_nothing_is_visible_before_the_commit(parts: Database) -> None:
    held = Held(parts)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(parts.write, adding(2))
        queued(parts, 1)
        assert set(rows(parts)) == {1}
        assert not waiting.done()
        held.let_go()
        waiting.result()
    assert set(rows(parts)) == {1, 2}


DEFERRED = {
    "sqlite": "REFERENCES part (id) DEFERRABLE INITIALLY DEFERRED",
    "postgresql": "REFERENCES part (id) DEFERRABLE INITIALLY DEFERRED",
}


def test_a_constraint_checked_at_the_commit_fails_its_function_alone(
    parts: Database,
) -> None:
    parts.write(
        lambda u: u.execute(
            f"CREATE TABLE child (part INTEGER {DEFERRED[parts.dialect_name]})"
        )
    )
    held = Held(parts)
    child = "INSERT INTO child VALUES (:part)"
    with ThreadPoolExecutor(4) as pool:
        futures = {
            part: pool.submit(
                parts.write, lambda u, p=part: u.execute(child, {"part": p}).rowcount
            )
            for part in (1, 99)
        }
        late = pool.submit(
            parts.write,
            lambda u: (
                (u.execute(child, {"part": 5}), u.execute(ADD, {"id": 5, "n": 0})) and 5
            ),
        )
        queued(parts, 3)
        held.let_go()
        assert futures[1].result() == 1
        assert late.result() == 5
        with pytest.raises(ForeignKeyMissing):
            futures[99].result()
    assert held.result.result() == "held"
    assert set(rows(parts)) == {1, 5}
    count = parts.read(lambda u: u.execute("SELECT count(*) FROM child").fetchone()[0])
    assert count == 2


@pytest.mark.parametrize(
    "sql",
    [
        "COMMIT",
        " rollback",
        "BEGIN",
        "END",
        "begin immediate",
        "ABORT",
        "START TRANSACTION",
    ],
)
def test_a_function_does_not_end_the_transaction(parts: Database, sql: str) -> None:
    with pytest.raises(InvalidStatement, match="its own transaction"):
        parts.write(lambda unit: unit.execute(sql))
    assert parts.write(adding(2)) == 2


def test_a_savepoint_of_the_function_s_own_is_fine(parts: Database) -> None:
    def write(unit: Unit) -> None:
        unit.execute(ADD, {"id": 2, "n": 0})
        unit.execute("SAVEPOINT mine")
        unit.execute(ADD, {"id": 3, "n": 0})
        unit.execute("ROLLBACK TO SAVEPOINT mine")

    parts.write(write)
    assert set(rows(parts)) == {1, 2}


def test_a_transaction_ended_behind_our_back_is_told_to_all(parts: Database) -> None:
    held = Held(parts)
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(parts.write, adding(2))
        queued(parts, 1)
        ending = pool.submit(parts.write, lambda unit: unit.driver.commit())
        queued(parts, 2)
        held.let_go()
        for future in (before, ending, held.result):
            with pytest.raises(OutcomeUnknown):
                future.result()
    assert parts.write(adding(3)) == 3, "and the writer works on"


def test_what_was_sent_is_seen_by_what_needs_an_answer(parts: Database) -> None:
    def write(unit: Unit) -> tuple[int, int]:
        unit.send(ADD, {"id": 2, "n": 5})
        unit.send("UPDATE part SET n = n + 1 WHERE id = 2")
        seen = unit.execute("SELECT n FROM part WHERE id = 2").fetchone()[0]
        unit.send("UPDATE part SET n = n + 1 WHERE id = 2")
        by_core = unit.connection.scalar(sa.text("SELECT n FROM part WHERE id = 2"))
        unit.send("UPDATE part SET n = n + 1 WHERE id = 2")
        return seen, by_core or 0

    assert parts.write(write) == (6, 7)
    assert rows(parts)[2] == 8


def test_the_error_of_what_was_sent_is_its_caller_s(parts: Database) -> None:
    def sending(*keys: int) -> Callable[[Unit], str]:
        def write(unit: Unit) -> str:
            for key in keys:
                unit.send(ADD, {"id": key, "n": 0})
            return "sent"

        return write

    for _ in range(2):  # the second time statements are prepared already
        held = Held(parts)
        with ThreadPoolExecutor(6) as pool:
            futures = []
            for count, keys in enumerate(((2, 3), (4, 1), (5,), (2,), (6, 6), (7,)), 1):
                futures.append(pool.submit(parts.write, sending(*keys)))
                queued(parts, count)
            held.let_go()
            for number, future in enumerate(futures):
                if number in (0, 2, 5):
                    assert future.result() == "sent"
                else:
                    with pytest.raises(Duplicate):
                        future.result()
        assert set(rows(parts)) == {1, 2, 3, 5, 7}
        parts.write(lambda unit: unit.send("DELETE FROM part WHERE id > 1"))


def test_an_error_of_what_was_sent_may_be_handled(parts: Database) -> None:
    def write(unit: Unit) -> str:
        unit.execute("SAVEPOINT mine")
        with pytest.raises((sqlite3.Error, psycopg.Error)) as caught:
            unit.send(ADD, {"id": 1, "n": 0})
            unit.execute("SELECT 1")
        assert isinstance(classify(caught.value), Duplicate)
        unit.execute("ROLLBACK TO SAVEPOINT mine")
        unit.send(ADD, {"id": 9, "n": 0})
        return "handled"

    assert parts.write(write) == "handled"
    assert set(rows(parts)) == {1, 9}


def test_sending_the_end_of_the_transaction_is_refused(parts: Database) -> None:
    with pytest.raises(InvalidStatement):
        parts.write(lambda unit: unit.send("COMMIT"))


_STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "execute", "raise"]), st.integers(0, 6)),
    max_size=4,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(_STEPS, min_size=1, max_size=6))
def test_a_batch_equals_its_functions_one_after_another(
    parts: Database, programs: list[list[tuple[str, int]]]
) -> None:
    parts.write(lambda unit: unit.execute("DELETE FROM part"))

    def function(program: list[tuple[str, int]]) -> Callable[[Unit], None]:
        def write(unit: Unit) -> None:
            for step, key in program:
                if step == "raise":
                    raise KeyError(key)
                run = unit.send if step == "send" else unit.execute
                run(ADD, {"id": key, "n": 0})

        return write

    wanted: set[int] = set()
    outcomes: list[str] = []
    for program in programs:
        added = [key for step, key in program if step != "raise"]
        before = [
            key for step, key in itertools.takewhile(lambda s: s[0] != "raise", program)
        ]
        clash = len(set(before)) < len(before) or bool(set(before) & wanted)
        if clash:
            outcomes.append("clash")
        elif len(before) < len(program):
            outcomes.append("raised")
        else:
            outcomes.append("done")
            wanted |= set(added)
    held = Held(parts)
    with ThreadPoolExecutor(len(programs)) as pool:
        futures = []
        for count, program in enumerate(programs, 1):
            futures.append(pool.submit(parts.write, function(program)))
            queued(parts, count)
        held.let_go()
        for future, outcome in zip(futures, outcomes, strict=True):
            error = future.exception()
            if outcome == "done":
                assert error is None
            elif outcome == "raised":
                # What was only sent had not failed yet when the function raised.
                assert isinstance(error, KeyError)
            else:
                assert isinstance(error, Duplicate | KeyError)
    assert set(rows(parts)) == wanted


class Gear(UuidKey, Versioned, Audited, Base):
    __tablename__ = "gear"
    name: orm.Mapped[str] = orm.mapped_column(Text(40), unique=True)


def test_models_and_repositories_work_in_a_unit(db: Database) -> None:
    with db.engine.begin() as connection:
        Gear.__table__.create(connection)  # type: ignore[attr-defined]

    def add(unit: Unit) -> Gear:
        gears = Repository(Gear, unit.session)
        gear = gears.add(Gear(name="one"))
        unit.execute("UPDATE gear SET name = :n", {"n": "two"})
        with pytest.raises(Duplicate):
            gears.add(Gear(name="two"))
        return gears.update(gear.id, {"name": "three"}, expected_version=1)

    gear = db.write(add, actor="ann")
    assert (gear.name, gear.version, gear.created_by) == ("three", 2, "ann")
    assert not sa.inspect(gear).session
    found = db.read(lambda unit: Repository(Gear, unit.session).get(gear.id))
    assert found.name == "three"


def test_what_a_session_holds_is_written_at_the_end(db: Database) -> None:
    with db.engine.begin() as connection:
        Gear.__table__.create(connection)  # type: ignore[attr-defined]
    db.write(lambda unit: unit.session.add(Gear(name="pending")))
    with pytest.raises(Duplicate):
        db.write(lambda unit: unit.session.add(Gear(name="pending")))
    assert db.read(lambda u: Repository(Gear, u.session).count()) == 1


def test_a_write_inside_a_write_is_refused_instead_of_waiting(parts: Database) -> None:
    with pytest.raises(EngineError, match="its own lane"):
        parts.write(lambda unit: parts.write(adding(2)))


def test_a_coroutine_function_is_refused(parts: Database) -> None:
    async def write(unit: Unit) -> None: ...

    with pytest.raises(InvalidValue, match="ordinary function"):
        parts.write(write)


def test_the_deadline_is_the_caller_s(parts: Database) -> None:
    held = Held(parts)
    started = time.monotonic()
    with pytest.raises(Busy) as caught:
        parts.write(adding(2), timeout_s=0.05)
    assert caught.value.retryable

    async def wait() -> None:
        with pytest.raises(Busy):
            await parts.async_write(adding(3), timeout_s=0.05)

    asyncio.run(wait())
    assert time.monotonic() - started < 5
    held.let_go()
    assert held.result.result() == "held"
    parts.write(adding(4))
    assert set(rows(parts)) == {1, 4}, "what was given up is never written"


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
def test_a_deadline_is_a_positive_number(parts: Database, timeout_s: float) -> None:
    with pytest.raises(InvalidValue):
        parts.write(adding(2), timeout_s=timeout_s)


def test_a_cancelled_task_withdraws_what_waits(parts: Database) -> None:
    async def main() -> None:
        held = Held(parts)
        task = asyncio.create_task(parts.async_write(adding(2)))
        await asyncio.sleep(0)
        queued(parts, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.let_go()
        await parts.async_write(adding(3))

    asyncio.run(main())
    assert set(rows(parts)) == {1, 3}


def test_more_than_the_queue_holds_is_refused_at_once(
    make_database: MakeDatabase, lockstep_engine: str
) -> None:
    db = make_database(lockstep_engine, write={"queue_max": 2})
    db.write(lambda unit: unit.execute(CREATE))
    held = Held(db)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(db.write, adding(key)) for key in (1, 2)]
        queued(db, 2)
        with pytest.raises(Busy, match="wait for their turn"):
            db.write(adding(3))
        held.let_go()
        assert [future.result() for future in waiting] == [1, 2]


def test_close_finishes_what_waits(parts: Database) -> None:
    held = Held(parts)
    with ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(parts.write, adding(key)) for key in range(2, 8)]
        queued(parts, 6)
        closing = pool.submit(parts.close)
        time.sleep(0.02)
        held.let_go()
        closing.result()
        assert [future.result() for future in waiting] == [2, 3, 4, 5, 6, 7]
    assert not [t for t in threading.enumerate() if t.name == "lockstep-write"]
    assert set(rows(parts)) == set(range(1, 8)), "and it opens itself again"


def test_ordinary_sessions_work_beside_it(parts: Database) -> None:
    def by_session() -> None:
        for _ in range(20):
            with parts.write_session() as session:
                session.execute(sa.text(RAISE))

    async def by_write() -> None:
        for _ in range(5):
            await asyncio.gather(
                *(parts.async_write(lambda u: u.execute(RAISE)) for _ in range(20))
            )

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(by_session) for _ in range(3)]
        futures.append(pool.submit(lambda: asyncio.run(by_write())))
        for future in futures:
            future.result()
    assert rows(parts) == {1: 160}


def test_a_key_is_written_once(parts: Database) -> None:
    ran: list[int] = []

    def write(unit: Unit) -> dict[str, Any]:
        ran.append(1)
        unit.execute(RAISE)
        return {"id": 1, "text": "ä"}

    first = parts.write(write, idempotency_key="a")
    parts.close()
    again = parts.write(write, idempotency_key="a")
    assert first == again == {"id": 1, "text": "ä"}
    assert parts.write(write, idempotency_key="b") == first
    assert len(ran) == 2
    assert rows(parts) == {1: 2}


def test_callers_with_one_key_at_once_write_once(parts: Database) -> None:
    other = Database(parts.url.unmasked(), settings=parts.settings)
    with other, ThreadPoolExecutor(16) as pool:
        futures = [
            pool.submit(
                db.write, lambda u: u.execute(RAISE).rowcount, idempotency_key="k"
            )
            for _ in range(8)
            for db in (parts, other)
        ]
        assert {future.result() for future in futures} == {1}
    assert rows(parts) == {1: 1}


def test_a_key_of_a_failed_write_is_free(parts: Database) -> None:
    with pytest.raises(Duplicate):
        parts.write(adding(1), idempotency_key="a")
    with pytest.raises(InvalidValue, match="JSON"):
        parts.write(lambda u: (u.execute(RAISE), object())[1], idempotency_key="a")
    assert parts.write(adding(2), idempotency_key="a") == 2
    assert parts.write(lambda _: None, idempotency_key="none") is None
    assert rows(parts) == {1: 0, 2: 0}


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_key_has_a_length(parts: Database, key: str) -> None:
    with pytest.raises(InvalidValue, match="1 to 200"):
        parts.write(adding(2), idempotency_key=key)


def test_read_sees_one_snapshot_and_cannot_write(parts: Database) -> None:
    def read(unit: Unit) -> tuple[int, int]:
        first = unit.execute("SELECT n FROM part").fetchone()[0]
        parts.write(lambda u: u.execute(RAISE))
        return first, unit.execute("SELECT n FROM part").fetchone()[0]

    assert parts.read(read) == (0, 0)
    for refused in (
        lambda unit: unit.execute(RAISE),
        lambda unit: unit.session.execute(sa.text(RAISE)),
    ):
        with pytest.raises(ReadOnlySession):
            parts.read(refused)

        async def read_async(function: Any = refused) -> None:
            with pytest.raises(ReadOnlySession):
                await parts.async_read(function)

        asyncio.run(read_async())
    assert rows(parts) == {1: 1}


def test_many_async_reads_share_threads_and_fail_alone(parts: Database) -> None:
    def get(number: int) -> Callable[[Unit], int]:
        def read(unit: Unit) -> int:
            if number % 10 == 3:
                unit.execute("SELECT * FROM missing")
            row = unit.execute("SELECT :n + n FROM part", {"n": number}).fetchone()
            return int(row[0])

        return read

    async def main() -> list[int | BaseException]:
        return await asyncio.gather(
            *(parts.async_read(get(n)) for n in range(200)), return_exceptions=True
        )

    for number, answer in enumerate(asyncio.run(main())):
        if number % 10 == 3:
            assert isinstance(answer, LockstepError)
        else:
            assert answer == number


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
    parts: Database, db_url: str, kill_after: KillAfter
) -> None:
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


@pytest.mark.engines("postgresql")
def test_a_server_that_ends_the_connection_has_written_nothing(parts: Database) -> None:
    def killed(unit: Unit) -> None:
        unit.execute(ADD, {"id": 3, "n": 0})
        unit.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    held = Held(parts)
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(parts.write, adding(2))
        queued(parts, 1)
        killing = pool.submit(parts.write, killed)
        queued(parts, 2)
        held.let_go()
        for future in (held.result, before, killing):
            with pytest.raises(ConnectionLost) as caught:
                future.result()
            assert caught.value.retryable
    assert parts.write(adding(4)) == 4
    assert set(rows(parts)) == {1, 4}


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
