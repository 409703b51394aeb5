"""What really lies in a table's columns: the classes of every stored value.

Owns the one complete pass over a table from which types are chosen. Each value
is looked at, none is sampled, because one text among a million integers decides
what type can hold them all.

Invariant: constant memory; a value leaves nothing behind but counts and bounds.
"""

from __future__ import annotations

import math
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lockstep.moments.forms import forms_of
from lockstep.mover.model.values import EXACT_IN_DOUBLE, PLACEHOLDERS, RawText, Value
from lockstep.schema.affinity import looks_like_number

_OF_NUMBERS: Final = b"0123456789+-.eE \t\n\v\f\r"
_CLASS_OF_TYPE: Final = {
    type(None): "null",
    int: "integer",
    float: "real",
    str: "text",
    RawText: "text",
    bytes: "blob",
}


@dataclass
class ColumnProfile:
    """The values of one column.

    Attributes:
        counts: How many cells have each storage class.
        integer_min, integer_max: Of the integers; None without one, or where
            nobody asked.
        integer_positive_min: The least integer above zero.
        real_min, real_max: Of the reals; None without one, or where nobody asked.
        has_zero_real: Whether one of the reals may be zero, of either sign.
        placeholder_text: Texts like ``nan`` that a program wrote for nothing.
        integral_reals: Reals without a fraction that an integer could hold.
        special_reals: Infinities and negative zeros.
        invalid_text: Texts that are not UTF-8.
        nul_text: Texts with a NUL character.
        number_text: Texts that read as a number.
        text_bytes_max: Length of the longest text or blob.
        is_in_pieces: Whether it has long cells and all of them were read in pieces.
        forms: The forms of moments that every text so far has; None where nobody
            looked at one.
    """

    name: str
    counts: Counter[str] = field(default_factory=lambda: Counter[str]())
    integer_min: int | None = None
    integer_max: int | None = None
    integer_positive_min: int | None = None
    real_min: float | None = None
    real_max: float | None = None
    has_zero_real: bool = False
    integral_reals: int = 0
    special_reals: int = 0
    invalid_text: int = 0
    nul_text: int = 0
    number_text: int = 0
    empty_text: int = 0
    placeholder_text: int = 0
    text_bytes_max: int = 0
    is_in_pieces: bool = False
    forms: set[str] | None = None
    watches_forms: bool = False
    watches_numbers: bool = True

    @property
    def classes(self) -> set[str]:
        """The storage classes that occur, NULL left out."""
        return {name for name, count in self.counts.items() if count} - {"null"}

    @property
    def is_clean_text(self) -> bool:
        """Whether PostgreSQL's ``text`` can hold every text."""
        return not self.invalid_text and not self.nul_text

    @property
    def is_zero_or_one(self) -> bool:
        """Whether all values are known to be the integers 0 and 1."""
        if self.classes != {"integer"}:
            return False
        low, high = self.integer_min, self.integer_max
        return low is not None and high is not None and low >= 0 and high <= 1

    @property
    def fits_double(self) -> bool:
        """Whether a double holds every integer exactly."""
        low, high = self.integer_min or 0, self.integer_max or 0
        return low >= -EXACT_IN_DOUBLE and high <= EXACT_IN_DOUBLE

    def add(self, column: Sequence[Value]) -> None:
        """Look at a block of the column."""
        kinds = set(map(type, column))
        if len(kinds) == 1:
            (kind,) = kinds
            self.counts[_CLASS_OF_TYPE[kind]] += len(column)
            self._add_values(kind, column)
            return
        types = list(map(type, column))
        for kind in kinds:
            values = [v for v, t in zip(column, types, strict=True) if t is kind]
            self.counts[_CLASS_OF_TYPE[kind]] += len(values)
            self._add_values(kind, values)

    def _add_values(self, kind: type, values: Sequence[Any]) -> None:
        if kind is int:
            low, high = min(values), max(values)
            above = low if low > 0 else min((v for v in values if v > 0), default=None)
            self.widen(low, high, above)
        elif kind is float:
            self._add_reals(values)
        elif kind is str:
            self._add_texts(values)
        elif kind is RawText:
            self.invalid_text += len(values)
            self.forms = set()
            self.text_bytes_max = max(self.text_bytes_max, max(map(len, values)))
        elif kind is bytes:
            self.text_bytes_max = max(self.text_bytes_max, max(map(len, values)))

    def widen(self, low: int | None, high: int | None, above: int | None) -> None:
        """Take the bounds of more integers; None where there are none.

        Args:
            low: The least.
            high: The greatest.
            above: The least above zero.
        """
        self.integer_min = _least(self.integer_min, low)
        self.integer_max = _greatest(self.integer_max, high)
        self.integer_positive_min = _least(self.integer_positive_min, above)

    def widen_reals(
        self, low: float | None, high: float | None, has_zero: bool | None
    ) -> None:
        """Take the bounds of more reals; None where there are none."""
        self.real_min = _least(self.real_min, low)
        self.real_max = _greatest(self.real_max, high)
        self.has_zero_real |= bool(has_zero)

    def _add_reals(self, values: Sequence[float]) -> None:
        if not any(map(float.is_integer, values)) and not any(map(math.isinf, values)):
            return
        for value in values:
            if value.is_integer() and abs(value) <= EXACT_IN_DOUBLE:
                self.integral_reals += 1
                if value == 0 and math.copysign(1, value) < 0:
                    self.special_reals += 1
            elif math.isinf(value):
                self.special_reals += 1

    def _add_texts(self, values: Sequence[str]) -> None:
        joined = "".join(values)
        if "\0" in joined:
            self.nul_text += sum("\0" in value for value in values)
            self.forms = set()
        longest = max(map(len, values))
        if not joined.isascii():
            longest = max(len(v.encode("utf-8", "surrogatepass")) for v in values)
        self.text_bytes_max = max(self.text_bytes_max, longest)
        if not all(values):
            self.empty_text += sum(not value for value in values)
        if not PLACEHOLDERS.isdisjoint(values):
            self.placeholder_text += sum(value in PLACEHOLDERS for value in values)
        if self.watches_numbers:
            self.number_text += sum(map(looks_like_number, values))
        if self.watches_forms:
            self.keep_forms("".join(f"{value}\n" for value in values), len(values))

    def add_long(self, storage: str, pieces: Iterable[bytes]) -> None:
        """Look at a text or blob that is too long to be held.

        Args:
            storage: Its class.
            pieces: Its bytes; of a text in UTF-16 those in UTF-8.
        """
        decoder, length = getincrementaldecoder("utf-8")(), 0
        has_nul, is_valid, may_be_number = False, True, True
        for piece in pieces:
            length += len(piece)
            has_nul |= b"\0" in piece
            may_be_number &= not piece.translate(None, _OF_NUMBERS)
            if storage == "text" and is_valid:
                try:
                    decoder.decode(piece)
                except UnicodeDecodeError:
                    is_valid = False
        self.counts[storage] += 1
        self.text_bytes_max = max(self.text_bytes_max, length)
        self.is_in_pieces = True
        if storage != "text":
            return
        is_valid = is_valid and not decoder.getstate()[0]
        if self.watches_forms or has_nul or not is_valid:
            self.forms = set()
        self.invalid_text += not is_valid
        self.nul_text += is_valid and has_nul
        # A text that may be a number counts as one, and is looked at more closely.
        self.number_text += self.watches_numbers and is_valid and may_be_number

    def keep_forms(self, lines: str, count: int) -> None:
        """Keep the forms that these texts have, too.

        Args:
            lines: The texts, a newline behind each.
            count: How many.
        """
        if self.forms == set():
            return
        self.keep_only(forms_of(lines) if lines.count("\n") == count else set())

    def keep_only(self, forms: set[str] | None) -> None:
        """Keep the forms that other texts have, too; None says that there are none."""
        if forms is not None:
            self.forms = forms if self.forms is None else self.forms & forms

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return {
            "name": self.name,
            "stored": dict(sorted(self.counts.items())),
            "integer_min": self.integer_min,
            "integer_max": self.integer_max,
            "text_bytes_max": self.text_bytes_max,
            "invalid_text": self.invalid_text,
            "nul_text": self.nul_text,
            "empty_text": self.empty_text,
        }


@dataclass
class TableProfile:
    """The values of one table.

    Attributes:
        rows: How many there are.
        ends: Rowids, in order: between two of them lie so few rows that they are
            read at once; empty where nobody counted.
        long_rows: Keys (``row_order``) of the rows that have a long cell and can be
            read in pieces; one of a rowid stands alone between two of ``ends``.
    """

    name: str
    rows: int
    columns: list[ColumnProfile]
    ends: Sequence[int] = ()
    long_rows: Sequence[tuple[Value, ...]] = ()

    @property
    def is_clean(self) -> bool:
        """Whether every text is UTF-8, so that the driver may decode it."""
        return not any(column.invalid_text for column in self.columns)

    def column(self, name: str) -> ColumnProfile:
        """Return the profile of a column."""
        return next(column for column in self.columns if column.name == name)


def _least(one: Any, two: Any) -> Any:
    return min((x for x in (one, two) if x is not None), default=None)


def _greatest(one: Any, two: Any) -> Any:
    return max((x for x in (one, two) if x is not None), default=None)
