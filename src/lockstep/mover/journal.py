"""How far a move is: the values that every target's journal keeps.

Owns no storage; ``postgresql/journal.py`` and ``sqlite/journal.py`` keep these in
the target itself, in the transactions of the rows they speak of.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lockstep.mover.plan.model import Plan

Status = Literal["copying", "copied", "verified", "differs"]
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

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> State:
        """Read the columns of ``STATE_COLUMNS``, as both journals keep them."""
        status, source, fingerprint, digest, plan = row
        return cls(
            status, source, fingerprint, digest, Plan.from_json(json.loads(plan))
        )


@dataclass(frozen=True)
class TableProgress:
    """How far a table is."""

    position: str | None = None
    rows: int = 0
    read: int = 0
    is_done: bool = False
