"""What every codec does, one cell at a time or a block's column at once.

Owns the contract and the way a column goes through it: NULLs apart, whole columns
where all cells have a plain class, and which cell it was that did not fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, ClassVar

from lockstep.mover.codecs.lines import NULL, escape, escape_all, unescape_all
from lockstep.mover.model.values import Value, is_same, storage_of

_NOTHING = type(None)
_DIGITS_OF_DOUBLE = 17
"""Which tell each double from all others."""

_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?", re.ASCII)


class CellRefused(ValueError):
    """One cell of a block does not fit its codec; ``row`` is its place."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row
        self.reason = reason


class Codec:
    """One conversion. Subclasses say which classes they convert in blocks.

    Attributes:
        plain: Python types that ``encode_plain`` converts exactly.
        may_be_odd: Whether ``decode`` may give another storage class back.
        has_one_spelling: Whether a cell can be written in one way only.
        in_pieces: By storage class ``text`` or ``bytes``, as which a long cell of that
            class is written piece by piece; other classes have no such cells.
    """

    plain: ClassVar[frozenset[type]] = frozenset()
    may_be_odd: ClassVar[bool] = False
    has_one_spelling: bool = False
    in_pieces: Mapping[str, str] = MappingProxyType({})

    def encode(self, value: Any) -> str:
        """Return PostgreSQL's text of a value that is not NULL."""
        raise NotImplementedError

    def decode(self, text: str) -> Value:
        """Return the value SQLite stores for PostgreSQL's text."""
        raise NotImplementedError

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        """Return the escaped cells of a block whose cells are all ``plain``."""
        return escape_all(list(map(self.encode, column)))

    def respelled(self, text: str) -> str:
        """Return PostgreSQL's text as ``encode`` writes the value it stands for.

        ``0.10`` is ``0.1`` as a real; of twenty digits none may be forgiven.

        Raises:
            ValueError: SQLite would hold something else, or nothing.
        """
        again = self.encode(self.decode(text))
        if again != text and not _is_same_number(again, text):
            raise ValueError(f"only {again} of it would be kept")
        return again

    def fields(self, column: Sequence[Value]) -> Sequence[str]:
        """Return a block's cells as they stand in lines.

        Raises:
            CellRefused: A cell cannot be converted so that it comes back.
        """
        kinds = set(map(type, column))
        if kinds <= self.plain:
            return self.encode_plain(column)
        if kinds == {_NOTHING}:
            return [NULL] * len(column)
        if kinds - {_NOTHING} <= self.plain:
            encoded = iter(self.encode_plain([v for v in column if v is not None]))
            return [NULL if value is None else next(encoded) for value in column]
        fields: list[str] = []
        for row, value in enumerate(column):
            try:
                text = NULL if value is None else escape(self.encode(value))
            except (ValueError, TypeError, OverflowError) as error:
                raise CellRefused(row, str(error)) from error
            fields.append(text)
        return fields

    def odd_rows(self, column: Sequence[Value]) -> list[int]:
        """Return the rows whose storage class the cell alone would not give back."""
        if not self.may_be_odd:
            return []
        return [
            row
            for row, value in enumerate(column)
            if value is not None and not is_same(self.decode(self.encode(value)), value)
        ]

    def is_odd_in_pieces(self, storage: str) -> bool:
        """Whether the class of a cell written in pieces has to be noted."""
        return False

    def values(self, fields: Sequence[str]) -> list[Value]:
        """Return the SQLite values of a block's cells, as they stand in lines.

        It gives what ``decode`` gives for each; codecs may have a quicker way.
        """
        decode = self.decode
        return [None if text is None else decode(text) for text in unescape_all(fields)]


def _is_same_number(one: str, two: str) -> bool:
    if not (_DECIMAL.fullmatch(one) and _DECIMAL.fullmatch(two)):
        return False
    mine, other = Decimal(one), Decimal(two)
    return mine == other or (
        len(other.as_tuple().digits) <= _DIGITS_OF_DOUBLE
        and float(one) == float(two)
        and _is_halfway(mine)
    )


def _is_halfway(number: Decimal) -> bool:
    """Whether a number lies in the middle between two doubles, as 1e23 does.

    Python reads and writes it as the even one; PostgreSQL, which would not rely on
    who reads it, spells that double with more digits: 9.999999999999999e+22.
    """
    nearest = float(number)
    if math.isinf(nearest):
        return False
    exact, middle = Fraction(number), Fraction(nearest)
    return any(
        not math.isinf(other) and 2 * exact == middle + Fraction(other)
        for other in (
            math.nextafter(nearest, math.inf),
            math.nextafter(nearest, -math.inf),
        )
    )


def refusal(value: Any, what: str) -> ValueError:
    """Return what is said of a value of the wrong class."""
    storage = storage_of(value)
    article = "an" if storage == "integer" else "a"
    return ValueError(f"{article} {storage} is no {what}")
