"""Turns: writers come to a SQLite file one after another, first come first served.

Owns a fair queue in front of SQLite's write lock. SQLite's own waiting is a sleep
of up to 100 ms between tries, so whoever tries at the right moment wins and an
unlucky writer may wait for seconds, past its deadline.

    threads and tasks ──► queue of this process ──► file_turns ──► BEGIN IMMEDIATE
                          (this module)             (all processes)

The queue is a courtesy, never the lock: a writer whose turn does not come before
its deadline tries all the same. The turn lasts until the commit is on the disk, so
the checkpoint that a commit may do has no other writer beside it.

Invariant: a turn is given to exactly one waiter that still wants it; whoever
gives up, times out or is cancelled passes it on.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from concurrent.futures import Future
from weakref import WeakValueDictionary

from lockstep.engine.file_turns import FileTurn, forget_file_turns


class WriteTurns:
    """The queue of one file. Thread safe; used from event loops too.

    Args:
        file: The turn among all processes; None where there is one process only.
    """

    def __init__(self, file: FileTurn | None = None) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[Future[None]] = deque()
        self._file = file

    def take(self, timeout_s: float) -> bool:
        """Wait for the turn; say whether it came in time.

        The part of the deadline that is left is spent on the other processes;
        when it ends, the turn of this process is held all the same.
        """
        deadline = time.monotonic() + timeout_s
        if not self._take_own(timeout_s):
            return False
        if self._file is not None:
            try:
                self._file.take(deadline - time.monotonic())
            except BaseException:
                self.give()
                raise
        return True

    async def take_async(self, timeout_s: float) -> bool:
        """Wait for the turn without holding up the event loop."""
        deadline = time.monotonic() + timeout_s
        if not await self._take_own_async(timeout_s):
            return False
        if self._file is not None:
            try:
                await self._file.take_async(deadline - time.monotonic())
            except BaseException:
                self.give()
                raise
        return True

    def give(self) -> None:
        """End the turn: the next that still waits has it."""
        if self._file is not None:
            self._file.give()
        self._give_own()

    def remove_traces(self) -> None:
        """Remove the side file; whoever comes later makes it again."""
        if self._file is not None:
            self._file.remove()

    def _take_own(self, timeout_s: float) -> bool:
        turn = self._join()
        if turn is None:
            return True
        try:
            turn.result(timeout_s)
        except TimeoutError:
            return self._leave_queue(turn)
        except BaseException:
            if self._leave_queue(turn):
                self._give_own()
            raise
        return True

    async def _take_own_async(self, timeout_s: float) -> bool:
        turn = self._join()
        if turn is None:
            return True
        try:
            # Not wait_for: that of Python 3.11 can swallow a cancellation.
            async with asyncio.timeout(timeout_s):
                await asyncio.wrap_future(turn)
        except TimeoutError:
            return self._leave_queue(turn)
        except BaseException:
            if self._leave_queue(turn):
                self._give_own()
            raise
        return True

    def _give_own(self) -> None:
        with self._lock:
            while self._waiting:
                if self._waiting[0].set_running_or_notify_cancel():
                    self._waiting.popleft().set_result(None)
                    return
                self._waiting.popleft()
            self._taken = False

    def _join(self) -> Future[None] | None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return None
            turn: Future[None] = Future()
            self._waiting.append(turn)
            return turn

    def _leave_queue(self, turn: Future[None]) -> bool:
        """Leave; True when the turn had come in the same moment."""
        if not turn.cancel():
            return True
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
        return False


_places_lock = threading.Lock()
_places: WeakValueDictionary[str, WriteTurns] = WeakValueDictionary()


def turns_of(place: str, *, is_file: bool) -> WriteTurns:
    """Return the queue of a file or a server: one per process, whoever asks.

    It lives as long as somebody keeps it.

    Args:
        place: The file's path, or the server's URL.
        is_file: Whether other processes come to it themselves; a server queues them.
    """
    with _places_lock:
        found = _places.get(place)
        if found is None:
            found = WriteTurns(FileTurn(place) if is_file else None)
            _places[place] = found
        return found


def forget_turns() -> None:
    """Start anew in a forked child: its parent's threads do not exist there.

    One of them may have held the lock, and will never give it back.
    """
    global _places_lock
    _places_lock = threading.Lock()
    _places.clear()
    forget_file_turns()
