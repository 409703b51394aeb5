"""Integers that are moments: which unit they count.

Owns the detection. It never decides alone: an inspection shows the unit, a plan
made with ``clean`` declares it, and the mapping file can change it.
"""

from __future__ import annotations

import re

from lockstep.mover.sqlite.profile import ColumnProfile, is_time_type
from lockstep.mover.sqlite.schema import Column

# 1973 to 2286 in each unit: the ranges do not touch.
UNITS = {
    "s": (100_000_000, 9_999_999_999),
    "ms": (100_000_000_000, 9_999_999_999_999),
    "us": (100_000_000_000_000, 9_999_999_999_999_999),
}
UNIT_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
JULIAN_DAYS = (2_300_000, 2_500_000)
_NAME = re.compile(
    r"(?:^|_)(?:at|on|date|time|timestamp|ts|created|updated|modified|expires"
    r"|deleted|seen|since|until)$|(?:At|Time|Date|Timestamp)$"
)


def may_be_moment(column: Column) -> bool:
    """Whether a column is declared or called as people do with moments."""
    if column.key_position:
        return False
    return is_time_type(column.declared) or _NAME.search(column.name) is not None


def unit_of(column: Column, profile: ColumnProfile) -> str:
    """Return ``s``, ``ms`` or ``us`` where every value is a moment in it, else ``""``.

    Zero counts as a moment in any unit.
    """
    if profile.classes != {"integer"} or not may_be_moment(column):
        return ""
    low, high = profile.integer_positive_min, profile.integer_max
    if low is None or high is None or (profile.integer_min or 0) < 0:
        return ""
    return unit_of_range(low, high)


def unit_of_range(low: int, high: int) -> str:
    """Return the unit in which both numbers are moments after 1973, else ``""``."""
    for unit, (first, last) in UNITS.items():
        if first <= low and high <= last:
            return unit
    return ""
