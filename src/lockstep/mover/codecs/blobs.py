"""Bytes, and whatever else only bytes can hold."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from lockstep.mover.codecs.base import Codec, refusal
from lockstep.mover.model.values import RawText, Value, text_of

_HEAD: Final = "\\\\x"
"""What each ``bytea`` of a line begins with: a backslash, escaped, and an x."""


class Bytes(Codec):
    """``blob`` ↔ ``bytea``."""

    has_one_spelling = True
    in_pieces = MappingProxyType({"blob": "bytes"})

    plain = frozenset({bytes})

    def encode(self, value: Any) -> str:
        if type(value) is not bytes:
            raise refusal(value, "blob")
        return "\\x" + value.hex()

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        return ["\\\\x" + value.hex() for value in column]

    def decode(self, text: str) -> Value:
        return bytes.fromhex(text[2:])

    def values(self, fields: Sequence[str]) -> list[Value]:
        if len(fields) == 1 and fields[0].startswith(_HEAD):
            return [unhexlify(fields[0][len(_HEAD) :])]
        # The head of each cell parts them again: no digit is a backslash.
        before, *digits = "".join(fields).split(_HEAD)
        if before or len(digits) != len(fields):
            return super().values(fields)
        try:
            return list(map(unhexlify, digits))
        except ValueError:
            return super().values(fields)


class TextBytes(Codec):
    """Text with NUL or invalid UTF-8 ↔ ``bytea`` of the same bytes."""

    has_one_spelling = True
    in_pieces: Mapping[str, str] = MappingProxyType({"text": "bytes"})

    def encode(self, value: Any) -> str:
        if type(value) is str:
            return "\\x" + value.encode("utf-8", "surrogatepass").hex()
        if type(value) is RawText:
            return "\\x" + value.hex()
        raise refusal(value, "text")

    def decode(self, text: str) -> Value:
        return text_of(bytes.fromhex(text[2:]))


class MixedBytes(TextBytes):
    """Anything ↔ ``bytea``; numbers are their digits, the rarer classes are odd."""

    may_be_odd = True

    def __init__(self, usual: str) -> None:
        self._usual = usual
        # Of numbers only the whole text says whether it is one.
        kinds = ("text", "blob") if usual in ("text", "blob") else ()
        self.in_pieces = dict.fromkeys(kinds, "bytes")

    def is_odd_in_pieces(self, storage: str) -> bool:
        return storage != self._usual

    def encode(self, value: Any) -> str:
        if type(value) is bytes:
            return "\\x" + value.hex()
        if type(value) is int or type(value) is float:
            return "\\x" + repr(value).encode().hex()
        return super().encode(value)

    def decode(self, text: str) -> Value:
        raw = bytes.fromhex(text[2:])
        return raw if self._usual == "blob" else class_from_bytes(raw, self._usual)

    def odd_rows(self, column: Sequence[Value]) -> list[int]:
        if self._usual != "blob":
            return super().odd_rows(column)
        odd = (type(value) not in (bytes, type(None)) for value in column)
        return [row for row, is_odd in enumerate(odd) if is_odd]


def class_from_bytes(raw: bytes, storage: str) -> Value:
    """Return the value of a storage class whose bytes ``MixedBytes`` wrote."""
    try:
        if storage == "integer":
            return int(raw)
        if storage == "real":
            return float(raw)
    except ValueError:
        return raw
    return text_of(raw) if storage == "text" else raw
