"""In which units the moments of a column are written.

Owns the ranges by which a number is taken for a moment, and the shapes of texts
that are dates. The ranges do not overlap, so one value has one unit:

    19000101 … 21001231          a date written as a number
    2,300,000 … 2,500,000.x      Julian days (a REAL, or an integer day)
    1e8   … 4.1e9                seconds since 1970 (1973 to 2100)
    1e11  … 4.1e12               milliseconds
    1e14  … 4.1e15               microseconds
    1.1e16 … 1.6e16              microseconds since 1601 (Chrome, Windows)
    1e17  … 4.1e18               nanoseconds

A range is only asked about columns whose name or type says that they hold moments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lockstep.doctor.names import says_time
from lockstep.doctor.sqlite.bites import Progress, aggregates
from lockstep.schema.names import quote_identifier as quoted

if TYPE_CHECKING:
    from lockstep.doctor.catalog import Column, Table
    from lockstep.doctor.sqlite.context import SqliteContext

_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"

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

_OFFSETS = ("*Z", "*[+-][0-9][0-9]:[0-9][0-9]", "*[0-9][+-][0-9][0-9][0-9][0-9]")
TEXTS = {
    "zero dates": "{0} GLOB '0000-00-00*'",
    "dates": f"{{0}} GLOB '{_DAY}'",
    "ISO text with an offset": f"{{0}} GLOB '{_DAY}[T ]*' AND ("
    + " OR ".join(f"{{0}} GLOB '{end}'" for end in _OFFSETS)
    + ")",
    "ISO text with T": f"{{0}} GLOB '{_DAY}T*'",
    "ISO text with a space": f"{{0}} GLOB '{_DAY} [0-9][0-9]:*'",
    "day.month.year": "{0} GLOB '[0-9][0-9].[0-9][0-9].[0-9][0-9][0-9][0-9]*'",
    "slashes": "{0} GLOB '[0-9]*/[0-9]*/[0-9][0-9][0-9][0-9]*'",
    "numbers as text": "length({0}) BETWEEN 9 AND 19 AND {0} NOT GLOB '*[^0-9]*'",
}
"""Unit: the condition on a text; the first that holds is its unit."""

_ISO = ("ISO text with an offset", "ISO text with T", "ISO text with a space")


@dataclass(slots=True)
class Moments(Progress):
    """How many values of a column are written in which unit."""

    counts: dict[str, int] = field(default_factory=lambda: dict[str, int]())

    @property
    def units(self) -> list[str]:
        """The kinds of clock in use, the most frequent first.

        All ISO texts, dates among them, are one kind here.
        """
        kinds: dict[str, int] = {}
        for unit, count in self.counts.items():
            kind = "ISO text" if unit in (*_ISO, "dates") else unit
            kinds[kind] = kinds.get(kind, 0) + count
        return sorted(kinds, key=lambda kind: -kinds[kind])

    @property
    def numeric_units(self) -> list[str]:
        """The units of those values that are numbers."""
        return [unit for unit in self.units if unit in NUMBERS]

    @property
    def iso_spellings(self) -> list[str]:
        """The spellings of ISO text in use; two of them do not sort together."""
        return [unit for unit in _ISO if self.counts.get(unit)]


def may_hold_moments(column: Column) -> bool:
    """Return whether the type or the name says that a column holds moments."""
    if column.family in ("time", "date"):
        return True
    return column.family in ("integer", "real", "text", "decimal", "other") and (
        says_time(column.name)
    )


def read_moments(context: SqliteContext, table: Table, column: str) -> Moments:
    """Count the units in which ``column`` is written."""
    name = quoted(column)
    numbers = [
        f"WHEN {low} <= {name} AND {name} <= {high} THEN '{unit}'"
        for unit, (low, high) in NUMBERS.items()
    ]
    texts = [
        f"WHEN {condition.format(name)} THEN '{unit}'"
        for unit, condition in TEXTS.items()
    ]
    kind = (
        f"CASE WHEN typeof({name}) IN ('integer', 'real') THEN CASE {' '.join(numbers)}"
        f" END WHEN typeof({name}) = 'text' THEN CASE {' '.join(texts)} END END"
    )
    units = [*NUMBERS, *TEXTS]
    moments = Moments()
    expressions = [f"sum(unit = '{unit}')" for unit in units]
    for values in aggregates(
        context, table, expressions, moments, row=f"{kind} AS unit"
    ):
        for unit, count in zip(units, values, strict=True):
            if count:
                moments.counts[unit] = moments.counts.get(unit, 0) + count
    return moments
