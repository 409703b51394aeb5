"""Texts, and texts among which numbers stand."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from lockstep.mover.codecs.base import CellRefused, Codec, refusal
from lockstep.mover.codecs.lines import escape_all, unescape_all
from lockstep.mover.model.values import RawText, Value
from lockstep.schema.affinity import (
    INTEGER_MAX,
    INTEGER_MIN,
    kept_of_text,
    looks_like_number,
)


class Text(Codec):
    """``text`` ↔ ``text``, or any type that writes the same text back."""

    has_one_spelling = True
    in_pieces = MappingProxyType({"text": "text"})

    plain = frozenset({str})

    def encode(self, value: Any) -> str:
        if type(value) is RawText:
            raise ValueError("the text is not valid UTF-8")
        if type(value) is not str:
            raise refusal(value, "text")
        if "\0" in value:
            raise ValueError("PostgreSQL's text cannot hold NUL")
        return value

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        if "\0" in "".join(column):
            row = next(i for i, text in enumerate(column) if "\0" in text)
            raise CellRefused(row, "PostgreSQL's text cannot hold NUL")
        return escape_all(column)

    def decode(self, text: str) -> Value:
        return text

    def values(self, fields: Sequence[str]) -> list[Value]:
        return list(unescape_all(fields))


class MixedText(Text):
    """Text, integers and reals ↔ ``text``; a text that reads as a number is odd."""

    may_be_odd = True
    values = Codec.values

    def encode(self, value: Any) -> str:
        if type(value) is int:
            return str(value)
        return repr(value) if type(value) is float else super().encode(value)

    def decode(self, text: str) -> Value:
        if not looks_like_number(text) and text not in ("inf", "-inf"):
            return text
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is not None and str(number) == text:
            return number if INTEGER_MIN <= number <= INTEGER_MAX else text
        real = float(text)
        return real if repr(real) == text else text


class NumberedText(MixedText):
    """The same in a column that stores as a number whatever text reads as one.

    Of ``007`` such a column keeps 7, of a real column's ``7`` it keeps 7.0: they do
    not fit.

    Args:
        affinity: SQLite's, of the column: ``integer``, ``numeric`` or ``real``.
    """

    in_pieces = MappingProxyType({})

    def __init__(self, affinity: str) -> None:
        self._affinity = affinity

    def decode(self, text: str) -> Value:
        value = kept_of_text(text, self._affinity)
        if isinstance(value, str):
            return super().decode(text)
        if self.encode(value) != text:
            raise ValueError(f"a column for numbers stores {value!r}")
        return value
