"""UUIDs, and the integer keys that became UUIDs on the way (``plan/rekey.py``)."""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Sequence
from typing import Any, Final

from lockstep.mover.codecs.base import Codec, refusal
from lockstep.mover.codecs.lines import NULL
from lockstep.mover.model.values import Value
from lockstep.schema.affinity import INTEGER_MIN

_LOW_62 = 2**62 - 1
_DIGITS: Final = re.compile("[0-9a-f]{32}")


def _dashed(digits: str) -> str:
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts)


class UuidBytes(Codec):
    """Sixteen bytes ↔ ``uuid``."""

    def encode(self, value: Any) -> str:
        if type(value) is not bytes or len(value) != 16:
            raise ValueError("a UUID has 16 bytes")
        return _dashed(value.hex())

    def decode(self, text: str) -> Value:
        return bytes.fromhex(text.replace("-", ""))

    def values(self, fields: Sequence[str]) -> list[Value]:
        digits = "\n".join(fields).replace("-", "").split("\n")
        try:
            return list(map(unhexlify, digits)) if fields else []
        except ValueError:
            return super().values(fields)


class UuidHex(Codec):
    """A text of 32 small hexadecimal digits ↔ ``uuid``, as Django has them."""

    def encode(self, value: Any) -> str:
        if type(value) is not str or _DIGITS.fullmatch(value) is None:
            raise ValueError("such a UUID is a text of 32 small hexadecimal digits")
        return _dashed(value)

    def decode(self, text: str) -> Value:
        return text.replace("-", "")

    def values(self, fields: Sequence[str]) -> list[Value]:
        digits = "\n".join(fields).replace("-", "").split("\n")
        return [None if text == NULL else text for text in digits] if fields else []


class Uuid7(Codec):
    """An integer key ↔ the ``uuid`` made of it (``plan/rekey.py``).

    ``words`` are the instant in milliseconds and the table's tag.
    """

    has_one_spelling = True

    def __init__(self, words: str) -> None:
        now_ms, tag = map(int, words.split(","))
        self._head = now_ms << 80 | 0x7 << 76 | tag << 66 | 0b10 << 62
        self._shown = self._head >> 66

    def encode(self, value: Any) -> str:
        if type(value) is not int:
            raise refusal(value, "integer key")
        number = value - INTEGER_MIN
        digits = f"{self._head | number >> 62 << 64 | number & _LOW_62:032x}"
        parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        return "-".join(parts)

    def decode(self, text: str) -> Value:
        number = int(text.replace("-", ""), 16)
        if number >> 66 != self._shown:
            return text  # a key that was given later
        return ((number >> 64 & 0b11) << 62 | number & _LOW_62) + INTEGER_MIN


class LookedUp(Codec):
    """An integer key ↔ its digits, or the UUID that an orphan still has.

    ``words`` are the instant and the tags of the tables it may refer to.
    """

    def __init__(self, words: str) -> None:
        now_ms, *tags = words.split(",")
        self._of = [Uuid7(f"{now_ms},{tag}") for tag in tags]

    def encode(self, value: Any) -> str:
        if type(value) is not int:
            raise refusal(value, "integer key")
        return str(value)

    def decode(self, text: str) -> Value:
        if "-" not in text[1:]:
            return int(text)
        decoded = (codec.decode(text) for codec in self._of)
        return next((found for found in decoded if found != text), text)

    def respelled(self, text: str) -> str:
        return self.encode(self.decode(text))


class Uuid7By(Codec):
    """An integer key of the table that another column of the row names.

    ``words`` are the instant, the directing column, and ``value=tag`` pairs. A row
    that names no known table keeps no key: it is refused.
    """

    has_one_spelling = True

    def __init__(self, words: str) -> None:
        now_ms, self.directing, *pairs = words.split(",")
        self._of: dict[Any, Uuid7] = {}
        for pair in pairs:
            value, _, tag = pair.rpartition("=")
            self._of[value] = Uuid7(f"{now_ms},{tag}")

    def encode(self, value: Any) -> str:
        word, number = value
        codec = self._of.get(str(word))  # a number, where an integer directs
        if codec is None:
            raise ValueError(f"{word!r} directs to no table of the plan")
        return codec.encode(number)

    def decode(self, text: str) -> Value:
        for codec in self._of.values():
            found = codec.decode(text)
            if found != text:
                return found
        return text

    def respelled(self, text: str) -> str:
        return text  # a UUID has one spelling, and its number no word beside it
