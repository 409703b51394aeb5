"""What is said on stderr while something long runs.

Owns how a step of ``lockstep.engine.backup`` becomes a line, or on a terminal a line
that moves.

Invariant: a pipe gets whole lines at a bounded rate; only a terminal sees a spinner.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from lockstep.cli.output import console, printable
from lockstep.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from rich.status import Status

    from lockstep.cli.output import Output
    from lockstep.engine.backup import Step

LINE_INTERVAL_S = 5.0
"""Seconds between two lines in a pipe; a log stays readable."""


class StepProgress:
    """A callback for ``on_progress`` that prints.

    Args:
        output: The streams.
        clock: Decides when the next line in a pipe is due.
    """

    def __init__(self, output: Output, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._output = output
        self._clock = clock
        self._status: Status | None = None
        self._line_due_s = clock.monotonic_s() + LINE_INTERVAL_S

    def __enter__(self) -> StepProgress:
        if sys.stderr.isatty():
            self._status = console(sys.stderr).status("")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, step: Step) -> None:
        """Tell ``step``; in a pipe only if the last line is some seconds old."""
        if self._status is not None:
            from rich.text import Text

            self._status.update(Text(printable(step_text(step))))
            return
        now = self._clock.monotonic_s()
        if now >= self._line_due_s:
            self._line_due_s = now + LINE_INTERVAL_S
            self._output.progress(step_text(step))


def step_text(step: Step) -> str:
    """Return a step as people read it.

    Example:
        >>> from lockstep.engine.backup import Step
        >>> step_text(Step("copying", 2048, 8192, "pages"))
        'copying: 2,048 of 8,192 pages'
    """
    if step.total is None:
        return f"{step.task}: {step.done:,} {step.unit}" if step.done else step.task
    return f"{step.task}: {step.done:,} of {step.total:,} {step.unit}"
