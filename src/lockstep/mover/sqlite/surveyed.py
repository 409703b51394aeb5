"""One column of a surveyed table: what SQLite is asked, and what the answers prove.

Owns the terms of the questions about a range of rows, the sum of their answers, and
the look at a long cell in pieces. It knows no range.

Invariant: a profile is given only for a column whose every value is of one class.
"""

from __future__ import annotations

import sqlite3
from codecs import getincrementaldecoder
from collections.abc import Iterator
from typing import Any

from lockstep.migrations.sqlite.tokens import quote
from lockstep.moments.names import is_time_type
from lockstep.mover.model.declared import is_exact_type
from lockstep.mover.model.profile import ColumnProfile
from lockstep.mover.model.sqlite import Column
from lockstep.mover.sqlite.long_rows import WholeCell, pieces_of


class NeedsCare(Exception):
    """The values must be looked at one by one."""


class SurveyedColumn:
    """One column: what SQLite is asked about a range, and the sum of the answers.

    Args:
        column: Which.
        kind: The storage class that its values seem to have.
        has_bounds: Whether the least and the greatest integer matter.
        is_indexed: Whether the length of its values does.

    Attributes:
        terms: What is asked.
        size: Of them the bytes of all blobs, where they seem to be blobs.
    """

    def __init__(
        self, column: Column, kind: str, has_bounds: bool, is_indexed: bool
    ) -> None:
        self.column = column
        self.kind = kind
        name = quote(column.name)
        self.terms = [f"sum(typeof({name}) = '{kind}')"]
        self._may_be_null = not column.not_null
        if self._may_be_null:
            self.terms.append(f"count({name})")
        self._has_bounds = kind == "integer" and has_bounds
        if self._has_bounds:
            self.terms += [f"min({name})", f"max({name})"]
            self.terms.append(f"min(iif({name} > 0, {name}, NULL))")
        if kind == "real":
            self.terms += [f"min({name})", f"max({name})", f"max({name} = 0)"]
        # Lengths bound what an index can hold, and what is read at once. That of a
        # blob stands in front of it, and costs no look at its pages.
        self._is_blob = kind == "blob"
        self._has_length = self._is_blob or (is_indexed and kind == "text")
        self.size = f"total(length({name}))"
        if self._is_blob:
            self.terms += [f"max(length({name}))", self.size]
        elif self._has_length:
            self.terms.append(f"max(length(CAST({name} AS BLOB)))")
        if kind == "text":
            self.terms.append(f"group_concat({name}, '\n')")
        self._stored = ColumnProfile(column.name)
        self._matching = self._present = 0

    def add(self, rows: int, answers: Iterator[Any]) -> None:
        """Take the answers about a range.

        Raises:
            NeedsCare: A text holds NUL, or is no UTF-8.
        """
        matching, *more = (next(answers) for _ in self.terms)
        present = more.pop(0) if self._may_be_null else rows
        self._matching += matching
        self._present += present
        if not matching or matching != present:
            return
        stored = self._stored
        if self._has_bounds:
            stored.widen(*more)
        elif self.kind == "real":
            stored.widen_reals(*more)
        if self._has_length:
            stored.text_bytes_max = max(stored.text_bytes_max, more.pop(0))
        if self._is_blob:
            more.pop(0)
        if self.kind == "text":
            self._add_texts(more.pop(0), matching)

    def _add_texts(self, texts: bytes, count: int) -> None:
        if b"\0" in texts:
            raise NeedsCare
        try:
            lines = texts.decode("utf-8")
        except UnicodeDecodeError:
            raise NeedsCare from None
        if is_time_type(self.column.declared):
            self._stored.keep_forms(f"{lines}\n", count)

    def add_other(self) -> None:
        """Count a long cell of another class, at which nobody has looked."""
        self._present += 1

    def add_long(self, opened: sqlite3.Blob | WholeCell) -> None:
        """Look at one cell of the column's class, in pieces.

        Raises:
            NeedsCare: A text holds NUL, or is no UTF-8.
        """
        stored = self._stored
        self._matching += 1
        self._present += 1
        stored.text_bytes_max = max(stored.text_bytes_max, len(opened))
        stored.is_in_pieces = True
        if self.kind != "text":
            return
        if is_time_type(self.column.declared):
            stored.forms = set()
        decoder = getincrementaldecoder("utf-8")()
        try:
            for piece in pieces_of(opened):
                if b"\0" in piece:
                    raise NeedsCare
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise NeedsCare from None

    def join(self, later: SurveyedColumn) -> None:
        """Add what was seen of the rows behind these."""
        self._matching += later._matching
        self._present += later._present
        mine, other = self._stored, later._stored
        mine.widen(other.integer_min, other.integer_max, other.integer_positive_min)
        mine.widen_reals(other.real_min, other.real_max, other.has_zero_real)
        mine.text_bytes_max = max(mine.text_bytes_max, other.text_bytes_max)
        mine.keep_only(other.forms)
        mine.is_in_pieces |= other.is_in_pieces

    @property
    def needs_care(self) -> bool:
        """Whether the answers prove too little for a plan."""
        if self._matching != self._present:
            return True
        return self.kind == "real" and is_exact_type(self.column.declared)

    def profile(self, rows: int) -> ColumnProfile:
        """Return what the answers prove, unless it needs care."""
        self._stored.counts["null"] = rows - self._present
        self._stored.counts[self.kind] = self._matching
        return self._stored
