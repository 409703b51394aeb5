"""Texts of moments that PostgreSQL writes back byte for byte.

Owns the three forms. A column whose every text has one of them may become a
``date``, ``timestamp`` or ``time``, because nothing of the texts is lost by it.

Invariant: what has a form is a moment there is; 30 February has none.
"""

from __future__ import annotations

import re
from calendar import isleap
from typing import Final

# Which days a month has; whether a year has its 29 February is asked for itself.
_DAY = (
    r"(?!0000)\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-9])"
    r"|(?:0[13-9]|1[0-2])-30|(?:0[13578]|1[02])-31)"
)
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{0,5}[1-9])?"
_FORMS: Final = {"date": _DAY, "timestamp": f"{_DAY} {_TIME}", "time": _TIME}
_LINES: Final = {
    name: re.compile(rf"(?:{form}\n)*", re.ASCII) for name, form in _FORMS.items()
}
_LEAP_DAY: Final = re.compile(r"^(\d{4})-02-29", re.ASCII | re.MULTILINE)

FORMS: Final = frozenset(_FORMS)


def have_form(form: str, lines: str) -> bool:
    r"""Whether PostgreSQL writes each ``date``, ``timestamp`` or ``time`` so.

    Args:
        form: Which.
        lines: Texts without newlines, a newline behind each.

    Example:
        >>> have_form("date", "2024-02-29\n"), have_form("date", "2023-02-29\n")
        (True, False)
    """
    if _LINES[form].fullmatch(lines) is None:
        return False
    return all(isleap(int(year)) for year in _LEAP_DAY.findall(lines))


def has_form(form: str, text: str) -> bool:
    """Whether PostgreSQL writes a ``date``, ``timestamp`` or ``time`` so."""
    return "\n" not in text and have_form(form, f"{text}\n")
