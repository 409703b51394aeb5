"""In which units the moments of a column are written.

Owns the ranges by which a number is taken for a moment, and which columns are asked
at all. The ranges do not overlap, so one value has one unit:

    19000101 … 21001231          a date written as a number
    2,300,000 … 2,500,000.x      Julian days (a REAL, or an integer day)
    1e8   … 4.1e9                seconds since 1970 (1973 to 2100)
    1e11  … 4.1e12               milliseconds
    1e14  … 4.1e15               microseconds
    1.1e16 … 1.6e16              microseconds since 1601 (Chrome, Windows)
    1e17  … 4.1e18               nanoseconds

A range is only asked about columns whose name or type says that they hold moments, or
whose first values all look like moments of our days (``GUESSED``): people call such a
column ``x``, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lockstep.doctor.catalog import Column, Table
from lockstep.doctor.names import says_number, says_time

NUMBERS = {
    "yyyymmdd": (19_000_101, 21_001_231),
    "julian days": (2_300_000, 2_500_000),
    "seconds": (100_000_000, 4_102_444_800),
    "milliseconds": (100_000_000_000, 4_102_444_800_000),
    "microseconds": (100_000_000_000_000, 4_102_444_800_000_000),
    "microseconds since 1601": (11_000_000_000_000_000, 16_000_000_000_000_000),
    "nanoseconds": (100_000_000_000_000_000, 4_102_444_800_000_000_000),
}
"""Unit: smallest and largest number that is taken for it."""

GUESSED = {
    unit: (946_684_800 * per_second, 2_051_222_400 * per_second)
    for unit, per_second in (
        ("seconds", 1),
        ("milliseconds", 1_000),
        ("microseconds", 1_000_000),
    )
}
"""Unit: the numbers from 2000 to 2035; a column full of them counts moments."""

SAMPLE_ROWS = 1_000
_NUMBERS_MIN, _TEXTS_MIN, _NEARLY_ALL = 10, 3, 0.9
_RECOGNISED_MIN = 0.75

ISO_SPELLINGS = (
    "ISO text with an offset",
    "ISO text with T",
    "ISO text with a space",
)
"""Spellings of one kind of text that do not sort together."""


@dataclass(slots=True)
class Moments:
    """How many values of a column are written in which unit.

    Attributes:
        counts: Values by unit.
        told: What a finding adds when not all rows were looked at.
        strangers: Numbers that are in no unit's range, 0 and -1 aside.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict[str, int]())
    told: str = ""
    strangers: int = 0

    def without_other_numbers(self) -> Moments:
        """Return the moments, without numbers when most of them are something else.

        A column ``time`` may hold durations, of which some lie in some range.
        """
        numbers = sum(self.counts.get(unit, 0) for unit in NUMBERS)
        if numbers >= _RECOGNISED_MIN * (numbers + self.strangers):
            return self
        kept = {u: count for u, count in self.counts.items() if u not in NUMBERS}
        return Moments(kept, self.told, self.strangers)

    @property
    def units(self) -> list[str]:
        """The kinds of clock in use, the most frequent first.

        All ISO texts, dates among them, are one kind here.
        """
        kinds: dict[str, int] = {}
        for unit, count in self.counts.items():
            kind = "ISO text" if unit in (*ISO_SPELLINGS, "dates") else unit
            kinds[kind] = kinds.get(kind, 0) + count
        return sorted(kinds, key=lambda kind: -kinds[kind])

    @property
    def numeric_units(self) -> list[str]:
        """The units of those values that are numbers."""
        return [unit for unit in self.units if unit in NUMBERS]

    @property
    def iso_spellings(self) -> list[str]:
        """The spellings of ISO text in use; two of them do not sort together."""
        return [unit for unit in ISO_SPELLINGS if self.counts.get(unit)]


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
