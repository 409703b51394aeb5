"""One migrator at a time.

Owns the turn a process takes before it migrates a database, for the whole run of
revisions. Correctness does not hang on it: every revision also takes the write
lock of its own transaction and looks again where the history stands. What the
turn adds is order, so that two runs never alternate and a revision that commits
half-way (CREATE INDEX CONCURRENTLY) is not begun twice.

    SQLite: flock on ``<file>-migrating`` beside the database, removed afterwards
    PostgreSQL: an advisory lock of a transaction of its own, so that it is held
    by one server connection through any pooler and released when that ends

Must not know: revisions.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockstep.errors import MigrationLocked
from lockstep.migrations.results import ProgressCallback, WaitingForMigrator

if TYPE_CHECKING:
    import sqlalchemy as sa

LOCK_WAIT_S = 60.0
POLL_S = 0.05
# Long waits are reported once a second, not at every poll.
REPORT_EVERY_S = 1.0


def advisory_key(text: str) -> int:
    """Return a stable 64-bit key for PostgreSQL's advisory locks."""
    # The high half says "lockstep migrations"; the low half tells schemas apart.
    return (0x4C534D47 << 32) | zlib.crc32(text.encode())


@contextmanager
def migrators_turn(
    engine: sa.Engine,
    *,
    path: Path | None,
    wait_s: float,
    on_progress: ProgressCallback,
) -> Generator[float]:
    """Hold the turn while the block runs; yields the seconds waited.

    Args:
        engine: The database's engine; PostgreSQL uses one connection of it.
        path: The SQLite file; None for PostgreSQL and for a database in memory.
        wait_s: How long to wait for another migrator.
        on_progress: Told about a wait.

    Raises:
        MigrationLocked: The other one was not done in time.
    """
    wait = _Wait(wait_s, on_progress)
    if engine.dialect.name == "postgresql":
        with _advisory_turn(engine, wait):
            yield wait.waited_s
    elif path is not None and _flock is not None:
        with _file_turn(path, wait):
            yield wait.waited_s
    else:
        yield 0.0


class _Wait:
    """Tries until it works or the time is over."""

    def __init__(self, deadline_s: float, on_progress: ProgressCallback) -> None:
        self.deadline_s = deadline_s
        self.waited_s = 0.0
        self._on_progress = on_progress

    def until(self, attempt: Callable[[], bool]) -> None:
        started_s = time.monotonic()
        next_report_s = 0.0
        while not attempt():
            self.waited_s = time.monotonic() - started_s
            if self.waited_s >= self.deadline_s:
                raise MigrationLocked(
                    "another process is migrating this database; it was not done "
                    f"after {self.waited_s:.0f} s",
                    detail={"waited_s": round(self.waited_s, 1)},
                )
            if self.waited_s >= next_report_s:
                next_report_s = self.waited_s + REPORT_EVERY_S
                self._on_progress(WaitingForMigrator(self.waited_s, self.deadline_s))
            time.sleep(min(POLL_S, max(0.001, self.deadline_s - self.waited_s)))
        self.waited_s = time.monotonic() - started_s


@contextmanager
def _advisory_turn(engine: sa.Engine, wait: _Wait) -> Generator[None]:
    key = None
    with engine.connect() as connection, connection.begin():
        schema = connection.exec_driver_sql("SELECT current_schema()").scalar()
        key = advisory_key(f"turn {schema}")
        wait.until(
            lambda: bool(
                connection.exec_driver_sql(
                    "SELECT pg_try_advisory_xact_lock(%s)", (key,)
                ).scalar()
            )
        )
        # The transaction only holds the lock; it may idle as long as the work of
        # the other connection takes. The last statement must be one without a
        # snapshot: PostgreSQL keeps that of the last query while the transaction
        # is idle, and CREATE INDEX CONCURRENTLY would wait for it for ever.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


@contextmanager
def _file_turn(path: Path, wait: _Wait) -> Generator[None]:
    side = path.with_name(path.name + "-migrating")
    held: list[int] = []

    def attempt() -> bool:
        descriptor = os.open(side, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if _locks(descriptor) and _is_still(side, descriptor):
            held.append(descriptor)
            return True
        os.close(descriptor)
        return False

    wait.until(attempt)
    try:
        yield
    finally:
        # Removed while it is still locked: whoever waits on this very file finds
        # that it is no longer the one of that name, and opens the next.
        side.unlink(missing_ok=True)
        os.close(held[0])


def _locks(descriptor: int) -> bool:
    assert _flock is not None, "asked only where flock exists"
    try:
        _flock(descriptor)
    except BlockingIOError:
        return False
    return True


def _is_still(side: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), side.stat())
    except FileNotFoundError:
        return False


def _load_flock() -> Callable[[int], Any] | None:
    try:
        import fcntl
    except ImportError:  # Windows: the write lock of each revision has to do
        return None
    return lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_flock = _load_flock()
