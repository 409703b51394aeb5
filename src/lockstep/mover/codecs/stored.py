"""Cells between two databases that both are SQLite: the class is in the cell.

Owns the one codec of a copy that keeps its dialect. The first character of a cell
says what SQLite stores, so that nothing has to be guessed or noted apart:

    i42  integer · r0.1  real · tpear  text · bff00  blob · xff00  text, no UTF-8
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lockstep.mover.codecs.base import Codec
from lockstep.mover.codecs.lines import escape_all
from lockstep.mover.model.values import RawText, Value


class Stored(Codec):
    """Any cell ↔ its class and its value.

    Args:
        word: ``raw`` where the column has text that is not UTF-8, else empty.
    """

    plain = frozenset({int, str, float, bytes, RawText})
    has_one_spelling = True

    def __init__(self, word: str = "") -> None:
        self.may_be_raw = word == "raw"

    def encode(self, value: Any) -> str:
        """Return the cell of a value that is not NULL."""
        if type(value) is str:
            return "t" + value
        if type(value) is int:
            return f"i{value}"
        if type(value) is float:
            return f"r{value!r}"
        return ("x" if type(value) is RawText else "b") + value.hex()

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        """Return the cells of a block, quickly where all have one class."""
        kinds = set(map(type, column))
        if kinds == {int}:
            return [f"i{value}" for value in column]
        if kinds == {str}:
            return escape_all(["t" + value for value in column])
        return escape_all(list(map(self.encode, column)))

    def decode(self, text: str) -> Value:
        """Return the value of a cell."""
        kind, rest = text[0], text[1:]
        if kind == "t":
            return rest
        if kind == "i":
            return int(rest)
        if kind == "r":
            return float(rest)
        return RawText.fromhex(rest) if kind == "x" else bytes.fromhex(rest)
