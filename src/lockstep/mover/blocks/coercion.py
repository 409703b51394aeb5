"""What a value most plainly means, where a plan says ``coerce``, in both directions.

Owns which meanings are plain. A number is what SQLite itself reads as one: no `inf`,
no `1_000`, no digits of another script. What has no plain meaning stays as it is, and
its row is quarantined.

Invariant: a number that is coerced is the same number; towards SQLite, the nearest
that its column can hold.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import Final

from lockstep.mover.codecs import Codec
from lockstep.mover.codecs.lines import NULL, escape, unescape
from lockstep.mover.model.plan import ColumnPlan
from lockstep.mover.model.values import RawText, Value, text_of
from lockstep.schema.affinity import looks_like_number

_TRUE: Final = frozenset({"t", "true", "y", "yes", "on", "1"})
_FALSE: Final = frozenset({"f", "false", "n", "no", "off", "0"})
_TEXTS: Final = ("text", "mixed_text")
_REALS: Final = ("real", "julian")
_ROUNDED: Final = (
    *("real", "number", "whole_number", "numeric", "whole_numeric"),
    *("epoch", "julian"),
)
"""Codecs whose ``decode`` gives the nearest value that SQLite can hold."""

_DIGITS_MAX: Final = 19
"""Of an integer of 64 bits."""

_OF_MOMENTS: Final = ("epoch", "julian")
_WITHOUT_BLANK: Final = (
    *("date", "time", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb"),
    *("numeric", "inet", "cidr", "macaddr"),
)
"""Types that have no empty text."""


def takes_blank_as_null(column: ColumnPlan) -> bool:
    """Whether an empty text means NULL in a column that is carried as its text."""
    word = column.type.replace("(", " ").split()
    is_text = column.on_dirt == "coerce" and column.codec == "text"
    return is_text and bool(word) and word[0].lower() in _WITHOUT_BLANK


def coerced(value: Value, codec: str) -> Value:
    """Return what a value of SQLite most plainly means to a codec.

    An empty text becomes NULL, digits in a text the number, a word such as ``yes`` the
    boolean, a real without a fraction the integer, bytes that are UTF-8 the text.

    Example:
        >>> coerced(" 42 ", "integer"), coerced("42", "real"), coerced("off", "boolean")
        (42, 42.0, 0)
        >>> [coerced(text, "numeric") for text in ("", "1_000", "inf", "1e400")]
        [None, '1_000', 'inf', '1e400']
        >>> coerced(2.0, "text"), coerced(2**53 + 1, "real")
        ('2.0', 9007199254740993)
    """
    word = codec.partition(":")[0]
    if isinstance(value, str):
        return value if word in _TEXTS else _of_text(value, codec)
    if isinstance(value, bytes):
        text = text_of(value) if word == "text" else value
        return value if isinstance(text, RawText) else text
    if isinstance(value, int | float) and word == "text":
        return str(value)
    if isinstance(value, int) and word in _REALS:
        return float(value) if _is_a_double(value) else value
    if isinstance(value, float) and value.is_integer() and word not in _REALS:
        return int(value)
    return value


def _of_text(text: str, codec: str) -> Value:
    stripped = text.strip()
    if not stripped:
        return None
    if codec == "boolean" and stripped.lower() in _TRUE | _FALSE:
        return int(stripped.lower() in _TRUE)
    if not looks_like_number(stripped):
        return text
    try:
        number: int | float = int(stripped)
    except ValueError:
        number = float(stripped)
    return text if number in (math.inf, -math.inf) else coerced(number, codec)


def _is_a_double(number: int) -> bool:
    try:
        return int(float(number)) == number
    except OverflowError:
        return False


def coerced_field(field: str, column: ColumnPlan, codec: Codec) -> str:
    """Return a cell's line text as what it most plainly means to SQLite's column.

    An empty text becomes NULL, digits in a text the number, a word such as ``yes``
    the boolean; a number or moment with more digits than fit becomes the nearest.

    Example:
        >>> from lockstep.mover.codecs import codec_of
        >>> flag = ColumnPlan("a", "a", "BOOLEAN", "boolean")
        >>> coerced_field(" Yes ", flag, codec_of("boolean"))
        't'
    """
    text = (unescape(field) or "").strip()
    if not text:
        return NULL
    if text == "-0" and column.refuses_negative_zero:
        return "0"
    word = column.codec.partition(":")[0]
    if word == "boolean":
        known = {**dict.fromkeys(_TRUE, "t"), **dict.fromkeys(_FALSE, "f")}
        return known.get(text.lower(), field)
    is_number = looks_like_number(text)
    try:
        if word == "integer":
            number = Decimal(text) if is_number else Decimal("NaN")
            # First whether it is small: of 1e999999999 nobody shall write the digits.
            is_small = number.is_finite() and number.adjusted() < _DIGITS_MAX
            is_whole = is_small and number == number.to_integral_value()
            return str(int(number)) if is_whole else field
        if word not in _ROUNDED or not (is_number or word in _OF_MOMENTS):
            return field
        value = codec.decode(text)
        is_lost = isinstance(value, float) and math.isinf(value)
        return field if is_lost else escape(codec.encode(value))
    except (ValueError, TypeError, InvalidOperation):
        return field
