"""Codecs of our own models' types that need more than one line.

Owns documents, arrays and long decimals: each is one canonical text on SQLite and
a type of its own on PostgreSQL.
"""

from __future__ import annotations

import decimal
import json
from collections.abc import Callable
from typing import Any

from lockstep.mover.codecs.base import Codec
from lockstep.mover.model.values import Value
from lockstep.schema.types import Decimal
from lockstep.schema.types.json_text import canonical_json


class Document(Codec):
    """Canonical JSON text ↔ ``jsonb``."""

    def encode(self, value: Any) -> str:
        """Return the document as ``jsonb`` is given it."""
        text = canonical_json(json.loads(value), expand_floats=True)
        if self.decode(text) != value:
            raise ValueError("the document is not written canonically")
        return text

    def decode(self, text: str) -> Value:
        """Return the canonical text."""
        return canonical_json(json.loads(text))

    def respelled(self, text: str) -> str:
        """Return the canonical text; ``jsonb`` has a spelling of its own."""
        return self.encode(self.decode(text))


class ArrayOf(Codec):
    """A JSON array of portable values ↔ ``item[]``."""

    def __init__(self, item: Codec) -> None:
        self._item = item

    def encode(self, value: Any) -> str:
        """Return the literal of the array."""
        items = [self._item.encode(item) for item in json.loads(value)]
        return "{" + ",".join(_quoted(item) for item in items) + "}"

    def decode(self, text: str) -> Value:
        """Return the canonical JSON array."""
        items: list[Any] = [self._item.decode(item) for item in literal_items(text)]
        return canonical_json(items)

    def respelled(self, text: str) -> str:
        """Return the literal with every item in quotes."""
        return self.encode(self.decode(text))


def _quoted(item: str) -> str:
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal_items(text: str) -> list[str]:
    r"""Return the items of PostgreSQL's literal of a flat array.

    Example:
        >>> literal_items('{a,"b,c","d\\"e"}')
        ['a', 'b,c', 'd"e']
    """
    items: list[str] = []
    place, end = 1, len(text) - 1
    while place < end:
        if text[place] == '"':
            place += 1
            letters: list[str] = []
            while text[place] != '"':
                place += text[place] == "\\"
                letters.append(text[place])
                place += 1
            items.append("".join(letters))
            place += 2
        else:
            stop = text.find(",", place, end)
            stop = end if stop < 0 else stop
            items.append(text[place:stop])
            place = stop + 1
    return items


class WideDecimal(Codec):
    """A decimal of more than 18 digits: sorting text ↔ ``numeric``."""

    def __init__(self, digits: str) -> None:
        precision, _, scale = digits.partition(",")
        self._type = Decimal(int(precision), int(scale))

    def encode(self, value: Any) -> str:
        """Return the number."""
        return format(self._type.from_sqlite(value), "f")

    def decode(self, text: str) -> Value:
        """Return the sorting text."""
        return self._type.to_sqlite(self._type.checked(decimal.Decimal(text)))


def model_codec(word: str, rest: str, of: Callable[[str], Codec]) -> Codec | None:
    """Return the codec of a word of this module; None for any other word."""
    if word == "json":
        return Document()
    if word == "array":
        return ArrayOf(of(rest))
    return WideDecimal(rest) if word == "wide_decimal" else None
