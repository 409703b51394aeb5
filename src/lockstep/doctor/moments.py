"""Which columns are asked whether they hold moments, and in which units.

Owns the choice: columns whose name or type says so, and those whose first values all
look like moments of our days (``GUESSED``): people call such a column ``x``, too.
What a moment looks like is in ``lockstep.moments``.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.doctor.catalog import Column, Table
from lockstep.doctor.names import says_number
from lockstep.moments.names import says_time

SAMPLE_ROWS = 1_000
_NUMBERS_MIN, _TEXTS_MIN, _NEARLY_ALL = 10, 3, 0.9


def may_hold_moments(column: Column) -> bool:
    """Return whether the type or the name says that a column holds moments."""
    if column.family in ("time", "date"):
        return True
    return column.family in ("integer", "real", "text", "decimal", "other") and (
        says_time(column.name)
    )


def may_be_guessed(table: Table, column: Column) -> bool:
    """Return whether the values may say of a column that it holds moments.

    Keys count something, and so do columns that are called numbers and sizes.
    """
    families = ("integer", "real", "text", "decimal", "other")
    if column.family not in families or may_hold_moments(column):
        return False
    keys = {*table.primary_key, *(c for key in table.foreign_keys for c in key.columns)}
    lower = column.name.lower()
    return column.name not in keys and not (
        says_number(column.name) or lower.endswith("id")
    )


def are_moments(numbers: int, in_ranges: Sequence[int], texts: int = 0) -> bool:
    """Return whether a sample of numbers is one of moments.

    Args:
        numbers: How many numbers there are.
        in_ranges: How many of them are in each range of ``GUESSED``.
        texts: How many texts there are among them.
    """
    enough = max(in_ranges) >= _NEARLY_ALL * (numbers + texts)
    return numbers >= _NUMBERS_MIN and enough


def are_iso_texts(texts: int, iso_texts: int) -> bool:
    """Return whether a sample of texts, some of which begin as dates, is of dates."""
    return texts >= _TEXTS_MIN and iso_texts >= _NEARLY_ALL * texts
