"""How PostgreSQL packs one column of a block, and how it is taken apart.

Owns the aggregates and their reading: numbers as their eight bytes, booleans as a
letter each, bytes joined and their lengths, all others as the joined texts that COPY
would write. It knows no table.

Invariant: ``values`` gives what the codec makes of the cells of COPY's lines, or
raises ``Misfit``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Final, Protocol

from lockstep.mover.codecs import Codec, codec_of
from lockstep.mover.codecs.lines import NULL, escape_all
from lockstep.mover.codecs.texts import Text
from lockstep.mover.model.postgresql import PgColumn
from lockstep.mover.model.values import Value

_SEPARATOR: Final = "\x1f"
_NULL: Final = "\x1e"
WHOLE: Final = ("smallint", "integer", "bigint")
_TEXTS: Final = ("text", "character varying")
_OF_LETTER: Final[dict[int, Value]] = {ord("t"): 1, ord("f"): 0, ord("n"): None}


class Misfit(Exception):
    """A block cannot be packed so that it is surely taken apart again."""


class PackedColumn(Protocol):
    """How one column is packed and taken apart."""

    def row_term(self, name: str) -> str:
        """Return what is asked for in each row."""
        ...

    def terms(self, name: str) -> list[str]:
        """Return the aggregates over what ``row_term`` gave."""
        ...

    def values(self, packed: Sequence[bytes], count: int) -> Sequence[Value]:
        """Return the values of what ``terms`` gave."""
        ...


class _Plain:
    """The column itself."""

    def row_term(self, name: str) -> str:
        return name


@dataclass
class _Numbers:
    """Eight bytes each; where there is NULL, which rows have a number."""

    send: str
    kind: str
    has_nulls: bool

    def row_term(self, name: str) -> str:
        return f"{name}::bigint" if self.kind == "q" else name

    def terms(self, name: str) -> list[str]:
        terms = [f"string_agg({self.send}({name}), '')"]
        if self.has_nulls:
            given = f"CASE WHEN {name} IS NULL THEN 'n' ELSE 'v' END"
            terms.append(f"string_agg({given}, '')")
        return terms

    def values(self, packed: Sequence[bytes], count: int) -> Sequence[Value]:
        there = len(packed[0]) // 8
        numbers: Sequence[Value] = struct.unpack(f">{there}{self.kind}", packed[0])
        if self.kind == "d":
            numbers = _without_nan(numbers)
        if there == count:
            return numbers
        if not self.has_nulls:
            raise Misfit  # a constraint that was never validated
        given = iter(numbers)
        return [next(given) if letter == ord("v") else None for letter in packed[1]]


def _without_nan(numbers: Sequence[Any]) -> Sequence[Value]:
    """Return the numbers as the codec ``real`` does: NaN is a text."""
    total = sum(numbers)
    # A sum is no number where one of its parts is none, or both infinities are there.
    if total == total:
        return numbers
    return ["NaN" if number != number else number for number in numbers]


class _Truths(_Plain):
    """A letter each."""

    def terms(self, name: str) -> list[str]:
        word = f"CASE WHEN {name} THEN 't' WHEN {name} IS NULL THEN 'n' ELSE 'f' END"
        return [f"string_agg({word}, '')"]

    def values(self, packed: Sequence[bytes], count: int) -> Sequence[Value]:
        return list(map(_OF_LETTER.__getitem__, packed[0]))


@dataclass
class _Bytes(_Plain):
    """The bytes, and a length for each row: -1 for NULL."""

    cell_max: int

    def terms(self, name: str) -> list[str]:
        length = f"octet_length({name})"
        return [
            f"string_agg(CASE WHEN {length} <= {self.cell_max} THEN {name} END, '')",
            f"string_agg(int4send(coalesce({length}, -1)), '')",
        ]

    def values(self, packed: Sequence[bytes], count: int) -> Sequence[Value]:
        data, lengths = packed[0], struct.unpack(f">{count}i", packed[1])
        shortest, longest = min(lengths), max(lengths)
        if longest > self.cell_max:
            raise Misfit
        if shortest == longest > 0:
            return [data[at : at + longest] for at in range(0, len(data), longest)]
        ends = accumulate((max(length, 0) for length in lengths), initial=0)
        cells: list[Value] = [data[start:end] for start, end in pairwise(ends)]
        if shortest < 0:
            for row, length in enumerate(lengths):
                if length < 0:
                    cells[row] = None
        return cells


@dataclass
class _Texts:
    """What COPY would write of each, unescaped."""

    codec: Codec
    is_text: bool
    has_nulls: bool
    cell_max: int

    def row_term(self, name: str) -> str:
        if self.is_text:
            return name
        # ``concat`` asks the type's own output function, as COPY does.
        return f"CASE WHEN {name} IS NOT NULL THEN concat({name}) END"

    def terms(self, name: str) -> list[str]:
        fits = f"octet_length({name}) <= {self.cell_max}"
        cell = f"CASE WHEN {fits} THEN {name} ELSE E'\\x1e' END"
        counted = [f"int8send(count({name}))"] if self.has_nulls else []
        return [f"string_agg({cell}, E'\\x1f')", *counted]

    def values(self, packed: Sequence[bytes], count: int) -> Sequence[Value]:
        texts = packed[0].decode("utf-8").split(_SEPARATOR)
        nulls = count - number_of(packed[1]) if self.has_nulls else 0
        # A text with a mark in it, or one that is too long, makes a number wrong.
        if len(texts) != count or texts.count(_NULL) != nulls:
            raise Misfit
        if type(self.codec) is Text:
            if not nulls:
                return texts
            return [None if text == _NULL else text for text in texts]
        fields = escape_all(texts)
        if nulls:
            fields = [NULL if field == _NULL else field for field in fields]
        return self.codec.values(fields)


def packed_as(codec: str, column: PgColumn, cell_max: int) -> PackedColumn:
    """Return how a column is packed, so that no cell has more than some bytes."""
    if codec == "integer" and column.type in WHOLE:
        return _Numbers("int8send", "q", not column.not_null)
    if codec == "real" and column.type == "double precision":
        return _Numbers("float8send", "d", not column.not_null)
    if codec == "boolean" and column.type == "boolean":
        return _Truths()
    if codec == "bytes" and column.type == "bytea":
        return _Bytes(cell_max)
    is_text = column.type in _TEXTS
    return _Texts(codec_of(codec), is_text, not column.not_null, cell_max)


def number_of(packed: bytes) -> int:
    """Return a number that ``int8send`` wrote, which is not negative."""
    return int.from_bytes(packed, "big")
