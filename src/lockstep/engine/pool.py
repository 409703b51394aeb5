"""Connection pools that can say how full they are.

Owns the pools of both engines of a ``Database`` and their numbers. It knows
SQLAlchemy's pool and nothing about dialects.

Invariant: at most ``size + overflow_max`` connections exist per pool; a caller
that waits longer than the timeout gets an error that carries the numbers.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy.exc as sa_exc
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from lockstep.engine.forks import gate

if TYPE_CHECKING:
    from sqlalchemy.pool.base import ConnectionPoolEntry

    _Mixed = QueuePool
else:
    _Mixed = object


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """How many connections a ``Database`` of this process holds.

    Attributes:
        limit: The most there may be.
        size: How many are kept open.
        checked_out: In use by sessions now.
        idle: Open and free.
        waiting: Callers that wait for one now.
        timeout_s: How long they wait.
    """

    limit: int
    size: int
    checked_out: int
    idle: int
    waiting: int
    timeout_s: float

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a JSON object."""
        return asdict(self)

    def __add__(self, other: PoolStatistics) -> PoolStatistics:
        return PoolStatistics(
            self.limit + other.limit,
            self.size + other.size,
            self.checked_out + other.checked_out,
            self.idle + other.idle,
            self.waiting + other.waiting,
            max(self.timeout_s, other.timeout_s),
        )

    def __str__(self) -> str:
        return (
            f"{self.checked_out} of {self.limit} connections in use, "
            f"{self.waiting} waiting"
        )


class PoolExhausted(sa_exc.TimeoutError):
    """SQLAlchemy's own timeout, with the numbers at that moment."""

    statistics: PoolStatistics


class _Counted(_Mixed):
    """Counts who waits, puts the numbers into the timeout, ends for good.

    Attributes:
        file: Of SQLite, which forks and uses must not have at the same time.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting = 0
        self._waiting_lock = threading.Lock()
        self._disposed = False
        self.file: str | None = None

    def recreate(self) -> Any:
        """Return a new pool for the same database."""
        pool: Any = super().recreate()
        pool.file = self.file
        return pool

    def dispose(self) -> None:
        """Close what is idle; what is in use closes when it comes back."""
        self._disposed = True
        super().dispose()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        try:
            if self._disposed:
                record.close()
            else:
                super()._do_return_conn(record)
        finally:
            if self.file is not None:
                gate.give(record)

    def _create_connection(self) -> ConnectionPoolEntry:
        create = super()._create_connection
        return create() if self.file is None else gate.open_file(self.file, create)

    def _do_get(self) -> ConnectionPoolEntry:
        record = self._take()
        if self.file is not None:
            try:
                gate.take(record)
            except BaseException:  # Ctrl-C while it waited
                self._do_return_conn(record)
                raise
        return record

    def _take(self) -> ConnectionPoolEntry:
        with self._waiting_lock:
            self._waiting += 1
        try:
            return super()._do_get()
        except PoolExhausted:
            raise  # SQLAlchemy calls itself again when it lost a race
        except sa_exc.TimeoutError as error:
            exhausted = PoolExhausted(str(error))
            exhausted.statistics = self.statistics()
            raise exhausted from error
        finally:
            with self._waiting_lock:
                self._waiting -= 1

    def statistics(self) -> PoolStatistics:
        """Return the numbers now; they are a snapshot without a lock."""
        limit = self.size() + max(self._max_overflow, 0)
        return PoolStatistics(
            limit=limit,
            size=self.size(),
            checked_out=max(self.checkedout(), 0),
            idle=self.checkedin(),
            # Who opens a connection is inside too, so this can be high by one
            # for the time that takes.
            waiting=self._waiting if self.checkedout() >= limit else 0,
            timeout_s=self.timeout(),
        )


class CountedPool(_Counted, QueuePool):
    """The pool of a sync engine."""


class AsyncCountedPool(_Counted, AsyncAdaptedQueuePool):
    """The pool of an async engine."""
