"""``db.write`` and ``db.read``: functions that share transactions, not failures."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from lockstep.clock import ManualClock
from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine import Database, Unit, idempotency
from lockstep.errors import (
    Busy,
    CheckFailed,
    Duplicate,
    EngineError,
    ForeignKeyMissing,
    InvalidStatement,
    InvalidValue,
    LockstepError,
    OutcomeUnknown,
    ReadOnlySession,
)
from lockstep.repository import Repository
from lockstep.schema import Audited, Base, Text, UuidKey, Versioned

from .write_cases import ADD, CREATE, RAISE, Held, adding, queued, rows, with_parts


@pytest.fixture
def parts(make_database: MakeDatabase, lockstep_engine: str) -> Database:
    return with_parts(make_database, lockstep_engine)


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


ENDINGS = (
    *("COMMIT", " rollback", "BEGIN", "END", "begin immediate", "ABORT"),
    *("START TRANSACTION", "/* all's well */ COMMIT", "-- so\n; rollback"),
)


def test_a_function_does_not_end_the_transaction(parts: Database) -> None:
    for sql in ENDINGS:
        with pytest.raises(InvalidStatement, match="its own transaction"):
            parts.write(lambda unit, sql=sql: unit.execute(sql))
    assert parts.write(adding(2)) == 2


def test_a_savepoint_of_the_function_s_own_is_fine(parts: Database) -> None:
    def write(unit: Unit) -> None:
        unit.execute(ADD, {"id": 2, "n": 0})
        unit.execute("SAVEPOINT mine")
        unit.execute(ADD, {"id": 3, "n": 0})
        unit.execute("ROLLBACK TO SAVEPOINT mine")

    parts.write(write)
    assert set(rows(parts)) == {1, 2}


def committing(unit: Unit) -> None:
    unit.driver.commit()


def committing_and_failing(unit: Unit) -> None:
    unit.driver.commit()
    raise ValueError("what others wrote is written all the same")


@pytest.mark.parametrize("end", [committing, committing_and_failing])
def test_a_transaction_ended_behind_our_back_is_told_to_all(
    parts: Database, end: Callable[[Unit], None]
) -> None:
    held = Held(parts)
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(parts.write, adding(2))
        queued(parts, 1)
        ending = pool.submit(parts.write, end)
        queued(parts, 2)
        held.let_go()
        for future in (before, ending, held.result):
            with pytest.raises(OutcomeUnknown):
                future.result()
    assert parts.write(adding(3)) == 3, "and the writer works on"


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
    with pytest.raises(EngineError, match="its own lane"):
        parts.write(lambda unit: asyncio.run(parts.async_write(adding(2))))


def test_what_would_run_too_late_or_never_is_refused(parts: Database) -> None:
    async def coroutine(unit: Unit) -> None: ...

    def generator(unit: Unit) -> Iterator[int]:
        yield unit.execute(RAISE).rowcount

    for function in (coroutine, generator):
        for run in (parts.write, parts.read):
            with pytest.raises(InvalidValue, match="ordinary function"):
                run(function)
            with pytest.raises(InvalidValue, match="has not run"):
                run(lambda unit, made=function: made(unit))
    assert rows(parts) == {1: 0}


def test_copy_is_no_statement_of_a_unit(parts: Database) -> None:
    for run in (Unit.execute, Unit.send):
        with pytest.raises(InvalidStatement, match="conversation of its own"):
            parts.write(lambda unit, run=run: run(unit, "COPY part FROM STDIN"))
    assert parts.write(adding(2)) == 2


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


def test_a_clock_that_is_set_forward_forgets_no_key(
    parts: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "PRUNE_EVERY", 0)
    clock = ManualClock()
    settings = parts.settings
    with Database(parts.url.unmasked(), settings=settings, clock=clock) as db:

        def once(key: str) -> int:
            before = rows(db)[1]
            db.write(lambda u: u.execute(RAISE).rowcount, idempotency_key=key)
            return rows(db)[1] - before

        assert once("one") == 1
        clock.set(clock.now() + timedelta(days=4000))
        assert once("two") == 1
        assert once("one") == 0, "it was said to be done"
        clock.set(clock.now() - timedelta(days=4000))
        clock.advance(settings.write.key_retention_s + 10)
        assert once("three") == 1
        assert once("one") == 1, "it was kept as long as it is to be"


@pytest.mark.parametrize("key", ["", "x" * 201, 7, "a\0b", "a\ud800"])
def test_a_key_is_a_text_that_every_engine_stores(parts: Database, key: str) -> None:
    with pytest.raises(InvalidValue, match="an idempotency key"):
        parts.write(adding(2), idempotency_key=key)
    parts.write(adding(2), idempotency_key="😀" * 200)


def test_who_asks_again_gets_what_the_first_one_got(parts: Database) -> None:
    def write(unit: Unit) -> Any:
        return ({1: "one"}, unit.execute(RAISE).rowcount)

    answers = [parts.write(write, idempotency_key="a") for _ in range(2)]
    assert answers == [[{"1": "one"}, 1]] * 2
    assert rows(parts) == {1: 1}


def test_a_lost_table_of_keys_is_made_again(parts: Database) -> None:
    parts.write(adding(2), idempotency_key="a")
    parts.write(lambda unit: unit.execute("DROP TABLE lockstep_write"))
    with pytest.raises(InvalidStatement, match="lockstep_write"):
        parts.write(adding(3), idempotency_key="b")
    assert parts.write(adding(3), idempotency_key="b") == 3
    assert parts.write(adding(4), idempotency_key="b") == 3
    assert rows(parts) == {1: 0, 2: 0, 3: 0}


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


@pytest.mark.engines("postgresql")
def test_a_read_cannot_turn_writing_on(parts: Database) -> None:
    def write(unit: Unit) -> int:
        unit.execute("SET TRANSACTION READ WRITE")
        return unit.execute(RAISE).rowcount

    async def main() -> int:
        return await parts.async_read(write)

    with pytest.raises(ReadOnlySession):
        parts.read(write)
    with pytest.raises(ReadOnlySession):
        asyncio.run(main())
    assert rows(parts) == {1: 0}


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
