"""What a column of SQLite keeps of a value: the rules of affinity, as SQLite has them.

Owns which affinity a declared type has, which texts are numbers to SQLite, and what
a column for numbers stores of a number or a text. It knows no table and no driver.

    given       5       5.0     '5.0'    1e17     '007'    'x'    -0.0
    integer     5       5       5        10**17   7        'x'    0
    numeric     5       5       5        10**17   7        'x'    0
    real        5.0     5.0     5.0      1e17     7.0      'x'    0.0

A column without affinity (``blob``) keeps every value as it is.

Invariant: what a function here gives for a value, SQLite gives for it, class and
value, but for the last bit of texts of more than 15 digits: SQLite does not always
read them as the nearest double. Where that counts, bind a number instead.

See https://sqlite.org/datatype3.html
"""

from __future__ import annotations

import re
from typing import Final, Literal

Affinity = Literal["integer", "text", "blob", "real", "numeric"]

INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**63 - 1

NUMBER_PATTERN: Final = (
    r"[ \t\n\v\f\r]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t\n\v\f\r]*"
)
"""A text that a column for numbers stores as one, for Python and for PostgreSQL."""

_NUMBER: Final = re.compile(NUMBER_PATTERN)
_FOR_NUMBERS: Final = frozenset({"integer", "real", "numeric"})


def affinity_of(declared: str) -> Affinity:
    """Return the affinity of a column whose type is declared so.

    Example:
        >>> [affinity_of(t) for t in ("TINYINT(1)", "POINT", "", "DATETIME")]
        ['integer', 'integer', 'blob', 'numeric']

    See https://sqlite.org/datatype3.html#determination_of_column_affinity
    """
    words = declared.upper()
    if "INT" in words:
        return "integer"
    if any(word in words for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if "BLOB" in words or not words.strip():
        return "blob"
    if any(word in words for word in ("REAL", "FLOA", "DOUB")):
        return "real"
    return "numeric"


def is_for_numbers(affinity: str) -> bool:
    """Whether such a column, or what is compared with it, makes numbers of texts."""
    return affinity in _FOR_NUMBERS


def looks_like_number(text: str) -> bool:
    """Whether a column for numbers stores ``text`` as a number.

    Example:
        >>> [looks_like_number(t) for t in (" 1.50 ", "1e3", "0x10", "1e", "inf")]
        [True, True, False, False, False]
    """
    return _NUMBER.fullmatch(text) is not None


def kept_of_number(number: int | float, affinity: str) -> int | float:
    """Return what a column stores of a number.

    Args:
        number: Not NaN, of which SQLite makes NULL; an integer has 64 bits at most.
        affinity: The column's: one for numbers.

    Example:
        >>> kept_of_number(5.0, "integer"), kept_of_number(5, "real")
        (5, 5.0)
    """
    assert is_for_numbers(affinity), "other columns keep a number as it is, or a text"
    if affinity == "real":
        return float(number) + 0.0  # of minus zero the sign is lost
    if isinstance(number, int) or not number.is_integer():
        return number
    # A double at either end of 64 bits may stand for an integer beyond it.
    return int(number) if INTEGER_MIN < number < INTEGER_MAX else number


def kept_of_text(text: str, affinity: str) -> int | float | str:
    """Return what a column stores of a text: the number that it reads as, if any.

    Digits alone are that very integer; anything else is read as a double first.

    Args:
        text: Without NUL, before which SQLite stops reading.
        affinity: The column's: one for numbers.

    Example:
        >>> [kept_of_text(t, "numeric") for t in ("007", "1.50", "2e3", "x")]
        [7, 1.5, 2000, 'x']
    """
    if not looks_like_number(text):
        return text
    try:
        number = int(text)
    except ValueError:
        number = float(text)
    if not INTEGER_MIN <= number <= INTEGER_MAX:
        number = float(text)
    return kept_of_number(number, affinity)
