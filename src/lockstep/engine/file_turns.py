"""A turn among all processes that write one SQLite file, handed over fairly.

Owns a side file (``NAME-turn``) and the kernel's lock on it. The kernel queues those
who wait for it, first come first served, where SQLite's own waiting is luck:
four processes with 25 writers each wait 3 ms instead of 3 s for their turn.

Like the queue of one process it is a courtesy, never the lock. Where it cannot be
had (a read-only folder, a system without ``flock``, a writer that does not know of
it), SQLite's lock decides alone, as it always does in the end.

The database file itself is never opened here: closing a second descriptor of it
would cancel SQLite's own locks on it (https://www.sqlite.org/howtocorrupt.html,
section 2.2). The side file is empty. Whoever closes the database removes it; a lock
on a file that was removed meanwhile is no turn, so its holder asks again.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    fcntl: Any
else:
    try:
        import fcntl
    except ImportError:  # Windows
        fcntl = None

SUFFIX = "-turn"


class FileTurn:
    """The turn of one process among all; one of its threads at a time uses it."""

    def __init__(self, path: str) -> None:
        self._path = path + SUFFIX
        self._held: int | None = None
        self._lock = threading.Lock()
        self._wanted: Future[int | None] | None = None  # while a thread waits
        _turns.add(self)

    def take(self, timeout_s: float) -> bool:
        """Wait for the turn; say whether it came in time."""
        waiting = self._ask()
        if waiting is None:
            return self._held is not None
        try:
            self._held = waiting.result(max(timeout_s, 0))
        except TimeoutError:
            return self._give_up(waiting)
        except BaseException:
            self._give_up(waiting)
            raise
        return self._held is not None

    async def take_async(self, timeout_s: float) -> bool:
        """Wait for the turn without holding up the event loop."""
        waiting = self._ask()
        if waiting is None:
            return self._held is not None
        try:
            async with asyncio.timeout(max(timeout_s, 0)):
                self._held = await asyncio.wrap_future(waiting)
        except TimeoutError:
            return self._give_up(waiting)
        except BaseException:
            self._give_up(waiting)
            raise
        return self._held is not None

    def give(self) -> None:
        """End the turn, if it is held."""
        descriptor, self._held = self._held, None
        if descriptor is not None:
            _release(descriptor)

    def forget(self) -> None:
        """In a forked child: drop the parent's descriptor without its lock."""
        descriptor, self._held = self._held, None
        if descriptor is not None:
            os.close(descriptor)
        self._lock = threading.Lock()
        self._wanted = None

    def remove(self) -> None:
        """Remove the side file, unless somebody uses it just now."""
        descriptor = self._open(0)
        if descriptor is None:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(descriptor):
                os.unlink(self._path)
        except OSError:
            return
        finally:
            os.close(descriptor)

    def _ask(self) -> Future[int | None] | None:
        """Try at once; None when it is decided, else what to wait for."""
        while (descriptor := self._open()) is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return self._join()
            except OSError:  # this file system has no such lock
                os.close(descriptor)
                return None
            if _is_there(descriptor):
                self._held = descriptor
                return None
            os.close(descriptor)
        return None

    def _join(self) -> Future[int | None] | None:
        """Wait in a thread: flock has no deadline.

        There is one at most. While another process has the turn for hours, it waits
        for everybody here who comes and gives up.
        """
        waiting: Future[int | None] = Future()
        with self._lock:
            is_waited_for, self._wanted = self._wanted is not None, waiting
        if not is_waited_for:
            thread = threading.Thread(
                target=self._wait, name="lockstep-turn", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # the system gives no more threads
                self._wanted = None
                return None
        return waiting

    def _wait(self) -> None:
        """Wait as long as it takes; pass the turn on if nobody wants it any more."""
        descriptor = self._open()
        while descriptor is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:
                os.close(descriptor)
                descriptor = None
                break
            if _is_there(descriptor):
                break
            os.close(descriptor)
            descriptor = self._open()
        with self._lock:
            waiting, self._wanted = self._wanted, None
        if waiting is not None and waiting.set_running_or_notify_cancel():
            waiting.set_result(descriptor)
        elif descriptor is not None:
            _release(descriptor)

    def _open(self, flags: int = os.O_CREAT) -> int | None:
        if fcntl is None:
            return None
        try:
            # Whoever may write the database may come here: the umask decides.
            return os.open(self._path, os.O_RDWR | flags, 0o666)
        except OSError:
            return None

    def _give_up(self, waiting: Future[int | None]) -> bool:
        """Stop waiting; True when the turn had come in the same moment."""
        if waiting.cancel() or waiting.cancelled():
            return False
        self._held = waiting.result()
        return self._held is not None


def _is_there(descriptor: int) -> bool:
    return os.fstat(descriptor).st_nlink > 0


def _release(descriptor: int) -> None:
    # Not by closing alone: a forked child may hold a copy of the descriptor.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


_turns: WeakSet[FileTurn] = WeakSet()


def forget_file_turns() -> None:
    """Start anew in a forked child."""
    for turn in list(_turns):
        turn.forget()
