"""A lane: threads that run functions in turn and answer those who wait for them.

Owns the queue, the waiting and the deadlines, for callers in threads and in event
loops alike. What is done with the functions is its ``work``'s business
(``group_commit.py``, ``read_lane.py``).

    submit ──► queue ──► thread: work(lane) ──claim()──► functions ──► answer([…])
       │          └── withdrawn by a deadline or a cancellation: never claimed
       └── waits: a lock (threads) · a future (event loops, woken once per answer)

Threads that are answered together wake one another in turn. A hundred that wake at
once would all fight for the interpreter, which takes longer than their writes.

Invariants: a job is claimed or withdrawn, never both; a claimed job is answered
exactly once; a thread that leaves without its answer breaks no turn; a thread that
has nothing to do for ``IDLE_S`` ends, so a lane that nobody uses holds no thread and
no connection.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum, auto
from typing import Any, NamedTuple

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
        loop: Whose task waits for it; None: a thread does.
        timeout_s: How long it may wait for its turn.
        deadline_s: The same by the loop's clock; later it does not begin.
        value: What the function returned, once it is answered.
        error: What it raised instead.
    """

    __slots__ = ("_is_left", "_is_told", "_lock", "_next", "actor", "deadline_s",
                 "error", "function", "future", "key", "loop", "state",
                 "timeout_s", "value")  # fmt: skip

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
        self.loop = loop
        self.timeout_s = self.deadline_s = 0.0
        self.future = None if loop is None else loop.create_future()
        self._next: Job | None = None
        self._is_told = self._is_left = False
        self._lock = threading.Lock()
        if loop is None:
            self._lock.acquire()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait, in a thread, until it is answered; say whether it was."""
        if not self._lock.acquire(timeout=-1 if timeout_s is None else timeout_s):
            return False
        if self._next is not None:
            self._next.tell()
        return True

    def leave(self) -> None:
        """Wait no longer, although it may be answered yet."""
        self._is_left = True
        if self._is_told and self._next is not None:
            self._next.tell()

    def result(self) -> Any:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value

    def follow(self, job: Job) -> None:
        """Be told by the thread that waits for ``job``, when that one was told."""
        job._next = self

    def tell(self) -> None:
        """Wake the thread that waits for it, and with it those that follow.

        Told twice is told once: an interrupt may have come between.
        """
        job: Job | None = self
        while job is not None:
            job._is_told = True
            try:  # noqa: SIM105 - "suppress" would take longer than the waking
                job._lock.release()
            except RuntimeError:  # told before, and not woken yet
                pass
            # Here it is told first and asked second whether it has left; ``leave``
            # does it the other way round. So at least one of the two sees the
            # other, and the next is told.
            job = job._next if job._is_left else None


class _Alarm(NamedTuple):
    """When the deadlines of a loop's jobs are looked at next."""

    at_s: float
    timer: asyncio.TimerHandle


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
        self._alarms: dict[asyncio.AbstractEventLoop, _Alarm] = {}
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
        except BaseException:  # Ctrl-C
            if not self._withdraw(job):
                job.leave()
            raise
        if not in_time:
            raise self._too_late(timeout_s)
        return job.result()

    async def run_async(self, job: Job, timeout_s: float) -> Any:
        """Queue a job made for the running loop, await and return the answer.

        Cancelled while it waits in the queue, the job never runs; later, it runs to
        its end unheard.
        """
        loop, future = job.loop, job.future
        assert loop is not None, "the job was made for a loop"
        assert future is not None, "and so has a future"
        job.timeout_s, job.deadline_s = timeout_s, loop.time() + timeout_s
        self._submit(job)
        alarm = self._alarms.get(loop)
        if alarm is None or alarm.at_s > job.deadline_s:
            self._set_alarm(loop, job.deadline_s)
        try:
            return await future
        except asyncio.CancelledError:
            self._withdraw(job)
            raise

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
        first: Job | None = None
        last: Job | None = None
        for job in jobs:
            job.state = State.ANSWERED
            if job.loop is not None:
                by_loop.setdefault(job.loop, []).append(job)
                continue
            if last is None:
                first = job
            else:
                job.follow(last)
            last = job
        for loop, answered in by_loop.items():
            with suppress(RuntimeError):  # the loop is closed, and its tasks with it
                loop.call_soon_threadsafe(_deliver, answered)
        if first is not None:
            first.tell()

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

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, at_s: float) -> None:
        """Look at the deadlines of this loop's jobs at this time, and not later.

        One timer for all: one for each job would cost more than its turn.
        """
        for known in list(self._alarms):
            if known.is_closed():
                self._alarms.pop(known, None)
        alarm = self._alarms.pop(loop, None)
        if alarm is not None:
            alarm.timer.cancel()
        timer = loop.call_at(at_s, self._expire, loop)
        self._alarms[loop] = _Alarm(at_s, timer)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """Withdraw the loop's jobs whose deadline has come."""
        self._alarms.pop(loop, None)
        now_s = loop.time()
        with self._lock:
            waiting = [
                job
                for job in self._queue
                if job.loop is loop and job.state is State.QUEUED
            ]
            late = sorted(
                (job for job in waiting if job.deadline_s <= now_s),
                key=lambda job: job.deadline_s,
            )
            for job in late:
                job.state = State.WITHDRAWN
        rest = [job.deadline_s for job in waiting if job.deadline_s > now_s]
        if rest:
            self._set_alarm(loop, min(rest))
        for job in late:
            if job.future is not None and not job.future.done():
                job.future.set_exception(self._too_late(job.timeout_s))

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
