"""What is said on stderr while a backup, a restore or a check of one runs.

Owns how a step of ``lockstep.engine.backup`` becomes a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockstep.cli.status_line import LINE_INTERVAL_S, StatusLine
from lockstep.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from lockstep.cli.output import Output
    from lockstep.engine.backup import Step


class StepProgress(StatusLine):
    """A callback for ``on_progress`` that prints."""

    def __init__(self, output: Output, *, clock: Clock = SYSTEM_CLOCK) -> None:
        # A backup that takes less says nothing but that it is done.
        super().__init__(output, clock, first_after_s=LINE_INTERVAL_S)

    def __call__(self, step: Step) -> None:
        """Tell ``step``; in a pipe only if the last line is some seconds old."""
        self.say(step_text(step), is_passing=True)


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
