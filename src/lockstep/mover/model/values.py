"""What SQLite can store in a cell, as Python values that keep every bit.

Owns the five storage classes and the two things Python's own driver would lose:
text that is no UTF-8 (``RawText``) and the difference between the texts of a
number. It knows no table and no plan.

    integer  int     ·   real  float   ·   text  str | RawText   ·   blob  bytes

Invariant: ``storage_of`` gives for every value the class SQLite's ``typeof`` gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

EXACT_IN_DOUBLE: Final = 2**53
"""Up to here every integer is a double of its own."""

Value = int | float | str | bytes | None

PLACEHOLDERS: Final = frozenset(
    {"nan", "NaN", "null", "NULL", "None", "undefined", "N/A"}
)
"""Texts that a program wrote where it had nothing."""

_PLAIN_BELOW: Final = 1e15
"""PostgreSQL writes doubles from here on with an exponent."""

SHOWN_CHARACTERS_MAX = 120


class RawText(bytes):
    """The bytes of a value of class text that is not valid UTF-8."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"RawText({bytes(self)!r})"


class Damaged(str):
    """A text of the schema that is no UTF-8; the bytes that are none are replaced."""

    __slots__ = ()


def tolerant(stored: bytes) -> str:
    """Return a text; ``Damaged`` if it is no UTF-8."""
    try:
        return stored.decode("utf-8")
    except UnicodeDecodeError:
        return Damaged(stored.decode("utf-8", "replace"))


def text_of(stored: bytes) -> str | RawText:
    """Return a text as Python has it: ``text_factory`` for damaged files."""
    try:
        return stored.decode("utf-8")
    except UnicodeDecodeError:
        return RawText(stored)


def storage_of(value: Value) -> str:
    """Return ``null``, ``integer``, ``real``, ``text`` or ``blob``."""
    if value is None:
        return "null"
    if isinstance(value, str | RawText):
        return "text"
    if isinstance(value, bytes):
        return "blob"
    return "real" if isinstance(value, float) else "integer"


def is_same(one: Value, two: Value) -> bool:
    """Whether two values are the same cell: class, value, and the sign of zero.

    Example:
        >>> is_same(1, 1.0), is_same(0.0, -0.0), is_same("a", b"a")
        (False, False, False)
    """
    if storage_of(one) != storage_of(two):
        return False
    if isinstance(one, float) and isinstance(two, float):
        return one.hex() == two.hex()
    return one == two


def real_text(value: float) -> str:
    """Return the text PostgreSQL itself writes for a double precision.

    Shortest digits that give the same double back, plain up to 1e14.

    Example:
        >>> [real_text(x) for x in (1.0, 0.1, 1e15, 1e-5, float("inf"))]
        ['1', '0.1', '1e+15', '1e-05', 'Infinity']
    """
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = repr(value)
    if text.endswith(".0"):
        text = text[:-2]
        if len(text) > 15 and len(text.lstrip("-")) > 15:
            return _with_exponent(text)
    return text


def real_texts(column: Sequence[float]) -> list[str]:
    """Return ``real_text`` of each, quickly where none is very large."""
    if min(column) > -_PLAIN_BELOW and max(column) < _PLAIN_BELOW:
        return [
            text[:-2] if text.endswith(".0") else text for text in map(repr, column)
        ]
    return list(map(real_text, column))


def _with_exponent(digits: str) -> str:
    sign = "-" if digits.startswith("-") else ""
    whole = digits.lstrip("-")
    shown = whole.rstrip("0")
    fraction = f".{shown[1:]}" if len(shown) > 1 else ""
    return f"{sign}{shown[0]}{fraction}e+{len(whole) - 1:02d}"


def decimal_text(value: float) -> str:
    """Return a real as an exact decimal that says it was a real: ``3`` is ``3.0``.

    PostgreSQL's ``numeric`` keeps the digits behind the point as written, so
    the class of the number survives in it.
    """
    text = format(Decimal(repr(value)), "f")
    return text if "." in text else f"{text}.0"


def shown(value: Value) -> str:
    """Return a value for a person to read, at most ``SHOWN_CHARACTERS_MAX``.

    A text that is no UTF-8 stands there by its bytes, as ``text x'c3'``; a blob, as
    SQL has it, as ``x'c3'``.
    """
    if isinstance(value, bytes):
        digits = value[:SHOWN_CHARACTERS_MAX].hex()
        text = f"text x'{digits}'" if isinstance(value, RawText) else f"x'{digits}'"
    else:
        text = repr(value)
    if len(text) <= SHOWN_CHARACTERS_MAX:
        return text
    return text[: SHOWN_CHARACTERS_MAX - 1] + "…"
