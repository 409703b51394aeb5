"""Progress of a task that goes through rows.

Owns the count, the estimate and how often a callback hears of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lockstep.clock import SYSTEM_CLOCK, Clock
from lockstep.migrations.results import ProgressCallback, RowsDone

# A terminal is redrawn a few times a second; more would cost and show nothing.
REPORT_EVERY_S = 0.2


@dataclass
class Pace:
    """Counts rows and reports them, at most a few times a second.

    Args:
        task: What is being done.
        total: Rows in all, None when unknown.
        on_progress: Told at the start of a large task, along the way, at the end.
    """

    task: str
    total: int | None
    on_progress: ProgressCallback
    clock: Clock = SYSTEM_CLOCK
    done: int = 0
    _started_s: float = field(init=False)
    _reported_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._started_s = self._reported_s = self.clock.monotonic_s()

    def advance(self, rows: int) -> None:
        """Add rows; report when enough time passed or the task is complete."""
        self.done += rows
        now_s = self.clock.monotonic_s()
        complete = self.total is not None and self.done >= self.total
        if complete or now_s - self._reported_s >= REPORT_EVERY_S:
            self._reported_s = now_s
            self.on_progress(
                RowsDone(self.task, self.done, self.total, self._remaining_s(now_s))
            )

    def _remaining_s(self, now_s: float) -> float | None:
        if self.total is None or self.done <= 0:
            return None
        return (now_s - self._started_s) / self.done * max(0, self.total - self.done)
