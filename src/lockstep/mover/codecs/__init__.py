"""How a cell of SQLite and a cell of PostgreSQL mean the same value.

Owns the words by which a plan names its columns' conversions. Each one encodes what
SQLite stores into the text PostgreSQL writes for it, and decodes it back; a
verification uses the same pair, so it cannot forgive what a copy did.

    SQLite value ──encode──► text of PostgreSQL ──decode──► the same SQLite value
                                                   (a cell that comes back with
                                                   another class is *odd*)

    base   the contract      numbers · texts · blobs · moments · written · keys   words
    models   our own types, named too                     stored   SQLite to SQLite

Invariants: ``encode`` refuses (``ValueError``) what it cannot give back; a block is
converted at once only when every cell of it has the class that makes this exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lockstep.mover.codecs.base import CellRefused, Codec
from lockstep.mover.codecs.blobs import Bytes, MixedBytes, TextBytes
from lockstep.mover.codecs.keys import LookedUp, Uuid7, Uuid7By, UuidBytes, UuidHex
from lockstep.mover.codecs.moments import Epoch, Julian, Utc, Zoned
from lockstep.mover.codecs.numbers import (
    Boolean,
    Integer,
    Number,
    Numeric,
    Real,
    Scaled,
    WholeNumber,
    WholeNumeric,
)
from lockstep.mover.codecs.stored import Stored
from lockstep.mover.codecs.texts import MixedText, NumberedText, Text
from lockstep.mover.codecs.written import moment_codec

__all__ = ["CODEC_NAMES", "CellRefused", "Codec", "codec_of"]

_PLAIN: Final[dict[str, Callable[[], Codec]]] = {
    "integer": Integer,
    "boolean": Boolean,
    "real": Real,
    "number": Number,
    "whole_number": WholeNumber,
    "numeric": Numeric,
    "whole_numeric": WholeNumeric,
    "text": Text,
    "mixed_text": MixedText,
    "bytes": Bytes,
    "text_bytes": TextBytes,
    "julian": Julian,
    "utc": Utc,
    "zoned": Zoned,
    "uuid_bytes": UuidBytes,
    "uuid_hex": UuidHex,
}
_WITH_WORD: Final[dict[str, Callable[[str], Codec]]] = {
    "mixed_bytes": MixedBytes,
    "numbered_text": NumberedText,
    "epoch": Epoch,
    "moment": moment_codec,
    "scaled": Scaled,
    "uuid7": Uuid7,
    "uuid7_by": Uuid7By,
    "looked_up": LookedUp,
    "stored": Stored,
}
_OF_MODELS: Final = frozenset({"json", "array", "wide_decimal"})
CODEC_NAMES: Final = (
    *(*_PLAIN, "mixed_bytes:<class>", "epoch:<unit>", "moment:<form>"),
    "scaled:<digits>",
)


def codec_of(name: str) -> Codec:
    """Return the codec of a plan's word, such as ``integer`` or ``epoch:ms``.

    Raises:
        ValueError: There is none of this name.
    """
    word, _, rest = name.partition(":")
    if word in _WITH_WORD:
        return _WITH_WORD[word](rest)
    if word in _OF_MODELS:
        from lockstep.mover.codecs.models import model_codec

        made = model_codec(word, rest, codec_of)
        assert made is not None, "the words of one module"
        return made
    if name not in _PLAIN:
        raise ValueError(f"'{name}' is none of {', '.join(CODEC_NAMES)}")
    return _PLAIN[name]()
