"""What people mean by the words with which they declare a column of SQLite.

Owns the words that SQLite itself passes over: for it, ``TINYINT(1)`` is an integer like
any other and ``DECIMAL`` a column for numbers. What it makes of them is
``schema/affinity.py``'s.
"""

from __future__ import annotations

from typing import Final

from lockstep.moments.names import is_time_type, says_time
from lockstep.mover.model.sqlite import Column

_EXACT_WORDS: Final = ("DECIMAL", "NUMERIC", "MONEY", "CURRENCY")


def is_boolean_type(declared: str) -> bool:
    """Whether people declare booleans so: BOOLEAN, BOOL, TINYINT(1), BIT."""
    words = declared.upper().replace(" ", "")
    return words.startswith("BOOL") or words in ("TINYINT(1)", "BIT", "BIT(1)")


def is_exact_type(declared: str) -> bool:
    """Whether a column was declared to hold decimal numbers exactly."""
    return any(word in declared.upper() for word in _EXACT_WORDS)


def may_be_moment(column: Column) -> bool:
    """Whether a column is declared or called as people do with moments."""
    if column.key_position:
        return False
    return is_time_type(column.declared) or says_time(column.name)
