"""How a row is known that has no key: by a digest of its line.

Owns what makes two spellings of a row one row. A line that the encoder wrote is
digested as it stands; one that PostgreSQL wrote, as the encoder would have written it.

Invariant: rows of the same values, class apart, have the same digest on both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from lockstep.mover.codecs import Codec
from lockstep.mover.codecs.lines import NULL, escape, unescape

_BYTES: Final = 16


class LineDigest:
    """The digest of a line that comes in pieces, without its newline."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=_BYTES)

    def add(self, data: bytes) -> None:
        """Take the next piece, in UTF-8."""
        self._hash.update(data)

    def value(self) -> bytes:
        """Return the digest of all pieces so far."""
        return self._hash.digest()


def line_digest(line: str) -> bytes:
    """Return the digest of a line that the encoder wrote."""
    digest = LineDigest()
    digest.add(line.encode("utf-8", "surrogatepass"))
    return digest.value()


def row_digest(line: str, codecs: Sequence[Codec]) -> bytes:
    """Return the digest of a line, whoever wrote it."""
    return line_digest(_as_encoded(line, codecs))


def _as_encoded(line: str, codecs: Sequence[Codec]) -> str:
    """Return a line as the encoder writes it, whoever wrote this one.

    Columns that can be written in one way only are not decoded at all: of the blob
    ``0`` among reals that would make ``0.0``.
    """
    if all(codec.has_one_spelling for codec in codecs):
        return line
    return "\t".join(respelled_fields(line.split("\t"), codecs))


def respelled_fields(fields: list[str], codecs: Sequence[Codec]) -> list[str]:
    """Write the cells of a line as the encoder would, as far as they fit.

    Args:
        fields: Changed in place.
        codecs: Of each.
    """
    for place, codec in enumerate(codecs):
        if codec.has_one_spelling:
            continue
        text = unescape(fields[place])
        if text is None:
            fields[place] = NULL
            continue
        try:
            fields[place] = escape(codec.respelled(text))
        except (ValueError, TypeError, ArithmeticError):
            continue
    return fields
