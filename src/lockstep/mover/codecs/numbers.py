"""Integers, booleans, reals and decimals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lockstep.mover.codecs.base import Codec, refusal
from lockstep.mover.codecs.lines import NULL
from lockstep.mover.model.values import (
    EXACT_IN_DOUBLE,
    Value,
    decimal_text,
    real_text,
    real_texts,
)
from lockstep.schema.affinity import INTEGER_MAX, INTEGER_MIN, kept_of_number

_NOTHING = type(None)
_DIGITS_THAT_FIT: Final = 18
_KEPT: Final = ("NaN", "-0")
"""What a column for numbers would store as something else, and is named before."""

_OF_WORD: Final[dict[str, Value]] = {"t": 1, "f": 0, NULL: None}


class Integer(Codec):
    """``integer`` ↔ ``bigint``."""

    has_one_spelling = True

    plain = frozenset({int})

    def encode(self, value: Any) -> str:
        if type(value) is not int:
            raise refusal(value, "integer")
        return str(value)

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        return list(map(str, column))

    def decode(self, text: str) -> Value:
        number = int(text)
        # PostgreSQL's wider types may hold what SQLite's integer cannot.
        return number if INTEGER_MIN <= number <= INTEGER_MAX else text

    def respelled(self, text: str) -> str:
        if self.decode(text) == text:
            raise ValueError("an integer of SQLite has 64 bits")
        return super().respelled(text)

    def values(self, fields: Sequence[str]) -> list[Value]:
        if max(map(len, fields), default=0) >= _DIGITS_THAT_FIT:
            return super().values(fields)
        try:
            return list(map(int, fields))
        except ValueError:
            return [None if field == NULL else int(field) for field in fields]


class Boolean(Codec):
    """0 and 1 ↔ ``boolean``."""

    has_one_spelling = True

    def encode(self, value: Any) -> str:
        if type(value) is int and value in (0, 1):
            return "t" if value else "f"
        raise ValueError("a boolean is 0 or 1")

    def decode(self, text: str) -> Value:
        return int(text == "t")

    def values(self, fields: Sequence[str]) -> list[Value]:
        try:
            return list(map(_OF_WORD.__getitem__, fields))
        except KeyError:
            return super().values(fields)

    def fields(self, column: Sequence[Value]) -> Sequence[str]:
        if set(column) <= {0, 1, None} and set(map(type, column)) <= {int, _NOTHING}:
            words = {0: "f", 1: "t", None: NULL}
            return [words[value] for value in column]  # pyright: ignore[reportArgumentType]
        return super().fields(column)


class Real(Codec):
    """``real`` ↔ ``double precision`` (never 4 bytes).

    NaN, which SQLite cannot store as a number, is the text ``NaN`` there.
    """

    plain = frozenset({float})

    def encode(self, value: Any) -> str:
        if value == "NaN":
            return "NaN"
        if type(value) is not float:
            raise refusal(value, "real")
        return real_text(value)

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        return real_texts(column)

    def decode(self, text: str) -> Value:
        return "NaN" if text == "NaN" else float(text)

    def values(self, fields: Sequence[str]) -> list[Value]:
        if "NaN" in fields:
            return super().values(fields)
        try:
            return list(map(float, fields))
        except ValueError:
            return [None if field == NULL else float(field) for field in fields]


class Number(Codec):
    """Integers and reals of a column with numeric affinity ↔ ``double precision``.

    Such a column stores every integral real as an integer, so the class comes
    back from the value. NaN is a text, as of ``real``.
    """

    plain = frozenset({float})
    may_be_odd = True

    def encode(self, value: Any) -> str:
        if type(value) is float:
            return real_text(value)
        if value == "NaN":
            return "NaN"
        if type(value) is not int:
            raise refusal(value, "number")
        if abs(value) > EXACT_IN_DOUBLE:
            raise ValueError("the integer has more digits than a double holds")
        return str(value)

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        return real_texts(column)

    def decode(self, text: str) -> Value:
        if text == "NaN":
            return text
        number = float(text)
        is_kept = number.is_integer() and abs(number) <= EXACT_IN_DOUBLE
        # No integer has the sign of -0.0.
        return int(number) if is_kept and text != "-0" else number


class WholeNumber(Number):
    """The same where an application may have written to PostgreSQL since.

    It writes 1e17 into a ``double precision``; a column with integer or numeric
    affinity stores the integer of it, which has more digits than a double tells apart.
    """

    def encode(self, value: Any) -> str:
        if type(value) is int and int(float(value)) == value:
            return real_text(float(value))
        return super().encode(value)

    def decode(self, text: str) -> Value:
        if text in _KEPT:
            return super().decode(text)
        return kept_of_number(float(text), "numeric")


class Numeric(Codec):
    """Integers and reals ↔ ``numeric``; ``3`` is an integer, ``3.0`` a real.

    NaN is a text, as of ``real``.
    """

    plain = frozenset({float})

    def encode(self, value: Any) -> str:
        if type(value) is float:
            finite = value - value == 0
            return decimal_text(value) if finite else real_text(value)
        if value == "NaN":
            return "NaN"
        if type(value) is not int:
            raise refusal(value, "number")
        return str(value)

    def decode(self, text: str) -> Value:
        if text.isdigit() or text[1:].isdigit():
            number = int(text)
            return number if INTEGER_MIN <= number <= INTEGER_MAX else float(text)
        return text if text == "NaN" else float(text)


class WholeNumeric(Numeric):
    """The same in a column that keeps an integral real as an integer.

    An application writes ``5.00`` into PostgreSQL's ``numeric``; a column with
    integer or numeric affinity stores 5 of it. So digits tell no class here.
    """

    def decode(self, text: str) -> Value:
        whole, _, fraction = text.partition(".")
        number = super().decode(text if fraction.strip("0") else whole)
        if not isinstance(number, int | float):
            return number
        return kept_of_number(number, "numeric")


class Scaled(Codec):
    """Integers that count units of 10⁻ˢ ↔ ``numeric(p, s)``."""

    has_one_spelling = True

    def __init__(self, scale: str) -> None:
        self._scale = int(scale)

    def encode(self, value: Any) -> str:
        if type(value) is not int:
            raise refusal(value, "scaled number")
        if self._scale == 0:
            return str(value)
        sign, digits = ("-", str(-value)) if value < 0 else ("", str(value))
        digits = digits.rjust(self._scale + 1, "0")
        return f"{sign}{digits[: -self._scale]}.{digits[-self._scale :]}"

    def decode(self, text: str) -> Value:
        return int(text.replace(".", ""))
