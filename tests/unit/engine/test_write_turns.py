"""Turns: first come, first served, and nobody is forgotten."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lockstep.engine.write_turns import WriteTurns, turns_of

LONG_S = 30.0


def waiting(turns: WriteTurns) -> int:
    return len(turns._waiting)


async def until_waiting(turns: WriteTurns, count: int) -> None:
    while waiting(turns) != count:
        await asyncio.sleep(0)


def test_the_first_has_the_turn_at_once() -> None:
    turns = WriteTurns()
    assert turns.take(0)
    assert not turns.take(0), "it is taken"
    turns.give()
    assert turns.take(0)


def test_threads_come_in_the_order_they_asked() -> None:
    turns, order = WriteTurns(), list[int]()
    assert turns.take(0)

    def write(number: int) -> None:
        assert turns.take(LONG_S)
        order.append(number)
        turns.give()

    threads: list[threading.Thread] = []
    for number in range(20):
        threads.append(threading.Thread(target=write, args=(number,)))
        threads[-1].start()
        while waiting(turns) <= number:
            threading.Event().wait(0.001)
    turns.give()
    for thread in threads:
        thread.join()
    assert order == list(range(20))
    assert turns.take(0), "the last one gave it back"


def test_who_times_out_leaves_the_queue() -> None:
    turns = WriteTurns()
    assert turns.take(0)
    assert not turns.take(0.01)
    assert waiting(turns) == 0
    turns.give()
    assert turns.take(0)


@pytest.mark.anyio
async def test_tasks_and_threads_share_one_queue() -> None:
    turns, order = WriteTurns(), list[str]()
    assert turns.take(0)

    async def task(name: str) -> None:
        assert await turns.take_async(LONG_S)
        order.append(name)
        turns.give()

    def thread(name: str) -> None:
        assert turns.take(LONG_S)
        order.append(name)
        turns.give()

    one = asyncio.create_task(task("task 1"))
    await until_waiting(turns, 1)
    other = threading.Thread(target=thread, args=("thread",))
    other.start()
    await until_waiting(turns, 2)
    two = asyncio.create_task(task("task 2"))
    await until_waiting(turns, 3)
    turns.give()
    await asyncio.gather(one, two)
    other.join()
    assert order == ["task 1", "thread", "task 2"]


@pytest.mark.anyio
async def test_a_cancelled_task_is_passed_over() -> None:
    turns = WriteTurns()
    assert turns.take(0)
    tasks = [asyncio.create_task(turns.take_async(LONG_S)) for _ in range(3)]
    await until_waiting(turns, 3)
    tasks[0].cancel()
    await asyncio.wait([tasks[0]])
    turns.give()
    assert await tasks[1]
    tasks[2].cancel()
    await asyncio.wait([tasks[2]])
    turns.give()
    assert turns.take(0)


@pytest.mark.anyio
async def test_a_task_cancelled_in_the_moment_of_its_turn_passes_it_on() -> None:
    turns = WriteTurns()
    assert turns.take(0)
    task = asyncio.create_task(turns.take_async(LONG_S))
    await until_waiting(turns, 1)
    turns.give()
    task.cancel()  # the turn came, and the task has not run since
    await asyncio.wait([task])
    assert task.cancelled()
    assert turns.take(0)


@pytest.mark.anyio
async def test_a_task_times_out_without_holding_anybody_up() -> None:
    turns = WriteTurns()
    assert turns.take(0)
    assert not await turns.take_async(0.01)
    assert waiting(turns) == 0


def test_one_queue_per_file_for_the_whole_process() -> None:
    one = turns_of("/a.db", is_file=True)
    assert turns_of("/a.db", is_file=True) is one
    assert turns_of("/b.db", is_file=True) is not one
