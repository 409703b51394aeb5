"""Pools: their limits hold, their numbers are right, waiting ends."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack

import pytest
import sqlalchemy as sa

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine import Database
from lockstep.errors import Timeout

SMALL = {"size": 2, "overflow_max": 1, "timeout_s": 0.2, "recycle_s": 60}


@pytest.fixture
def small(lockstep_engine: str, make_database: MakeDatabase) -> Database:
    return make_database(lockstep_engine, pool=SMALL)


def use(stack: ExitStack, db: Database) -> None:
    session = stack.enter_context(db.read_session())
    session.execute(sa.text("SELECT 1"))


def test_before_anything_is_open_the_limits_are_known(small: Database) -> None:
    numbers = small.pool_statistics()
    assert (numbers.limit, numbers.size, numbers.timeout_s) == (3, 2, 0.2)
    assert (numbers.checked_out, numbers.idle, numbers.waiting) == (0, 0, 0)


def test_the_numbers_follow_the_sessions(small: Database) -> None:
    with ExitStack() as stack:
        for count in (1, 2, 3):
            use(stack, small)
            assert small.pool_statistics().checked_out == count
        assert str(small.pool_statistics()) == "3 of 3 connections in use, 0 waiting"
    numbers = small.pool_statistics()
    assert (numbers.checked_out, numbers.idle) == (0, 2), "the overflow was closed"


def test_a_caller_that_waits_too_long_learns_why(small: Database) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            use(stack, small)
        with pytest.raises(Timeout) as caught, ExitStack() as fourth:
            use(fourth, small)
    assert caught.value.retryable
    assert "3 of 3 connections in use" in caught.value.message
    assert "LOCKSTEP_POOL__SIZE" in caught.value.hint
    assert caught.value.detail == {
        **{"limit": 3, "size": 2, "checked_out": 3, "idle": 0},
        **{"waiting": 1, "timeout_s": 0.2},
    }
    with ExitStack() as stack:
        use(stack, small)  # the pool is as good as before


def test_a_connection_that_comes_back_goes_to_who_waits(
    lockstep_engine: str, make_database: MakeDatabase
) -> None:
    db = make_database(lockstep_engine, pool={**SMALL, "timeout_s": 30})
    served = threading.Event()

    def wait_and_use() -> None:
        with ExitStack() as stack:
            use(stack, db)
        served.set()

    with ExitStack() as stack:
        for _ in range(3):
            use(stack, db)
        thread = threading.Thread(target=wait_and_use)
        thread.start()
        while db.pool_statistics().waiting == 0:
            assert thread.is_alive()
        assert not served.is_set()
    thread.join()
    assert served.is_set()
    assert db.pool_statistics().waiting == 0


@pytest.mark.anyio
async def test_the_async_pool_has_the_same_limits(small: Database) -> None:
    leave = asyncio.Event()

    async def hold() -> None:
        async with small.async_read_session() as session:
            await session.execute(sa.text("SELECT 1"))
            await leave.wait()

    holders = [asyncio.create_task(hold()) for _ in range(3)]
    while small.pool_statistics().checked_out < 3:
        assert not any(holder.done() for holder in holders)
        await asyncio.sleep(0)
    with pytest.raises(Timeout, match="3 of 3 connections in use"):
        async with small.async_read_session() as session:
            await session.execute(sa.text("SELECT 1"))
    leave.set()
    await asyncio.gather(*holders)


@pytest.mark.anyio
async def test_both_pools_are_added_up(small: Database) -> None:
    async with small.async_read_session() as asession:
        await asession.execute(sa.text("SELECT 1"))
        with ExitStack() as stack:
            use(stack, small)
            numbers = small.pool_statistics()
            assert (numbers.limit, numbers.checked_out) == (6, 2)


def test_no_more_connections_than_the_limit_exist(small: Database) -> None:
    """Counted where it matters: at the driver."""
    alive = highest = 0
    lock = threading.Lock()

    def opened(*_: object) -> None:
        nonlocal alive, highest
        with lock:
            alive += 1
            highest = max(highest, alive)

    def closed(*_: object) -> None:
        nonlocal alive
        with lock:
            alive -= 1

    sa.event.listen(small.engine, "connect", opened)
    sa.event.listen(small.engine, "close", closed)

    def work() -> None:
        for _ in range(20):
            try:
                with ExitStack() as stack:
                    use(stack, small)
            except Timeout:
                continue

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= highest <= 3


def test_a_session_that_never_ran_a_statement_takes_no_connection(
    small: Database,
) -> None:
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(small.write_session())
        assert small.pool_statistics().checked_out == 0
