"""Fences: what keeps the functions of one transaction apart.

Owns when a savepoint is set. Two kinds, chosen by the dialect:

    SavepointFence   each function between SAVEPOINT and RELEASE; a statement is a
                     call in this process (SQLite)
    PipelineFence    a statement is a round trip (a server): functions that only
                     ``send`` are put together and go out in one; a function that
                     needs an answer sends the others' first, then its own savepoint

Invariant: whatever fails, exactly the function it belongs to is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from lockstep.engine.pipeline import Statement, Together
from lockstep.engine.unit import Unit, named

if TYPE_CHECKING:
    from lockstep.engine.job import Job

SAVEPOINT = "lockstep_unit"
GROUP_SAVEPOINT = "lockstep_group"
SENT_MAX = 10_000
"""Statements that may wait; more go out at once, so that memory stays bounded."""

_SET = f"SAVEPOINT {SAVEPOINT}"
_RELEASE = f"RELEASE SAVEPOINT {SAVEPOINT}"
_UNDO = f"ROLLBACK TO SAVEPOINT {SAVEPOINT}"
_BACK: list[Statement] = [(_UNDO, None), (_RELEASE, None)]

Failures = list[tuple["Job", BaseException]]


class Fence(Protocol):
    """Between functions; used by one batch in one thread."""

    def enter(self, unit: Unit) -> None:
        """Begin a function."""
        ...

    def leave(self, unit: Unit, job: Job) -> None:
        """End a function that returned."""
        ...

    def undo(self, unit: Unit) -> None:
        """Take back what a function did that raised."""
        ...

    def settle(self) -> Failures:
        """Return the functions that turned out to have failed since last asked."""
        ...


class SavepointFence:
    """A savepoint for each function.

    Args:
        command: Runs SQL that has no parameters and gives no rows.
    """

    def __init__(self, command: Callable[[str], Any]) -> None:
        self._command = command

    def enter(self, unit: Unit) -> None:
        """Set the savepoint."""
        self._command(_SET)
        unit.savepoint = SAVEPOINT

    def leave(self, unit: Unit, job: Job) -> None:
        """Release it."""
        self._command(_RELEASE)

    def undo(self, unit: Unit) -> None:
        """Return to it."""
        self._command(_UNDO)
        self._command(_RELEASE)

    def settle(self) -> Failures:
        """Return nothing: a failure shows at once."""
        return []


class Sender(Protocol):
    """Sends many statements in one round trip: ``Pipeline``, ``HranaPipeline``."""

    @property
    def together(self) -> Callable[[], AbstractContextManager[Together]] | None:
        """Collects statements and fills their answers; None if it cannot."""
        ...

    def run(
        self, statements: Sequence[Statement], *, prepared: bool = False
    ) -> Exception | None:
        """Run all, or up to the first that fails; return its error."""
        ...

    def run_soon(self, sql: str) -> None:
        """Run a savepoint's statement now, or with the next one that is sent."""
        ...

    def catch_up(self) -> None:
        """Run what was left for then: what comes next is not sent here."""
        ...


class PipelineFence:
    """Savepoints where they are needed, and as few round trips as can be.

    Args:
        pipeline: On the connection whose transaction is shared.
    """

    def __init__(self, pipeline: Sender) -> None:
        self._pipeline = pipeline
        self._waiting: list[tuple[Job, list[Statement]]] = []
        self._statements = 0
        self._failures: Failures = []
        self._inside = False

    def enter(self, unit: Unit) -> None:
        """Let the unit's statements wait until one needs an answer."""
        self._inside = False
        unit.defer(self._answer, self._pipeline.catch_up)
        unit.savepoint = SAVEPOINT  # set before the first answer
        unit.together = self._pipeline.together

    def leave(self, unit: Unit, job: Job) -> None:
        """Release the savepoint, or let the function's statements wait."""
        sent = unit.take_sent()
        if self._inside:
            if sent:
                self._run(sent)
            self._pipeline.run_soon(_RELEASE)
        elif sent:
            self._waiting.append((job, sent))
            self._statements += len(sent)
            if self._statements > SENT_MAX:
                self._flush()

    def undo(self, unit: Unit) -> None:
        """Return to the savepoint, or forget what was not sent yet."""
        if self._inside:
            self._run(_BACK)

    def settle(self) -> Failures:
        """Send what waits; return the functions whose statements failed."""
        self._flush()
        failures, self._failures = self._failures, []
        return failures

    def _answer(self, sent: list[Statement]) -> None:
        """Make the connection ready for a statement whose answer is needed.

        The savepoint goes with it, or is left for ``catch_up``.
        """
        if not self._inside:
            self._flush()
            self._pipeline.run_soon(_SET)
            self._inside = True
        if sent:
            self._run(sent)

    def _run(self, statements: list[Statement]) -> None:
        error = self._pipeline.run(statements)
        if error is not None:
            raise error

    def _flush(self) -> None:
        waiting, self._waiting, self._statements = self._waiting, [], 0
        if not waiting:
            return
        together: list[Statement] = [(f"SAVEPOINT {GROUP_SAVEPOINT}", None)]
        for _, sent in waiting:
            together += sent
        together.append((f"RELEASE SAVEPOINT {GROUP_SAVEPOINT}", None))
        if self._pipeline.run(together, prepared=True) is None:
            return
        self._run([(f"ROLLBACK TO SAVEPOINT {GROUP_SAVEPOINT}", None)])
        for job, sent in waiting:
            error = self._pipeline.run([(_SET, None), *sent, (_RELEASE, None)])
            if error is not None:
                self._run(_BACK)
                self._failures.append((job, named(error)))
        self._run([(f"RELEASE SAVEPOINT {GROUP_SAVEPOINT}", None)])
