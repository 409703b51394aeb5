"""UUIDs of version 7 (RFC 9562): keys that sort by the time they were made.

Owns the generator of this process. Invariant: within one process every UUID is
greater than all before it, whatever the clock does, and two processes forked
from one do not repeat each other.

    48 bits Unix milliseconds | 4 bits version | 12 bits counter, high part
    2 bits variant | 30 bits counter, low part | 32 bits random
"""

from __future__ import annotations

import os
import struct
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from lockstep.clock import SYSTEM_CLOCK, Clock

_COUNTER_BITS = 42
_RANDOM_BITS = 32
_VERSION_7 = 0x7 << 76
_VARIANT_RFC = 0x2 << 62
_LOW_COUNTER_BITS = 30
_LOW_COUNTER = (1 << _LOW_COUNTER_BITS) - 1
_TAILS = 256
"""Random parts that are asked for at once."""

UNKNOWN = uuid.SafeUUID.unknown
new_object: Any = object.__new__
# A UUID refuses assignment; these are the slots that its constructor fills.
set_int: Any = vars(uuid.UUID)["int"].__set__
set_is_safe: Any = vars(uuid.UUID)["is_safe"].__set__


def uuid_of(number: int) -> uuid.UUID:
    """Return the UUID of 128 bits, for a third of what the constructor takes."""
    found = new_object(uuid.UUID)
    set_int(found, number)
    set_is_safe(found, UNKNOWN)
    return found


class Generator:
    """Makes UUIDs in ascending order; thread-safe.

    Attributes:
        millisecond: The Unix millisecond of the last one made.
        counter: Its counter within that millisecond.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tails: Iterator[int] = iter(())
        self.millisecond = -1
        self.counter = 0

    def make(self, clock: Clock) -> uuid.UUID:
        """Return a UUID greater than every one this generator made before."""
        now = int(clock.now().timestamp() * 1000)
        with self._lock:
            self.counter += 1
            if now > self.millisecond:
                self._begin(now)
            elif self.counter >> _COUNTER_BITS:
                self._begin(self.millisecond + 1)
            millisecond, counter = self.millisecond, self.counter
            tail = next(self._tails, None)
            if tail is None:
                tail = self._fill_up()
        high, low = counter >> _LOW_COUNTER_BITS, counter & _LOW_COUNTER
        return uuid_of(
            (millisecond << 80)
            | _VERSION_7
            | (high << 64)
            | _VARIANT_RFC
            | (low << _RANDOM_BITS)
            | tail
        )

    def _begin(self, millisecond: int) -> None:
        self.millisecond = millisecond
        # Starting in the lower half leaves room for 2**41 more.
        self.counter = int.from_bytes(os.urandom(8), "big") >> (65 - _COUNTER_BITS)

    def _fill_up(self) -> int:
        """Ask the system for the random parts of many UUIDs; return the first.

        Each time it is asked, every other thread has its chance to run.
        """
        tails = struct.unpack(f"={_TAILS}I", os.urandom(_TAILS * _RANDOM_BITS // 8))
        self._tails = iter(tails)
        return next(self._tails)


_generator = Generator()


def _start_afresh() -> None:
    """Give a forked child its own lock and its own counter."""
    global _generator
    _generator = Generator()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)


def uuid7(clock: Clock = SYSTEM_CLOCK) -> uuid.UUID:
    """Return a new UUID of version 7, greater than all this process made before.

    Args:
        clock: Where the millisecond comes from. If it stands still or goes
            back, a counter of 42 bits keeps the order.

    Thread-safe and fork-safe.
    """
    return _generator.make(clock)
