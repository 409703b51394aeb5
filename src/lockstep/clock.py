"""Time as a value that can be handed in.

Owns the one place that asks the machine what time it is. Everything above takes
a ``Clock``, so a test can say what time it is and no test has to sleep.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the rest of the library may ask about time."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC, with microseconds."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never go back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the machine's wall-clock time in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told to; for tests and replays."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)
        if self._now.tzinfo is None:
            raise ValueError("a clock starts at an aware time")
        self._monotonic_s = 0.0

    def now(self) -> datetime:
        """Return the time the clock was set to, in UTC."""
        return self._now.astimezone(UTC)

    def monotonic_s(self) -> float:
        """Return the seconds this clock was moved forward so far."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Move both readings forward by ``seconds``."""
        if seconds < 0:
            raise ValueError("a monotonic clock does not go back")
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += seconds

    def set(self, now: datetime) -> None:
        """Set the wall clock, backwards too, as an operator might."""
        if now.tzinfo is None:
            raise ValueError("a clock is set to an aware time")
        self._now = now


SYSTEM_CLOCK: Clock = SystemClock()
