"""What is said on stderr while a migration runs.

Owns how an event of ``lockstep.migrations`` becomes a line. It also remembers what
was committed, which is what an interrupted verb may say it kept.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lockstep.cli.output import Page, console
from lockstep.cli.status_line import StatusLine
from lockstep.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from lockstep.cli.output import Output
    from lockstep.migrations import Progress
    from lockstep.migrations.results import RevisionFinished, RowsDone


class MigrationProgress(StatusLine):
    """A callback for ``on_progress`` that prints, and counts what is durable.

    Args:
        output: The streams.
        clock: Decides when the next line about rows is due.
    """

    def __init__(self, output: Output, *, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(output, clock)
        self._finished: list[RevisionFinished] = []
        self._running: str | None = None

    def __call__(self, event: Progress) -> None:
        """Print ``event``."""
        from lockstep.migrations import results

        match event:
            case results.WaitingForMigrator():
                self.say(
                    f"waiting for another migrator "
                    f"({event.waited_s:.0f} s of {event.deadline_s:.0f} s)",
                    is_passing=True,
                )
            case results.RevisionStarted():
                self._running = f"{event.revision} {event.message}"
                # A pipe gets the line that says it is done.
                if self.spinner is not None:
                    self.say(f"{event.position}/{event.total} {self._running}")
            case results.RevisionFinished():
                self._running = None
                self._finished.append(event)
                sign = "↓" if event.direction == "downgrade" else "✓"
                self._tell(
                    f"{sign} {event.revision} {event.message} ({event.elapsed_s:.2f} s)"
                )
            case results.RowsDone():
                self.say(rows_text(event), is_passing=True)
            case results.VerifyStep():
                self.say(f"{event.dialect}: {event.text}")
            case _:
                pass

    def _tell(self, text: str) -> None:
        """Print a line that stays; a line that moves is kept below it."""
        target = console(sys.stderr) if self.spinner is None else self.spinner.console
        Page(target).line(text, style="green")
        sys.stderr.flush()

    def kept(self) -> str:
        """Say what is durable now, for the case of an interrupt."""
        parts: list[str] = []
        if self._finished:
            names = ", ".join(event.revision for event in self._finished)
            parts.append(f"kept: {names}")
        else:
            parts.append("no revision was completed")
        if self._running is not None:
            parts.append(f"taken back as a whole: {self._running}")
        parts.append("lockstep migrate current shows where the database stands")
        return "; ".join(parts)


def rows_text(event: RowsDone) -> str:
    """Return ``task 12,000 of 100,000 rows, 3 s left``.

    Example:
        >>> from lockstep.migrations.results import RowsDone
        >>> rows_text(RowsDone("rebuild tool", 12_000, 100_000, 3.2))
        'rebuild tool: 12,000 of 100,000 rows, 3 s left'
    """
    of = f" of {event.total:,}" if event.total is not None else ""
    left = f", {event.remaining_s:.0f} s left" if event.remaining_s is not None else ""
    return f"{event.task}: {event.done:,}{of} rows{left}"
