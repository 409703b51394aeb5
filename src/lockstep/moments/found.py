"""How many values of a column are moments, in which unit or spelling.

Owns the question to SQLite, what the answer proves, and how it is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from lockstep.moments.spellings import (
    DATES,
    ISO_SPELLINGS,
    SPELLING_NAMES,
    sqlite_spelling,
)
from lockstep.moments.units import UNIT_NAMES, UNITS, unit_sql

_RECOGNISED_MIN: Final = 0.75
_KINDS: Final = (*(unit.name for unit in UNITS), *SPELLING_NAMES)

SQLITE_COUNTS: Final = (
    *(f"sum(kind = '{kind}')" for kind in _KINDS),
    "sum(kind IS NULL AND is_other)",
)
"""The aggregates over ``sqlite_kind`` that ``MomentsFound.add`` takes."""


def sqlite_kind(column: str) -> str:
    """Return what of each row ``SQLITE_COUNTS`` are computed of.

    Args:
        column: The quoted name of a column.
    """
    is_number = f"typeof({column}) IN ('integer', 'real')"
    return (
        f"CASE WHEN {is_number} THEN {unit_sql(column)} "
        f"WHEN typeof({column}) = 'text' THEN {sqlite_spelling(column)} END AS kind, "
        f"{is_number} AND {column} NOT IN (0, -1) AS is_other"
    )


@dataclass(slots=True)
class MomentsFound:
    """How many values of a column are written in which unit or spelling.

    Attributes:
        counts: Values by the name of the unit or spelling.
        other_numbers: Numbers that are in no unit's range, 0 and -1 aside.
        told: What a finding adds when not all rows were looked at.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict[str, int]())
    other_numbers: int = 0
    told: str = ""

    def add(self, answers: Iterable[Any]) -> None:
        """Take the answers about some rows."""
        *counts, others = answers
        self.other_numbers += others or 0
        for kind, count in zip(_KINDS, counts, strict=True):
            if count:
                self.counts[kind] = self.counts.get(kind, 0) + count

    def without_other_numbers(self) -> MomentsFound:
        """Return the moments, without numbers when most of them are something else.

        A column ``time`` may hold durations, of which some lie in some range.
        """
        numbers = sum(self.counts.get(unit, 0) for unit in UNIT_NAMES)
        if numbers >= _RECOGNISED_MIN * (numbers + self.other_numbers):
            return self
        kept = {u: count for u, count in self.counts.items() if u not in UNIT_NAMES}
        return MomentsFound(kept, self.other_numbers, self.told)

    @property
    def units(self) -> list[str]:
        """The kinds of clock in use, the most frequent first.

        All ISO texts, dates among them, are one kind here.
        """
        kinds: dict[str, int] = {}
        for unit, count in self.counts.items():
            kind = "ISO text" if unit in (*ISO_SPELLINGS, DATES) else unit
            kinds[kind] = kinds.get(kind, 0) + count
        return sorted(kinds, key=lambda kind: -kinds[kind])

    @property
    def numeric_units(self) -> list[str]:
        """The units of those values that are numbers."""
        return [unit for unit in self.units if unit in UNIT_NAMES]

    @property
    def iso_spellings(self) -> list[str]:
        """The spellings of ISO text in use; two of them do not sort together."""
        return [unit for unit in ISO_SPELLINGS if self.counts.get(unit)]

    def in_words(self) -> str:
        """Return ``1 in seconds since 1970, 2 as ISO text with T``."""
        return ", ".join(
            f"{count:,} {'in' if kind in UNIT_NAMES else 'as'} {kind}"
            for kind, count in self.counts.items()
        )
