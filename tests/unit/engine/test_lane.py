"""The lane: threads that wake one another, and deadlines that share a timer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from lockstep.engine import lane as lane_module
from lockstep.engine.classify import for_one_more
from lockstep.engine.job import Job
from lockstep.engine.lane import Lane
from lockstep.errors import Busy

SOON_S = 10.0


def job() -> Job:
    return Job(lambda unit: None)


def nobody_submits(lane: Lane) -> None:
    raise AssertionError("there is nothing to work on")


def lane_of(work: Callable[[Lane], None] = nobody_submits) -> Lane:
    return Lane("test", work, threads_max=1, queue_max=10)


def is_told(waiting: Job) -> bool:
    return waiting.wait(0)


def test_those_who_are_answered_together_wake_one_another() -> None:
    first, second, third = job(), job(), job()
    lane_of().answer([first, second, third])
    assert not is_told(second)
    assert is_told(first)
    assert not is_told(third)
    assert is_told(second)
    assert is_told(third)


def test_each_has_a_copy_of_an_error_that_all_are_told() -> None:
    """Else one's frames, notes and ``from`` would be the others' too."""
    lane = Lane("test", lambda lane: None, threads_max=1, queue_max=10)
    waiting = [job(), job()]
    for each in waiting:
        lane._submit(each)
    cause = OSError("the driver's")
    shared = Busy("no", hint="wait", detail={"rows": [1]})
    shared.__cause__ = cause
    lane.fail_all(shared)
    told: list[Busy] = []
    for each in waiting:
        with pytest.raises(Busy) as raised:
            each.result()
        told.append(raised.value)
    first, second = told
    assert str(first) == str(second) == "[LS-2002] no (wait)"
    assert first.__cause__ is second.__cause__ is cause
    first.add_note("one's")
    first.detail["rows"].append(2)
    assert second.detail == {"rows": [1]}
    assert not hasattr(second, "__notes__")
    assert first.__traceback__ is not second.__traceback__
    assert shared.__traceback__ is None


def test_what_cannot_be_copied_is_told_as_it_is() -> None:
    class Odd(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__(one + two)

    odd = Odd(1, 2)
    assert for_one_more(odd) is odd


def test_one_who_left_before_the_answer_breaks_no_turn() -> None:
    first, second, third = job(), job(), job()
    second.leave()
    lane_of().answer([first, second, third])
    assert is_told(first)
    assert is_told(third)


def test_one_who_leaves_after_it_was_told_tells_the_next() -> None:
    first, second = job(), job()
    lane_of().answer([first, second])
    first.leave()
    assert is_told(second)


def test_one_who_was_interrupted_while_it_told_tells_again() -> None:
    first, second = job(), job()
    lane_of().answer([first, second])
    assert is_told(first)
    first.leave()  # has told already, and does not know
    assert is_told(second)


def test_an_interrupted_caller_leaves_the_others_their_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both, claimed, left = threading.Event(), threading.Event(), threading.Event()

    def work(lane: Lane) -> None:
        assert both.wait(SOON_S)
        jobs = [lane.claim(), lane.claim()]
        claimed.set()
        assert left.wait(SOON_S)
        lane.answer([each for each in jobs if each is not None])

    lane = lane_of(work)
    interrupted, other = job(), job()
    ordinary = Job.wait

    def wait(self: Job, timeout_s: float | None) -> bool:
        if self is not interrupted:
            return ordinary(self, timeout_s)
        lane._submit(other)
        both.set()
        assert claimed.wait(SOON_S)
        raise KeyboardInterrupt

    monkeypatch.setattr(Job, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        lane.run(interrupted, SOON_S)
    left.set()
    assert other.wait(SOON_S)
    lane.close()


def test_deadlines_of_one_loop_come_in_their_own_order() -> None:
    busy, done = threading.Event(), threading.Event()

    def work(lane: Lane) -> None:
        found = lane.claim()
        busy.set()
        assert done.wait(SOON_S)
        lane.answer([] if found is None else [found])

    lane = lane_of(work)
    late: list[float] = []

    async def call(timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            await lane.run_async(Job(lambda unit: None, loop=loop), timeout_s)
        except Busy as error:
            late.append(error.detail["timeout_s"])

    async def main() -> None:
        begun = asyncio.create_task(call(0.2))
        await asyncio.to_thread(busy.wait, SOON_S)
        waiting = [asyncio.create_task(call(each)) for each in (0.26, 0.22, 0.24)]
        patient = asyncio.create_task(call(SOON_S))
        await asyncio.gather(*waiting)
        done.set()
        await asyncio.gather(begun, patient)

    asyncio.run(main())
    lane.close()
    assert late == [0.22, 0.24, 0.26]


def sharing(lane: Lane) -> None:
    """Run whatever waits, one after another, as reads share a snapshot."""
    ended: list[Job] = []
    while (found := lane.claim()) is not None:
        found.value = found.function(cast("Any", None))
        lane.finish(found)
        ended.append(found)
    lane.answer(ended)


async def called(lane: Lane, function: Callable[[Any], Any]) -> Any:
    job = Job(function, loop=asyncio.get_running_loop())
    return await lane.run_async(job, SOON_S)


def test_stop_iteration_reaches_its_task() -> None:
    """A future refuses it, and whoever stood behind it waited too."""
    lane = lane_of(sharing_with_errors)

    async def main() -> list[Any]:
        return await asyncio.gather(
            *(called(lane, lambda unit, it=it: next(iter(it))) for it in ([], [1])),
            return_exceptions=True,
        )

    stopped, one = asyncio.run(asyncio.wait_for(main(), SOON_S))
    assert isinstance(stopped, RuntimeError)
    assert isinstance(stopped.__cause__, StopIteration)
    assert one == 1
    lane.close()


def test_without_a_thread_it_is_refused_and_the_next_one_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[str] = []
    lane = lane_of(sharing)

    def no_more_threads(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more_threads)
        with pytest.raises(Busy, match="no thread"):
            lane.run(Job(lambda unit: ran.append("refused")), SOON_S)
    lane.run(Job(lambda unit: ran.append("served")), SOON_S)
    lane.close()
    assert ran == ["served"]


def sharing_with_errors(lane: Lane) -> None:
    ended: list[Job] = []
    while (found := lane.claim()) is not None:
        try:
            found.value = found.function(cast("Any", None))
        except Exception as error:
            found.error = error
        ended.append(found)
    lane.answer(ended)


def test_short_functions_share_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine fifty of them are not short.
    monkeypatch.setattr(lane_module, "LOOK_S", SOON_S)
    lane = Lane("test", sharing, threads_max=4, queue_max=100, is_patient=True)

    async def main() -> list[Any]:
        me = [called(lane, lambda unit: threading.get_ident()) for _ in range(50)]
        return await asyncio.gather(*me)

    assert len(set(asyncio.run(main()))) == 1
    lane.close()


def test_a_long_function_holds_nobody_up_who_comes_later() -> None:
    lane = Lane("test", sharing, threads_max=2, queue_max=10, is_patient=True)
    begun, released = threading.Event(), threading.Event()

    def long(_: Any) -> bool:
        begun.set()
        return released.wait(SOON_S)

    async def main() -> None:
        waiting = asyncio.create_task(called(lane, long))
        await asyncio.to_thread(begun.wait, SOON_S)
        assert await called(lane, lambda unit: "short") == "short"
        released.set()
        assert await waiting

    asyncio.run(main())
    lane.close()


def test_an_answer_does_not_wait_for_what_runs_after_it() -> None:
    lane = Lane("test", sharing, threads_max=2, queue_max=10, is_patient=True)
    both, released = threading.Event(), threading.Event()

    async def main() -> None:
        first = asyncio.create_task(called(lane, lambda unit: both.wait(SOON_S)))
        second = asyncio.create_task(called(lane, lambda unit: released.wait(SOON_S)))
        await asyncio.sleep(0)
        both.set()
        assert await first
        assert not second.done()
        released.set()
        assert await second

    asyncio.run(main())
    lane.close()


def test_a_lane_is_used_by_one_loop_after_another() -> None:
    lane = Lane("test", sharing, threads_max=2, queue_max=10, is_patient=True)
    for number in range(3):

        async def main(number: int = number) -> Any:
            return await called(lane, lambda unit: number)

        assert asyncio.run(main()) == number
    lane.close()
