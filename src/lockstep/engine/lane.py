"""A lane: threads that run functions in turn and answer those who wait for them.

Owns the queue, the waiting and the deadlines, for callers in threads and in event
loops alike. What is done with the functions is its ``work``'s business
(``group_commit.py``, ``read_lane.py``).

    submit ──► queue ──► thread: work(lane) ──claim()──► functions ──► answer([…])
       │          └── withdrawn by a deadline or a cancellation: never claimed
       └── waits: a lock (threads) · a future (event loops, woken once per answer)

Invariants: a job is claimed or withdrawn, never both; a claimed job is answered
exactly once; a thread that has nothing to do for ``IDLE_S`` ends, so a lane that
nobody uses holds no thread and no connection.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Any

from lockstep.engine.unit import Unit
from lockstep.errors import Busy, EngineError

IDLE_S = 5.0
CLOSE_TIMEOUT_S = 10.0


class State(Enum):
    """Where a job is."""

    QUEUED = auto()
    CLAIMED = auto()
    WITHDRAWN = auto()
    ANSWERED = auto()


class Job:
    """A function that waits for its turn, and what came of it.

    Attributes:
        function: Called with a ``Unit`` in one of the lane's threads.
        actor: Who does it.
        key: The idempotency key, or None.
        value: What the function returned, once it is answered.
        error: What it raised instead.
    """

    __slots__ = ("_lock", "_loop", "actor", "error", "function", "future", "key",
                 "state", "value")  # fmt: skip

    def __init__(
        self,
        function: Callable[[Unit], Any],
        *,
        actor: str | None = None,
        key: str | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.function = function
        self.actor = actor
        self.key = key
        self.state = State.QUEUED
        self.value: Any = None
        self.error: BaseException | None = None
        self._loop = loop
        self.future = None if loop is None else loop.create_future()
        self._lock = threading.Lock()
        if loop is None:
            self._lock.acquire()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait, in a thread, until it is answered; say whether it was."""
        return self._lock.acquire(timeout=-1 if timeout_s is None else timeout_s)

    def result(self) -> Any:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value

    def tell(self) -> asyncio.AbstractEventLoop | None:
        """Wake a waiting thread; return the loop that has to be told instead."""
        if self._loop is None:
            self._lock.release()
        return self._loop


class Lane:
    """Runs jobs in at most ``threads_max`` threads.

    Args:
        name: Of the threads.
        work: Called in a thread while there are jobs; claims and answers them.
        threads_max: How many at a time.
        queue_max: More waiting jobs than this are refused.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Lane], None],
        *,
        threads_max: int,
        queue_max: int,
    ) -> None:
        self._name = name
        self._work = work
        self._threads_max = threads_max
        self._queue_max = queue_max
        self._queue: deque[Job] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._closing = False

    def run(self, job: Job, timeout_s: float) -> Any:
        """Queue a job, wait for the answer and return or raise it.

        Raises:
            Busy: It did not begin within ``timeout_s``; it never will.
        """
        self._refuse_own_threads()
        self._submit(job)
        try:
            in_time = job.wait(timeout_s)
            if not in_time and not self._withdraw(job):
                in_time = job.wait(None)  # it has begun: its end decides
        except BaseException:
            self._withdraw(job)  # Ctrl-C while it waits in the queue
            raise
        if not in_time:
            raise self._too_late(timeout_s)
        return job.result()

    async def run_async(self, job: Job, timeout_s: float) -> Any:
        """Queue a job made for the running loop, await and return the answer.

        Cancelled while it waits in the queue, the job never runs; later, it runs to
        its end unheard.
        """
        self._submit(job)
        future = job.future
        assert future is not None, "the job was made for a loop"
        loop = future.get_loop()
        alarm = loop.call_later(timeout_s, self._expire, job, timeout_s)
        try:
            return await future
        except asyncio.CancelledError:
            self._withdraw(job)
            raise
        finally:
            alarm.cancel()

    def claim(self) -> Job | None:
        """Return the next job for good, or None when nobody waits."""
        with self._lock:
            while self._queue:
                job = self._queue.popleft()
                if job.state is State.QUEUED:
                    job.state = State.CLAIMED
                    return job
        return None

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Queue claimed jobs again, before all others and in their order."""
        with self._lock:
            for job in reversed(list(jobs)):
                job.state = State.QUEUED
                self._queue.appendleft(job)

    def has_jobs(self) -> bool:
        """Say whether somebody waits."""
        with self._lock:
            while self._queue and self._queue[0].state is State.WITHDRAWN:
                self._queue.popleft()
            return bool(self._queue)

    def answer(self, jobs: Iterable[Job]) -> None:
        """Wake everybody whose job has its value or error now."""
        by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in jobs:
            job.state = State.ANSWERED
            loop = job.tell()
            if loop is not None:
                by_loop.setdefault(loop, []).append(job)
        for loop, answered in by_loop.items():
            try:
                loop.call_soon_threadsafe(_deliver, answered)
            except RuntimeError:  # the loop is closed, and its tasks with it
                continue

    def fail_all(self, error: BaseException) -> None:
        """Answer everybody who waits with ``error``."""
        failed: list[Job] = []
        while (job := self.claim()) is not None:
            job.error = error
            failed.append(job)
        self.answer(failed)

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Finish what is queued, then end the threads; used again, it opens again.

        What has not begun after ``timeout_s`` is answered with an error.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._closing = True
            threads = [t for t in self._threads if t is not threading.current_thread()]
            self._changed.notify_all()
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
        self.fail_all(EngineError("the database was closed before this began"))
        with self._changed:
            self._closing = False

    def _submit(self, job: Job) -> None:
        with self._changed:
            if self._closing:
                raise EngineError("the database is being closed")
            if len(self._queue) >= self._queue_max:
                raise Busy(
                    f"{len(self._queue):,} functions wait for their turn already",
                    hint="try again later, or raise LOCKSTEP_WRITE__QUEUE_MAX",
                )
            self._queue.append(job)
            if self._idle:
                self._changed.notify()
            elif len(self._threads) < self._threads_max:
                thread = threading.Thread(target=self._serve, name=self._name)
                thread.daemon = True
                self._threads.add(thread)
                thread.start()

    def _serve(self) -> None:
        while self._await_jobs():
            try:
                self._work(self)
            except BaseException as error:  # a defect of ours must not hang callers
                self.fail_all(error)

    def _await_jobs(self) -> bool:
        """Wait for jobs; False when this thread is to end."""
        with self._changed:
            while not self._queue:
                if self._closing:
                    break
                self._idle += 1
                woken = self._changed.wait(IDLE_S)
                self._idle -= 1
                if not woken and not self._queue:
                    break
            else:
                return True
            self._threads.discard(threading.current_thread())
            return False

    def _withdraw(self, job: Job) -> bool:
        with self._lock:
            if job.state is not State.QUEUED:
                return False
            job.state = State.WITHDRAWN
            return True

    def _expire(self, job: Job, timeout_s: float) -> None:
        future = job.future
        assert future is not None, "the alarm is set for jobs of a loop"
        if self._withdraw(job) and not future.done():
            future.set_exception(self._too_late(timeout_s))

    def _too_late(self, timeout_s: float) -> Busy:
        return Busy(
            f"it did not begin within {timeout_s:g} s; nothing was written",
            hint="is a write session open for long, perhaps in this very thread?",
            detail={"timeout_s": timeout_s},
        )

    def _refuse_own_threads(self) -> None:
        if threading.current_thread() in self._threads:
            raise EngineError(
                "a unit of work waits for another one of its own lane",
                hint="use the unit that the function was given",
            )


def _deliver(jobs: list[Job]) -> None:
    """Hand answers over, inside the event loop that waits for them."""
    for job in jobs:
        future = job.future
        assert future is not None, "only jobs of a loop come here"
        if future.done():  # cancelled meanwhile
            continue
        if job.error is not None:
            future.set_exception(job.error)
        else:
            future.set_result(job.value)
