"""Fences: what keeps the functions of one transaction apart.

Owns when a savepoint is set. Two kinds, chosen by the dialect:

    SavepointFence   each function between SAVEPOINT and RELEASE; a statement is a
                     call in this process (SQLite)
    PipelineFence    a statement is a round trip (a server): what functions only
                     ``send`` goes out one behind the other, and is answered at
                     once for all; a function that needs an answer waits for the
                     others' first, then sets its own savepoint

Invariant: whatever fails, exactly the function it belongs to is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from lockstep.engine.classify import classified
from lockstep.engine.pipeline import Together
from lockstep.engine.unit import Unit

if TYPE_CHECKING:
    from lockstep.engine.job import Job

SAVEPOINT = "lockstep_unit"
GROUP_SAVEPOINT = "lockstep_group"
SENT_MAX = 10_000
"""Statements that may go unanswered; so memory stays bounded."""

_SET = f"SAVEPOINT {SAVEPOINT}"
_RELEASE = f"RELEASE SAVEPOINT {SAVEPOINT}"
_UNDO = f"ROLLBACK TO SAVEPOINT {SAVEPOINT}"
_SET_GROUP = f"SAVEPOINT {GROUP_SAVEPOINT}"
_RELEASE_GROUP = f"RELEASE SAVEPOINT {GROUP_SAVEPOINT}"
_UNDO_GROUP = f"ROLLBACK TO SAVEPOINT {GROUP_SAVEPOINT}"

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

    def ready(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return a statement as it is sent; raise what its values are refused with."""
        ...

    def send(self, statements: Iterable[Any], *, prepared: bool = False) -> None:
        """Send statements that are ready; ``finish`` tells what came of them."""
        ...

    def finish(self) -> Exception | None:
        """Wait for all that was sent, or for the first that fails; return its error."""
        ...

    def run(self, statements: Iterable[Any]) -> Exception | None:
        """Send and finish."""
        ...

    def run_soon(self, sql: str) -> None:
        """Run a savepoint's statement now, or with the next one that is sent.

        Where that one is refused unread, with the one behind it.
        """
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
        self._unanswered: list[tuple[Job, list[Any]]] = []
        self._statements = 0
        self._failures: Failures = []
        self._inside = False
        self._lost: BaseException | None = None

    def enter(self, unit: Unit) -> None:
        """Let the unit's statements wait until one needs an answer."""
        self._inside = False
        unit.defer(self._pipeline.ready, self._answer, self._pipeline.catch_up)
        unit.savepoint = SAVEPOINT  # set before the first answer
        unit.together = self._pipeline.together

    def leave(self, unit: Unit, job: Job) -> None:
        """Release the savepoint, or send what the function left."""
        self._refuse_lost()
        sent = unit.take_sent()
        if self._inside:
            if sent:
                self._run(sent)
            self._pipeline.run_soon(_RELEASE)
        elif sent:
            if not self._unanswered:
                self._pipeline.run_soon(_SET_GROUP)
            self._unanswered.append((job, sent))
            self._pipeline.send(sent, prepared=True)
            self._statements += len(sent)
            if self._statements > SENT_MAX:
                self._settle_sent()

    def undo(self, unit: Unit) -> None:
        """Return to the savepoint, or forget what was not sent yet."""
        self._refuse_lost()
        if self._inside:
            self._run(self._ready(_UNDO, _RELEASE))

    def settle(self) -> Failures:
        """Wait for what was sent; return the functions whose statements failed."""
        self._settle_sent()
        failures, self._failures = self._failures, []
        return failures

    def _answer(self, sent: list[Any]) -> None:
        """Make the connection ready for a statement whose answer is needed.

        The savepoint goes with it, or is left for ``catch_up``.
        """
        if not self._inside:
            self._settle_sent()
            self._pipeline.run_soon(_SET)
            self._inside = True
        if sent:
            self._run(sent)

    def _ready(self, *texts: str) -> list[Any]:
        return [self._pipeline.ready(text) for text in texts]

    def _run(self, statements: list[Any]) -> None:
        error = self._pipeline.run(statements)
        if error is not None:
            raise error

    def _refuse_lost(self) -> None:
        """Raise what kept functions from their answer, whoever has caught it."""
        if self._lost is not None:
            raise self._lost

    def _settle_sent(self) -> None:
        """Wait for what functions left; after an error, try each one alone."""
        self._refuse_lost()
        unanswered, self._unanswered, self._statements = self._unanswered, [], 0
        if not unanswered:
            return
        try:
            self._settle_all(unanswered)
        except BaseException as error:
            # They have returned, and nobody knows what became of their statements:
            # none of them may be told of success.
            self._lost = error
            raise

    def _settle_all(self, unanswered: list[tuple[Job, list[Any]]]) -> None:
        release = self._ready(_RELEASE_GROUP)
        self._pipeline.send(release, prepared=True)
        if self._pipeline.finish() is None:
            return
        self._run(self._ready(_UNDO_GROUP))
        undo = self._ready(_UNDO, _RELEASE)
        for job, sent in unanswered:
            # Not with the others: libSQL refuses a batch as a whole for one text
            # that does not parse, and the savepoint would not be there to return to.
            self._pipeline.run_soon(_SET)
            error = self._pipeline.run([*sent, undo[1]])
            if error is not None:
                self._run(undo)
                self._failures.append((job, classified(error)))
        self._run(release)
