"""The units in which numbers are moments.

Owns the ranges by which a number is taken for a moment. They do not overlap, so one
number has one unit:

    2,300,000 … 2,500,000   Julian days, 1585 to 2132 (a REAL, or an integer day)
    19000101 … 21001231     a day written as a number
    1e8    … 1e10           seconds since 1970, 1973 to 2286
    1e11   … 1e13           milliseconds
    1e14   … 1e16           microseconds
    1.1e16 … 1.6e16         microseconds since 1601, 1949 to 2108 (Chrome)
    1.1e17 … 1.6e17         ticks of 100 ns since 1601 (Windows: FILETIME)
    6.1e17 … 6.6e17         ticks of 100 ns since the year 1, 1934 to 2092 (.NET)
    7e17   … 9.2e18         nanoseconds since 1970, 1992 to 2262

Seconds since 2001 (Cocoa) and the days of a spreadsheet lie among other numbers, and
cannot be told by their size.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

JULIAN_DAY_OF_1970: Final = 2440587.5
"""The Julian day on which the seconds of Unix begin."""


UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WINDOWS: Final = datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Unit:
    """One way to write a moment as a number.

    Attributes:
        name: As findings say it: ``milliseconds``.
        low, high: The smallest and the greatest number that is taken for it.
        word: What a mapping file calls it; empty where PostgreSQL's moments, which
            have microseconds, cannot hold each number. Then nothing below is said.
        micros: How many microseconds one is.
        epoch: Where the count begins.
    """

    name: str
    low: int
    high: int
    word: str = ""
    micros: int = 0
    epoch: datetime = UNIX

    def moment(self, number: int) -> datetime:
        """Return the moment, in UTC.

        Raises:
            OverflowError: It lies outside the years 1 to 9999.
        """
        return self.epoch + timedelta(microseconds=number * self.micros)

    def number(self, moment: datetime) -> int:
        """Return how many whole units lie before a moment that has a zone."""
        return (moment - self.epoch) // timedelta(microseconds=self.micros)


DAYS: Final = Unit("days like 20240131", 19_000_101, 21_001_231)
SECONDS: Final = Unit("seconds since 1970", 10**8, 10**10 - 1, "s", 1_000_000)
UNITS: Final = (
    Unit("Julian days", 2_300_000, 2_500_000),
    DAYS,
    SECONDS,
    Unit("milliseconds since 1970", 10**11, 10**13 - 1, "ms", 1_000),
    Unit("microseconds since 1970", 10**14, 10**16 - 1, "us", 1),
    Unit(
        *("microseconds since 1601", 11 * 10**15, 16 * 10**15),
        *("us1601", 1, _WINDOWS),
    ),
    Unit("ticks of 100 ns since 1601", 11 * 10**16, 16 * 10**16),
    Unit("ticks of 100 ns since the year 1", 61 * 10**16, 66 * 10**16),
    Unit("nanoseconds since 1970", 7 * 10**17, 2**63 - 1),
)
UNIT_NAMES: Final = frozenset(unit.name for unit in UNITS)
UNIT_OF_WORD: Final = {unit.word: unit for unit in UNITS if unit.word}
"""The units that a mapping file can name."""

_YEARS_GUESSED: Final = (
    datetime(2000, 1, 1, tzinfo=UTC),
    datetime(2035, 1, 1, tzinfo=UTC),
)
GUESSED: Final = tuple(
    (unit.number(_YEARS_GUESSED[0]), unit.number(_YEARS_GUESSED[1]))
    for unit in UNIT_OF_WORD.values()
)
"""By unit, the numbers from 2000 to 2035: a column full of them counts moments."""


def unit_of_range(low: int, high: int) -> Unit | None:
    """Return the unit of which both numbers are moments, if there is one."""
    for unit in UNITS:
        if unit.low <= low and high <= unit.high:
            return unit
    return None


def unit_sql(column: str) -> str:
    """Return the expression that gives a number's unit, or NULL, on any engine.

    Args:
        column: The quoted name of a column.
    """
    cases = " ".join(
        f"WHEN {unit.low} <= {column} AND {column} <= {unit.high} THEN '{unit.name}'"
        for unit in UNITS
    )
    return f"CASE {cases} END"
