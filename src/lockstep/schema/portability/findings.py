"""What a portability finding is, and the walk over a metadata."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that would behave differently per engine.

    Attributes:
        code: A stable name such as ``naive-datetime``.
        where: ``table``, ``table.column`` or ``table: constraint``.
        message: What was found.
        reason: What differs, per engine.
        fix: What to write instead.
    """

    code: str
    where: str
    message: str
    reason: str
    fix: str


def check_portability(metadata: sa.MetaData) -> list[Finding]:
    """Return what in ``metadata`` would behave differently per engine."""
    return []
