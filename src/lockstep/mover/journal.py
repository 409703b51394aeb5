"""How far a move is: the values that every target's journal keeps.

Owns no storage; ``postgresql/journal.py`` and ``sqlite/journal.py`` keep these in
the target itself, in the transactions of the rows they speak of.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Literal

from lockstep.clock import SYSTEM_CLOCK
from lockstep.errors import UnreadableJournal
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.model.plan import Plan, Statement

Status = Literal["copying", "copied", "verified", "differs"]
SEQUENCES = "sequences"
"""The one step that is no statement of the plan."""

TOGETHER_S: Final = 0.2
"""Of work that a kill may undo beside the statement it interrupts."""

STATE_COLUMNS = "status, source, fingerprint, digest, plan"


@dataclass(frozen=True)
class State:
    """What an earlier run left.

    Attributes:
        fingerprint: Of the source as it was read.
        digest: Of what was asked for; another request does not continue this one.
    """

    status: Status
    source: str
    fingerprint: str
    digest: str
    plan: Plan

    @property
    def is_begun(self) -> bool:
        """Whether the history was to make tables next, or is making them."""
        return not self.plan.creates_tables and not self.plan.tables

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> State:
        """Read the columns of ``STATE_COLUMNS``, as both journals keep them.

        Raises:
            UnreadableJournal: Another version of Lockstep wrote the plan.
        """
        status, source, fingerprint, digest, text = row
        try:
            plan = Plan.from_json(json.loads(text))
        except (TypeError, KeyError, ValueError) as error:
            raise UnreadableJournal(
                f"the move from {source} was begun by another version of Lockstep, "
                "whose plan this one cannot read"
            ) from error
        return cls(status, source, fingerprint, digest, plan)


@dataclass(frozen=True)
class TableProgress:
    """How far a table is.

    Attributes:
        position: Where to go on reading; None at the beginning.
        rows: How many the target has.
        read: How many were read for them; the others are in quarantine.
        is_done: Whether there are no more.
    """

    position: str | None = None
    rows: int = 0
    read: int = 0
    is_done: bool = False

    def after(self, blocks: Sequence[LineBlock], *, is_done: bool) -> TableProgress:
        """Return how far it is behind more blocks."""
        last = blocks[-1].position if blocks else self.position
        return TableProgress(
            None if last is None else str(last),
            self.rows + sum(block.count for block in blocks),
            self.read + sum(block.read for block in blocks),
            is_done,
        )


def build_all(
    statements: Iterable[Statement],
    done: dict[str, str],
    build: Callable[[Statement], str],
    on_progress: Callable[[str], None],
    transaction: Callable[[], AbstractContextManager[object]],
) -> list[tuple[Statement, str]]:
    """Build what the journal does not have yet; return what was refused, ever.

    What takes little time is committed together: of thousands of small indexes a
    transaction for each would take longer than the index.

    Args:
        statements: In the order in which they can be built.
        done: The journal's steps; completed here.
        build: Builds one, records its step and returns the problem, or nothing; what
            it is refused leaves nothing behind in the transaction.
        on_progress: Told the name of each.
        transaction: Begins one.
    """
    wanted = list(statements)
    waiting = deque(each for each in wanted if each.step not in done)
    while waiting:
        on_progress(waiting[0].name)
        with transaction():
            end_s = SYSTEM_CLOCK.monotonic_s() + TOGETHER_S
            while True:
                statement = waiting.popleft()
                done[statement.step] = build(statement)
                if not waiting or SYSTEM_CLOCK.monotonic_s() >= end_s:
                    break
                on_progress(waiting[0].name)
    return [(each, done[each.step]) for each in wanted if done[each.step]]
