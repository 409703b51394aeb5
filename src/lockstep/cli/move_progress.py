"""What is said on stderr while a database is moved or compared.

Owns how an event of ``lockstep.mover`` becomes a bar with rate and time left on a
terminal, or a line at a bounded rate in a log.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from lockstep.cli.output import console, printable
from lockstep.cli.status_line import LINE_INTERVAL_S
from lockstep.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from lockstep.cli.output import Output
    from lockstep.mover import Progress

BAR_COLUMNS = 20
"""Columns of a bar; more would push the numbers off a narrow terminal."""

_WORDS = {"inspect": "inspected", "copy": "copied", "verify": "compared"}


class MoveProgress:
    """A callback for ``on_progress`` that prints.

    Args:
        output: The streams.
        clock: Decides when the next line of a log is due.
    """

    def __init__(self, output: Output, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._output = output
        self._clock = clock
        self._bars: Bars | None = None
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._unmeasured: TaskID | None = None
        self._line_due_s = 0.0
        self._began: dict[tuple[str, str], float] = {}
        self._has_copied = False

    def __enter__(self) -> MoveProgress:
        if sys.stderr.isatty() and not self._output.as_json:
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            self._bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(BAR_COLUMNS),
                TextColumn("{task.fields[count]}"),
                TimeRemainingColumn(),
                console=console(sys.stderr),
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: Progress) -> None:
        """Print ``event``."""
        key = (event.phase, event.table)
        now = self._clock.monotonic_s()
        began = self._began.setdefault(key, now)
        self._has_copied |= event.phase == "copy"
        if event.phase == "build" and self._bars is None:
            self._say(f"building {event.table}", now, is_passing=True)
            return
        rate = f"{event.done / (now - began):,.0f} rows/s" if now > began else ""
        if self._bars is not None:
            self._move_bar(key, event, rate)
            return
        is_done = event.total is not None and event.done >= event.total
        of = f" of {event.total:,}" if event.total is not None else ""
        text = f"{_WORDS[event.phase]} {event.table}: {event.done:,}{of} rows"
        if rate and not is_done and event.total:
            left = (event.total - event.done) * (now - began) / max(event.done, 1)
            text += f", {rate}, {left:.0f} s left"
        # The comparison of a finished table is told once, a long one now and then;
        # looking at one is news only where it takes long.
        is_long = not is_done and now - began >= LINE_INTERVAL_S
        if event.phase != "inspect" or is_long:
            self._say(text, now, is_passing=not is_done)

    def _move_bar(self, key: tuple[str, str], event: Progress, rate: str) -> None:
        assert self._bars is not None, "only called on a terminal"
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(
                printable(f"{event.phase} {event.table}"), total=event.total, count=""
            )
        task = self._tasks[key]
        of = f" of {event.total:,}" if event.total is not None else ""
        count = f"{event.done:,}{of} rows" if event.done else ""
        is_done = event.total is not None and event.done >= event.total
        self._bars.update(
            task,
            completed=event.done,
            count=", ".join(filter(None, (count, rate if event.done else ""))),
            visible=not is_done,
        )
        # How many rows a table has is not known while it is inspected, so what
        # comes next says that the one before is done.
        if self._unmeasured is not None and self._unmeasured != task:
            self._bars.update(self._unmeasured, visible=False)
        self._unmeasured = task if event.total is None else None

    def _say(self, text: str, now: float, *, is_passing: bool) -> None:
        if self._bars is not None or (is_passing and now < self._line_due_s):
            return
        self._line_due_s = now + LINE_INTERVAL_S
        self._output.progress(printable(text))

    def kept(self) -> str:
        """Say what is durable now, for the case of an interrupt."""
        if not self._has_copied:
            return "this run has moved no row; the same command goes on"
        return "the target is incomplete and says so; the same command goes on"
