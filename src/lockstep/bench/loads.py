"""Many at once: threads or tasks that do one request after another until time is up.

Owns starting together, stopping together and noting each request's time. What a
request does is the contestant's business.

Invariant: a request that was begun is finished and counted, so the answers and the
database can be compared afterwards.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

from lockstep.bench.scenario import Round

Request = Callable[[int], None]
"""Does one request of the worker with this number; raises when it was refused."""


class _Tally:
    """What one worker has done."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.refused = 0
        self.error: Exception | None = None

    def refuse(self, error: Exception) -> None:
        """Count what the caller would see as an error."""
        self.refused += 1
        self.error = error


def threads_at_once(
    count: int, request: Request, *, seconds: float | None = None
) -> Round:
    """Let ``count`` threads do requests for ``seconds``; None: one each.

    Raises:
        Exception: Every single request was refused; the last reason.
    """
    tallies = [_Tally() for _ in range(count)]
    barrier = threading.Barrier(count + 1)

    def work(number: int) -> None:
        tally, clock = tallies[number], time.perf_counter
        barrier.wait()
        end = clock() + (seconds or 0.0)
        while True:
            started = clock()
            try:
                request(number)
            except Exception as error:
                tally.refuse(error)
            else:
                tally.taken.append(clock() - started)
            if clock() >= end:
                return

    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    barrier.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return _round(tallies, time.perf_counter() - started)


async def tasks_at_once(
    count: int,
    request: Callable[[int], Awaitable[object]],
    *,
    seconds: float | None = None,
) -> Round:
    """Let ``count`` tasks do requests for ``seconds``; None: one each.

    Raises:
        Exception: Every single request was refused; the last reason.
    """
    tallies = [_Tally() for _ in range(count)]
    clock = time.perf_counter

    async def work(number: int, end: float) -> None:
        tally = tallies[number]
        while True:
            started = clock()
            try:
                await request(number)
            except Exception as error:
                tally.refuse(error)
                await asyncio.sleep(0)  # one that fails at once lets nobody else run
            else:
                tally.taken.append(clock() - started)
            if clock() >= end:
                return

    started = clock()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(work(number, started + (seconds or 0.0)))
    return _round(tallies, clock() - started)


def _round(tallies: list[_Tally], elapsed: float) -> Round:
    latencies = tuple(second for tally in tallies for second in tally.taken)
    if not latencies:
        # Nothing was measured, so the reason is the result.
        for tally in tallies:
            if tally.error is not None:
                raise tally.error
    refused = sum(tally.refused for tally in tallies)
    return Round(len(latencies), elapsed, latencies, refused)
