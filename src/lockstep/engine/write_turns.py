"""Turns: the writers of one process come to a SQLite file one after another.

Owns a fair queue per file, in front of SQLite's write lock. SQLite's own waiting
is a sleep of up to 100 ms between tries, so whoever tries at the right moment
wins and an unlucky writer may wait for seconds, past its deadline. In this queue
the first to come is the first to go, and only the head of it tries.

The queue is a courtesy, never the lock: other processes do not see it, and a
writer whose turn does not come before its deadline tries all the same.

Invariant: a turn is given to exactly one waiter that still wants it; whoever
gives up, times out or is cancelled passes it on.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from weakref import WeakValueDictionary


class WriteTurns:
    """The queue of one file. Thread safe; used from event loops too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[Future[None]] = deque()

    def take(self, timeout_s: float) -> bool:
        """Wait for the turn; say whether it came in time."""
        turn = self._join()
        if turn is None:
            return True
        try:
            turn.result(timeout_s)
        except TimeoutError:
            return self._leave_queue(turn)
        except BaseException:
            if self._leave_queue(turn):
                self.give()
            raise
        return True

    async def take_async(self, timeout_s: float) -> bool:
        """Wait for the turn without holding up the event loop."""
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
                self.give()
            raise
        return True

    def give(self) -> None:
        """End the turn: the next that still waits has it."""
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


_files_lock = threading.Lock()
_files: WeakValueDictionary[str, WriteTurns] = WeakValueDictionary()


def turns_of(name: str) -> WriteTurns:
    """Return the queue of the file ``name``: one per process, whoever asks.

    It lives as long as somebody keeps it.
    """
    with _files_lock:
        return _files.setdefault(name, WriteTurns())


def forget_turns() -> None:
    """Start anew in a forked child: its parent's threads do not exist there."""
    _files.clear()
