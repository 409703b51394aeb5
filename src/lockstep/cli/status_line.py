"""One line of news on stderr: it moves on a terminal, and repeats seldom in a pipe.

Owns the spinner and the rate. What is said is the business of whoever tells it
(``steps.py`` for backups, ``migrate/progress.py`` for migrations).

Invariant: a pipe gets whole lines at a bounded rate; only a terminal sees a spinner.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lockstep.cli.output import console, printable
from lockstep.clock import Clock

if TYPE_CHECKING:
    from rich.status import Status

    from lockstep.cli.output import Output

LINE_INTERVAL_S = 5.0
"""Seconds between two lines of passing news in a pipe; a log stays readable."""


class StatusLine:
    """A line that is there inside of its ``with`` block.

    Args:
        output: The streams.
        clock: Decides when the next line in a pipe is due.
        first_after_s: How long a pipe waits for its first passing news.
    """

    def __init__(
        self, output: Output, clock: Clock, *, first_after_s: float = 0.0
    ) -> None:
        self._output = output
        self._clock = clock
        self._line_due_s = clock.monotonic_s() + first_after_s
        self.spinner: Status | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self.spinner = console(sys.stderr).status("")
            self.spinner.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.spinner is not None:
            self.spinner.stop()

    def say(self, text: str, *, is_passing: bool = False) -> None:
        """Move the line; in a pipe print it, passing news seldom."""
        if self.spinner is not None:
            from rich.text import Text

            self.spinner.update(Text(printable(text)))
            return
        now = self._clock.monotonic_s()
        if is_passing and now < self._line_due_s:
            return
        self._line_due_s = now + LINE_INTERVAL_S
        self._output.progress(text)
