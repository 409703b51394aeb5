"""A lane: threads that run functions in turn and answer those who wait for them.

Owns the queue, the threads and the deadlines, for callers in threads and in event
loops alike. What is done with the functions is its ``work``'s business
(``group_commit.py``, ``read_lane.py``).

    submit ──► queue ──► thread: work(lane) ──claim()──► functions ──► answer([…])
                  └── withdrawn by a deadline or a cancellation: never claimed

A lane with several threads may be *patient*: while one is at work, the next function
waits for it up to ``LOOK_S`` before another thread joins. Two threads that run short
functions take the interpreter from each other all the time.

Invariants: a job is claimed or withdrawn, never both; a claimed job is answered
exactly once; no answer waits longer than ``LOOK_S`` for a function that runs beside
it; a thread that has nothing to do for ``IDLE_S`` ends, so a lane that nobody uses
holds no thread and no connection.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from lockstep.engine.classify import for_one_more
from lockstep.engine.job import Job, State, Tasks
from lockstep.errors import Busy, EngineError

IDLE_S = 5.0
CLOSE_TIMEOUT_S = 10.0
LOOK_S = 0.002
"""How often a loop looks after its jobs in a lane of several threads."""


class Lane:
    """Runs jobs in at most ``threads_max`` threads.

    Args:
        name: Of the threads.
        work: Called in a thread while there are jobs; claims and answers them.
        threads_max: How many at a time.
        queue_max: More waiting jobs than this are refused.
        is_patient: Whether a function waits for a busy thread before another joins.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Lane], None],
        *,
        threads_max: int,
        queue_max: int,
        is_patient: bool = False,
    ) -> None:
        self._name = name
        self._work = work
        self._threads_max = threads_max
        self._queue_max = queue_max
        self._queue: deque[Job] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._threads: set[threading.Thread] = set()
        self._is_patient = is_patient
        self._tasks: dict[asyncio.AbstractEventLoop, Tasks] = {}
        self._idle = 0  # threads that wait and that nobody has called yet
        self._called = 0  # threads that were called and have not come yet
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
        self._refuse_own_threads()
        future = job.future
        assert future is not None, "the job was made for a loop"
        tasks = job.tasks = self._tasks_of(future.get_loop())
        job.timeout_s, job.deadline_s = timeout_s, tasks.loop.time() + timeout_s
        self._submit(job)
        tasks.waiting += 1
        self._look_after(tasks, job.deadline_s)
        try:
            return await future
        except asyncio.CancelledError:
            self._withdraw(job)
            raise
        finally:
            tasks.waiting -= 1

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

    def finish(self, job: Job) -> None:
        """Note a job's end; its task is told soon, or with others by ``answer``."""
        job.state = State.ANSWERED
        if job.tasks is not None:
            job.tasks.finish(job)

    def answer(self, jobs: Iterable[Job]) -> None:
        """Tell everybody whose job has its value or error now."""
        loops: set[Tasks] = set()
        first: Job | None = None
        last: Job | None = None
        for job in jobs:
            if job.state is not State.ANSWERED:
                self.finish(job)
            if job.tasks is not None:
                loops.add(job.tasks)
                continue
            if last is None:
                first = job
            else:
                job.follow(last)
            last = job
        for tasks in loops:
            tasks.announce()
        if first is not None:
            first.tell()

    def fail_all(self, error: BaseException) -> None:
        """Answer everybody who waits with ``error``."""
        failed: list[Job] = []
        while (job := self.claim()) is not None:
            job.error = for_one_more(error)
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
        self.fail_all(
            EngineError(
                "the database was closed before this began",
                hint="close it after its last writer has ended",
            )
        )
        with self._changed:
            self._closing = False

    def _submit(self, job: Job) -> None:
        with self._lock:
            if self._closing:
                raise EngineError(
                    "the database is being closed",
                    hint="open another Database, or close this one later",
                )
            if len(self._queue) >= self._queue_max:
                raise Busy(
                    f"{len(self._queue):,} functions wait for their turn already",
                    hint="try again later, or raise LOCKSTEP_WRITE__QUEUE_MAX",
                )
            self._queue.append(job)
            is_somebody_at_work = len(self._threads) > self._idle
            if not (self._is_patient and is_somebody_at_work):
                self._call_thread()
            if not self._threads:
                self._queue.remove(job)
                raise Busy(
                    "the system gives no thread to run it; nothing was done",
                    hint="this process, or its user, has as many as it may have",
                )

    def _call_thread(self) -> None:
        """Let one more thread come to work, if there is one; the lock is held."""
        if self._idle:
            self._idle -= 1
            self._called += 1
            self._changed.notify()
        elif len(self._threads) < self._threads_max:
            thread = threading.Thread(target=self._serve, name=self._name)
            thread.daemon = True
            try:
                thread.start()
            except RuntimeError:
                return  # no more threads; those that are there do the work
            self._threads.add(thread)

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
                # Whoever comes first answers a call, also one whose patience was
                # over in the same moment.
                if self._called:
                    self._called -= 1
                else:
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

    def _tasks_of(self, loop: asyncio.AbstractEventLoop) -> Tasks:
        tasks = self._tasks.get(loop)
        if tasks is None:
            for known in list(self._tasks):
                if known.is_closed():
                    self._tasks.pop(known, None)
            tasks = self._tasks[loop] = Tasks(loop, self._look)
        return tasks

    def _look_after(self, tasks: Tasks, deadline_s: float) -> None:
        """Look at a loop's jobs when the first deadline comes, or soon."""
        if self._threads_max > 1:
            deadline_s = min(deadline_s, tasks.loop.time() + LOOK_S)
        tasks.look_at(deadline_s)

    def _look(self, tasks: Tasks) -> None:
        """Look after a loop's jobs, in its thread.

        Tells what is finished, withdraws what is too late, and calls another thread
        for what has waited long enough.
        """
        tasks.hand_over()
        now_s = tasks.loop.time()
        with self._lock:
            queued = [
                job
                for job in self._queue
                if job.tasks is tasks and job.state is State.QUEUED
            ]
            late = [job for job in queued if job.deadline_s <= now_s]
            for job in late:
                job.state = State.WITHDRAWN
            rest = [job.deadline_s for job in queued if job.deadline_s > now_s]
            if rest and self._is_patient:
                self._call_thread()
        for job in sorted(late, key=lambda job: job.deadline_s):
            if job.future is not None and not job.future.done():
                job.future.set_exception(self._too_late(job.timeout_s))
        # One that is alone and at work is told when it ends: nothing to look at.
        if rest or tasks.waiting > len(late) + 1:
            self._look_after(tasks, min(rest, default=now_s + IDLE_S))

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
