"""The types and constructors that PEP 249 wants a driver's module to have.

Owns by which words of a declared type a column belongs to one of them.
See https://peps.python.org/pep-0249/#type-objects-and-constructors
"""

from __future__ import annotations

import datetime as dt
import time

Binary = bytes
Date = dt.date
Time = dt.time
Timestamp = dt.datetime


def DateFromTicks(ticks: float) -> dt.date:
    """Return the local date of ``ticks`` seconds."""
    return dt.date(*time.localtime(ticks)[:3])


def TimeFromTicks(ticks: float) -> dt.time:
    """Return the local time of ``ticks`` seconds."""
    return dt.time(*time.localtime(ticks)[3:6])


def TimestampFromTicks(ticks: float) -> dt.datetime:
    """Return the local date and time of ``ticks`` seconds."""
    return dt.datetime(*time.localtime(ticks)[:6])  # noqa: DTZ001 - naive by PEP 249


class _DeclaredType:
    """Equal to every declared type that has one of its words in it."""

    def __init__(self, *words: str) -> None:
        self._words = words

    def __eq__(self, other: object) -> bool:
        text = str(other).upper()
        return any(word in text for word in self._words)

    def __hash__(self) -> int:
        return hash(self._words)


# SQLite's own rules of affinity; see https://sqlite.org/datatype3.html
STRING = _DeclaredType("CHAR", "CLOB", "TEXT")
BINARY = _DeclaredType("BLOB")
NUMBER = _DeclaredType("INT", "REAL", "FLOA", "DOUB", "NUM", "DEC", "BOOL")
DATETIME = _DeclaredType("DATE", "TIME")
ROWID = _DeclaredType("INTEGER")
