"""Which tables of a file are a move's own: they are no data of anybody's.

Owns their names. What stands in them is ``journal``'s.
"""

from __future__ import annotations

from typing import Any

from lockstep.mover.sqlite.opening import rows_of

OUR_PREFIX = "lockstep_move_"
OUR_PREFIXES = (OUR_PREFIX, f"{OUR_PREFIX}own_")
"""What the tables of a move's journal begin with; the second where somebody has
tables called as the first would be."""

OUR_TABLES = ("state", "progress", "step", "rejected")
"""Tables of a move's journal, behind the prefix."""


def our_tables(prefix: str) -> set[str]:
    """Return the names of a journal's tables; none where there is no prefix."""
    return {prefix + name for name in OUR_TABLES} if prefix else set()


def journal_prefix(connection: Any) -> str:
    """Return what a move's tables begin with here; empty where there are none.

    A table that is only called so is somebody else's.
    """
    for prefix in OUR_PREFIXES:
        found = rows_of(connection, f"PRAGMA table_info({prefix}state)")
        if {"status", "fingerprint", "plan"} <= {row[1] for row in found}:
            return prefix
    return ""
