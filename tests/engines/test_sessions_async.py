"""Async sessions: the same promises, tasks that are cancelled, loops that end."""

from __future__ import annotations

import asyncio
import threading

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from lockstep.engine import Database
from lockstep.errors import Duplicate, ReadOnlySession

pytestmark = pytest.mark.anyio

INSERT = sa.text("INSERT INTO part VALUES (:id)")


@pytest.fixture(autouse=True)
def table(db: Database) -> None:
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (id INTEGER PRIMARY KEY)"))


def stored(db: Database) -> list[int]:
    with db.read_session() as session:
        return list(session.scalars(sa.text("SELECT id FROM part ORDER BY id")))


async def insert(db: Database, *ids: int) -> None:
    async with db.async_write_session(actor="anna") as session:
        assert session.info["lockstep.actor"] == "anna"
        for id_ in ids:
            await session.execute(INSERT, {"id": id_})


async def reached(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Wait until ``task`` sets ``event``; fail as it fails when it does not."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        task.result()


async def test_a_write_session_commits_or_takes_back(db: Database) -> None:
    await insert(db, 1)
    with pytest.raises(Duplicate):
        await insert(db, 2, 1)
    assert stored(db) == [1]


class Base(orm.DeclarativeBase):
    """Of the table that every test here has."""


class Part(Base):
    __tablename__ = "part"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)


async def test_a_second_try_may_add_the_same_instances(db: Database) -> None:
    part = Part(id=2)

    async def add(*others: int) -> None:
        async with db.async_write_session() as session:
            session.add(part)
            await session.flush()
            for id_ in others:
                await session.execute(INSERT, {"id": id_})

    with pytest.raises(Duplicate):
        await add(2)
    assert part.id == 2, "it can still be shown"
    await add(3)
    assert stored(db) == [2, 3]


async def test_a_read_session_sees_one_snapshot_and_cannot_write(db: Database) -> None:
    count = sa.text("SELECT count(*) FROM part")
    async with db.async_read_session() as session:
        assert await session.scalar(count) == 0
        await insert(db, 1)
        assert await session.scalar(count) == 0
    with pytest.raises(ReadOnlySession):
        async with db.async_read_session() as session:
            await session.execute(INSERT, {"id": 2})
    await insert(db, 3)
    assert stored(db) == [1, 3]


async def test_a_savepoint_takes_back_only_itself(db: Database) -> None:
    async with db.async_write_session() as session:
        await session.execute(INSERT, {"id": 1})
        async with session.begin_nested() as savepoint:
            await session.execute(INSERT, {"id": 2})
            await savepoint.rollback()
        await session.execute(INSERT, {"id": 3})
    assert stored(db) == [1, 3]


async def test_a_cancelled_task_leaves_no_transaction_open(db: Database) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with db.async_write_session() as session:
            await session.execute(INSERT, {"id": 1})
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await reached(inside, task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert db.pool_statistics().checked_out == 0
    await insert(db, 2)
    assert stored(db) == [2]


async def test_a_task_cancelled_while_it_waits_holds_nobody_up(db: Database) -> None:
    inside, leave = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with db.async_write_session() as session:
            await session.execute(sa.text("DELETE FROM part"))
            inside.set()
            await leave.wait()

    holder = asyncio.create_task(hold())
    await reached(inside, holder)
    waiters = [asyncio.create_task(insert(db, n)) for n in range(4)]
    await asyncio.sleep(0)
    for waiter in waiters[:2]:
        waiter.cancel()
    await asyncio.wait(waiters[:2])
    leave.set()
    await asyncio.gather(holder, *waiters[2:])
    assert stored(db) == [2, 3]
    assert db.pool_statistics().checked_out == 0


async def test_many_tasks_write_at_a_time(db: Database) -> None:
    await asyncio.gather(*(insert(db, n) for n in range(60)))
    assert stored(db) == list(range(60))


async def test_tasks_and_threads_write_the_same_database(db: Database) -> None:
    def write_sync(start: int) -> None:
        for n in range(start, start + 20):
            with db.write_session() as session:
                session.execute(INSERT, {"id": n})

    threads = [asyncio.to_thread(write_sync, start) for start in (1000, 2000)]
    await asyncio.gather(*(insert(db, n) for n in range(20)), *threads)
    assert len(stored(db)) == 60


def test_one_database_serves_one_loop_after_another(db: Database) -> None:
    async def burst(start: int) -> None:
        # More tasks than connections, so that the pool has to wait: a pool that
        # kept the first loop's queue would fail in the second.
        await asyncio.gather(*(insert(db, n) for n in range(start, start + 30)))

    for start in (0, 100, 200):
        asyncio.run(burst(start))
    assert len(stored(db)) == 90


def test_two_loops_at_a_time_have_an_engine_each(db: Database) -> None:
    barrier = threading.Barrier(2, timeout=30)
    failures: list[BaseException] = []

    async def work(start: int) -> None:
        barrier.wait()
        await asyncio.gather(*(insert(db, n) for n in range(start, start + 30)))

    def run(start: int) -> None:
        try:
            asyncio.run(work(start))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(start,)) for start in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(stored(db)) == 60


def worker_threads() -> set[threading.Thread]:
    # aiosqlite has one for each connection.
    return {t for t in threading.enumerate() if "connection_worker" in t.name}


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("inside", [True, False])
def test_closing_ends_every_thread(db: Database, inside: bool) -> None:
    before = worker_threads()

    async def use() -> None:
        await insert(db, 1)
        if inside:
            db.close()

    asyncio.run(use())
    if not inside:
        assert worker_threads() > before
        db.close()
    assert worker_threads() == before


async def test_closing_from_a_coroutine(db: Database) -> None:
    before = worker_threads()
    async with db:
        await insert(db, 1)
    assert worker_threads() <= before
    await insert(db, 2)  # it opens itself again
    assert stored(db) == [1, 2]


async def test_an_async_engine_is_a_real_one(db: Database) -> None:
    async with db.async_engine.begin() as connection:
        await connection.execute(INSERT, {"id": 7})
        names = await connection.run_sync(lambda c: sa.inspect(c).get_table_names())
    assert names == ["part"]
    assert stored(db) == [7]
