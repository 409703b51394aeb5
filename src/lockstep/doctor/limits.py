"""How much an examination may cost.

Owns the limits and the two ways they end a check: it looked at the first rows
only (a finding says so), or its time was up (the report says so).

Invariant: no check runs longer than its limit, and none holds a lock on a live
database longer than a writer waits.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


class OutOfTime(Exception):
    """The check's time was up in the middle of a question to the database."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an examination may cost.

    Attributes:
        check_s: Seconds that one check may take.
        rows_max: Rows of each table whose values are looked at.
        busy_s: Seconds to wait for a process that holds the database.
    """

    check_s: float = 30.0
    rows_max: int = 1_000_000
    busy_s: float = 5.0


class Deadline:
    """When the running check must end."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds that are left; 0 when it is over."""
        return max(self._at - time.monotonic(), 0.0)

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._at
