"""Functions in transactions: ``write`` and ``read``, for threads and event loops.

Owns the lanes of one ``Database`` and what a call may ask for. The work itself is
``group_commit.py`` and ``read_lane.py``.

              threads                     event loops
    write     lane of one thread, one transaction for many functions
    read      in the caller's own thread  lane of a few threads
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from lockstep.engine.group_commit import GroupCommit, TransactionFacts
from lockstep.engine.job import Job
from lockstep.engine.lane import Lane
from lockstep.engine.read_lane import ReadWork, Snapshots
from lockstep.engine.unit import Owner, Unit
from lockstep.errors import InvalidValue

if TYPE_CHECKING:
    from lockstep.config import WriteSettings

R = TypeVar("R")

READ_THREADS_MAX = 4


@dataclass(frozen=True, slots=True)
class WriteStatistics:
    """What ``Database.write`` has done since the database was opened.

    Attributes:
        writes: Functions that were committed.
        batches: Transactions they shared.
    """

    writes: int
    batches: int


class Units:
    """The lanes of one database. Thread safe."""

    def __init__(
        self, database: Owner, backend: TransactionFacts, settings: WriteSettings
    ) -> None:
        self._settings = settings
        self._commits = GroupCommit(database, backend, settings)
        self._writing = Lane(
            "lockstep-write", self._commits, threads_max=1, queue_max=settings.queue_max
        )
        self._snapshots = Snapshots(database, backend)
        self._reading = Lane(
            "lockstep-read",
            ReadWork(self._snapshots),
            threads_max=READ_THREADS_MAX,
            queue_max=settings.queue_max,
            # A server's answers come while other threads work.
            is_patient=self._snapshots.are_of_a_file,
        )

    def write(
        self,
        function: Callable[[Unit], R],
        actor: str | None,
        timeout_s: float | None,
        key: str | None,
    ) -> R:
        """Run ``function`` in a shared transaction; return when it is durable."""
        _refuse_coroutines(function)
        job = Job(function, actor=actor, key=key)
        return self._writing.run(job, self._timeout(timeout_s))

    def write_async(
        self,
        function: Callable[[Unit], R],
        actor: str | None,
        timeout_s: float | None,
        key: str | None,
    ) -> Coroutine[Any, Any, R]:
        """Run ``function`` in a shared transaction; awaited, it is durable."""
        _refuse_coroutines(function)
        loop = asyncio.get_running_loop()
        job = Job(function, actor=actor, key=key, loop=loop)
        return self._writing.run_async(job, self._timeout(timeout_s))

    def read(self, function: Callable[[Unit], R]) -> R:
        """Run ``function`` in one snapshot, in this thread."""
        _refuse_coroutines(function)
        with self._snapshots.take() as snapshot:
            return snapshot.unit().run(function)

    async def read_async(
        self, function: Callable[[Unit], R], timeout_s: float | None
    ) -> R:
        """Run ``function`` in one snapshot, in a thread of the lane."""
        _refuse_coroutines(function)
        job = Job(function, loop=asyncio.get_running_loop())
        return await self._reading.run_async(job, self._timeout(timeout_s))

    def statistics(self) -> WriteStatistics:
        """Return the numbers."""
        return WriteStatistics(self._commits.writes, self._commits.batches)

    def close(self) -> None:
        """Finish what waits, then end the threads."""
        self._writing.close()
        self._reading.close()

    def _timeout(self, timeout_s: float | None) -> float:
        if timeout_s is None:
            return self._settings.timeout_s
        if not 0 < timeout_s <= threading.TIMEOUT_MAX:
            raise InvalidValue(
                f"a timeout is more than 0 seconds, not {timeout_s!r}",
                hint="leave it out for LOCKSTEP_WRITE__TIMEOUT_S",
            )
        return timeout_s


_NOT_ORDINARY = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def _refuse_coroutines(function: Callable[..., Any]) -> None:
    """Refuse what a call only makes, and does not run."""
    if type(function) is FunctionType and not vars(function):
        # As it nearly always is: nothing wraps it, and nothing marks it.
        is_ordinary = not function.__code__.co_flags & _NOT_ORDINARY
    else:
        is_ordinary = not (
            inspect.iscoroutinefunction(function)
            or inspect.isgeneratorfunction(function)
            or inspect.isasyncgenfunction(function)
        )
    if not is_ordinary:
        raise InvalidValue(
            "a unit of work is an ordinary function, no coroutine and no generator",
            hint="await before or after it; inside, everything is at hand",
        )
