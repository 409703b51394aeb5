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
                waiting: Future[int | None] = Future()
                threading.Thread(
                    target=self._wait,
                    args=(waiting,),
                    name="lockstep-turn",
                    daemon=True,
                ).start()
                return waiting
            except OSError:  # this file system has no such lock
                os.close(descriptor)
                return None
            if _is_there(descriptor):
                self._held = descriptor
                return None
            os.close(descriptor)
        return None

    def _wait(self, waiting: Future[int | None]) -> None:
        """Wait as long as it takes, in a thread of its own: flock has no deadline.

        When nobody waits for it any more the turn is passed on at once.
        """
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
        if waiting.set_running_or_notify_cancel():
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
