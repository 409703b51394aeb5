"""A job of a lane: one function that waits for its turn, and who is told of its end.

Owns the waiting. A thread waits at a lock; tasks wait for futures, which are touched
in their event loop alone.

Threads that are answered together wake one another in turn. A hundred that wake at
once would all fight for the interpreter, which takes longer than their writes.

Invariants: a thread that leaves without its answer breaks no turn; a future is set
once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Any

from lockstep.engine.unit import Unit


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
        tasks: Those of the event loop whose task waits for it; None: a thread does.
        timeout_s: How long it may wait for its turn.
        deadline_s: The same by the loop's clock; later it does not begin.
        value: What the function returned, once it is answered.
        error: What it raised instead.
    """

    __slots__ = ("_is_left", "_is_told", "_lock", "_next", "actor", "deadline_s",
                 "error", "function", "future", "key", "state",
                 "tasks", "timeout_s", "value")  # fmt: skip

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
        self.tasks: Tasks | None = None
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


class Tasks:
    """The tasks of one event loop that wait for jobs of one lane.

    Everything here happens in the loop's own thread, but for ``finish`` and
    ``announce``.

    Attributes:
        loop: Where they run.
        waiting: How many there are.
    """

    __slots__ = ("_alarm", "_finished", "_look", "loop", "waiting")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, look: Callable[[Tasks], None]
    ) -> None:
        self.loop = loop
        self.waiting = 0
        self._look = look
        self._finished: deque[Job] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    def finish(self, job: Job) -> None:
        """Note that a job has its end; its task is told when the loop looks next."""
        self._finished.append(job)

    def announce(self) -> None:
        """Let the loop look now."""
        with suppress(RuntimeError):  # the loop is closed, and its tasks with it
            self.loop.call_soon_threadsafe(self.hand_over)

    def hand_over(self) -> None:
        """Tell the tasks whose jobs are finished."""
        while self._finished:
            job = self._finished.popleft()
            future = job.future
            assert future is not None, "only jobs of tasks come here"
            if future.done():  # cancelled meanwhile
                continue
            if isinstance(job.error, StopIteration):
                # A future refuses it, and a coroutine cannot raise it.
                stopped = RuntimeError("the function raised StopIteration")
                stopped.__cause__ = job.error
                future.set_exception(stopped)
            elif job.error is not None:
                future.set_exception(job.error)
            else:
                future.set_result(job.value)

    def look_at(self, at_s: float) -> None:
        """Call ``look`` at this time of the loop's clock, or sooner.

        One timer for all: one for each job would cost more than its turn.
        """
        if self._alarm is not None:
            if self._alarm.when() <= at_s:
                return
            self._alarm.cancel()
        self._alarm = self.loop.call_at(at_s, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self._look(self)
