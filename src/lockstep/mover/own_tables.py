"""Which tables of a file are a move's own: they are no data of anybody's.

Owns how they are found. What stands in them is ``journal``'s.
"""

from __future__ import annotations

from typing import Any

from lockstep.mover.asking import rows_of
from lockstep.schema.names import MOVE_PARTS, MOVE_PREFIXES

OUR_PREFIX = MOVE_PREFIXES[0]


def our_tables(prefix: str) -> set[str]:
    """Return the names of a journal's tables; none where there is no prefix."""
    return {prefix + name for name in MOVE_PARTS} if prefix else set()


def journal_prefix(connection: Any) -> str:
    """Return what a move's tables begin with here; empty where there are none.

    A table that is only called so is somebody else's.
    """
    for prefix in MOVE_PREFIXES:
        found = rows_of(connection, f"PRAGMA table_info({prefix}state)")
        if {"status", "fingerprint", "plan"} <= {row[1] for row in found}:
            return prefix
    return ""
