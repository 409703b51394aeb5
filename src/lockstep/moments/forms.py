"""The forms in which programs write moments as texts.

Owns how a form is written down, and which forms all texts of a block have. A column
whose every text has one may become a ``date``, ``timestamp``, ``timestamptz`` or
``time``, because its codec gives each text back byte for byte.

    date, timestamp, time           as PostgreSQL writes them: no zeros at the end
    YYYY-MM-DD HH:MM:SS.ffffff      always six digits (SQLAlchemy, Rails)
    YYYY-MM-DD HH:MM:SS[.ffffff]    six, or none where they would be zero (Django)
    YYYY-MM-DDTHH:MM:SS.fffZ        with T and the zone (JavaScript)
    YYYY-MM-DD HH:MM:SS[.f]+00:00   as many as it needs (Go)
    YYYY-MM-DD HH:MM:SS.fff +00:00  three, and a blank before the zone (Sequelize)

Invariant: what has a form is a moment in PostgreSQL; 30 February has none.
"""

from __future__ import annotations

import functools as memo
import re
from calendar import isleap
from typing import Final

# Which days a month has; whether a year has its 29 February is asked for itself.
_DAY: Final = (
    r"(?!0000)\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-9])"
    r"|(?:0[13-9]|1[0-2])-30|(?:0[13578]|1[02])-31)"
)
_SECOND: Final = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_DAYS: Final = re.compile(rf"(?:{_DAY}\n)*", re.ASCII)
_FIRST: Final = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d(?P<between>[ T]))?\d\d:\d\d:\d\d(?:\.\d{1,6})?"
    r"(?P<zone>Z| ?\+00:00|\+00)?\n",
    re.ASCII,
)
_LEAP_DAY: Final = re.compile(r"^(\d{4})-02-29", re.ASCII | re.MULTILINE)

OWN: Final = {"YYYY-MM-DD": "date", "YYYY-MM-DD HH:MM:SS[.f]": "timestamp"} | {
    "HH:MM:SS[.f]": "time"
}
"""What PostgreSQL's own forms are called."""

SHORTEST: Final = "[.f]"
"""Of the ways to write a fraction the one that PostgreSQL has."""

_FIXED: Final = (3, 6)
"""How many digits programs write that always write as many."""


def forms_of(lines: str) -> set[str]:
    r"""Return the forms that each of these texts has.

    Args:
        lines: Texts without newlines, a newline behind each; at least one.

    Example:
        >>> forms_of("2024-02-29\n"), forms_of("2023-02-29\n")
        ({'date'}, set())
        >>> sorted(forms_of("2024-02-28T10:20:30.500Z\n"))
        ['YYYY-MM-DDTHH:MM:SS.fffZ', 'YYYY-MM-DDTHH:MM:SS[.fff]Z']
    """
    first = _FIRST.match(lines)
    if first is None:
        form, found = _DAYS, {"date"}
    else:
        between, zone = first["between"] or "", first["zone"] or ""
        if zone and not between:
            return set()
        form = _lines_of(between, zone)
        head = f"YYYY-MM-DD{between}HH:MM:SS" if between else "HH:MM:SS"
        # The words are as long as what they stand for.
        ends = _fractions(lines, len(head) + len(zone), zone)
        written = {f"{head}{end}{zone}" for end in ends}
        found = {OWN.get(name, name) for name in written}
    if not found or form.fullmatch(lines) is None:
        return set()
    is_there = all(isleap(int(year)) for year in _LEAP_DAY.findall(lines))
    return found if is_there else set()


@memo.cache
def _lines_of(between: str, zone: str) -> re.Pattern[str]:
    day = f"{_DAY}{between}" if between else ""
    line = rf"{day}{_SECOND}(?:\.\d{{1,6}})?{re.escape(zone)}\n"
    return re.compile(f"(?:{line})*", re.ASCII)


def _fractions(lines: str, length: int, zone: str) -> set[str]:
    """Return the ways in which all fractions are written.

    Args:
        lines: The texts.
        length: Of a text without a fraction.
        zone: Behind the fractions.
    """
    fractions, count = lines.count("."), lines.count("\n")
    if not fractions:
        return {SHORTEST, *(f"[.{'f' * digits}]" for digits in _FIXED)}
    digits = len(lines) - count * (length + 1) - fractions
    found: set[str] = set()
    for each in _FIXED:
        is_fixed = digits == each * fractions and not _longer_than(each).search(lines)
        if is_fixed and fractions == count:
            found.add(f".{'f' * each}")
        if is_fixed and f".{'0' * each}{zone}\n" not in lines:
            found.add(f"[.{'f' * each}]")
    if not _ends_with_zero(zone).search(lines):
        found.add(SHORTEST)
    return found


@memo.cache
def _longer_than(digits: int) -> re.Pattern[str]:
    return re.compile(rf"\.\d{{{digits + 1}}}", re.ASCII)


@memo.cache
def _ends_with_zero(zone: str) -> re.Pattern[str]:
    return re.compile(rf"\.\d*0{re.escape(zone)}\n", re.ASCII)


def has_form(form: str, text: str) -> bool:
    """Whether one text has a form."""
    return "\n" not in text and form in forms_of(f"{text}\n")
