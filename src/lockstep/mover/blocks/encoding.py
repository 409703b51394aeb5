"""Rows of SQLite into lines, whole columns at a time.

Owns what happens to a block on its way: conversion by each column's codec, the
rows whose values do not fit (fail, quarantine, coerce), and the odd cells whose
storage class the line alone would not tell.

Invariant: every row of a block is in the lines or in ``rejected``, exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lockstep.mover.blocks.coercion import coerced, takes_blank_as_null
from lockstep.mover.blocks.digests import line_digest
from lockstep.mover.blocks.rejected import Rejected, mark_of_values
from lockstep.mover.codecs import CellRefused, Codec, codec_of
from lockstep.mover.codecs.keys import Uuid7By
from lockstep.mover.codecs.lines import NULL, escape, join
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.model.values import Value, shown, storage_of

NOTED_BYTES: Final = 1_024
"""About what a row costs that is noted until its chunk is written down."""


STRANGE: Final = "\0"
"""Before a compared cell that fits no codec; no text of PostgreSQL has it. Behind it
stands the value, as a person reads it."""


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row with cells whose class the target's values do not tell.

    Attributes:
        row: Digest of the row's line.
        cells: ``(column of the SQLite side, storage class)``, in order.
    """

    row: bytes
    cells: tuple[tuple[str, str], ...]


@dataclass
class LineBlock:
    """Some rows as lines.

    Attributes:
        position: Where to go on after them.
        data: The lines in UTF-8, each with its newline.
        count: How many lines.
        read: How many rows were read for them.
        is_open: Whether more of the last row comes in the next block: of its line,
            which has no newline and is not counted before its end, or of its cells
            (``LongRowBlock``). Nobody stops behind such a block.
    """

    position: int | str | None
    data: bytes
    count: int
    read: int
    odd: list[OddRow] = field(default_factory=list[OddRow])
    rejected: list[Rejected] = field(default_factory=list[Rejected])
    is_open: bool = False

    @property
    def size(self) -> int:
        """What it adds to a chunk: its lines, and what is noted of its rows."""
        noted = len(self.odd) + len(self.rejected)
        return len(self.data) + noted * NOTED_BYTES

    def taken(self) -> bytes:
        """Return the lines, and forget them: they may be all that memory holds."""
        data, self.data = self.data, b""
        return data

    @property
    def text(self) -> str:
        """The lines, decoded for whoever takes them apart."""
        return self.data.decode("utf-8")

    @text.setter
    def text(self, lines: str) -> None:
        self.data = lines.encode("utf-8")

    def lines(self) -> Callable[[int], str]:
        """Return what gives the line of a row, without its newline."""
        return self.text.split("\n").__getitem__

    def forget(self) -> None:
        """Let go of the rows: they are written."""
        self.data = b""


@dataclass
class ColumnBlock(LineBlock):
    """Some rows as SQLite's values, for a copy that need not take lines apart.

    Attributes:
        data: The rows as they came; no lines.
        columns: The values of each column that is written, in order.
        codecs: Of all columns.
        is_kept: Which of them are written.
    """

    columns: Sequence[Sequence[Value]] = ()
    codecs: Sequence[Codec] = ()
    is_kept: Sequence[bool] = ()

    def lines(self) -> Callable[[int], str]:
        """Return what gives the line of a row; what SQLite computes is NULL in it."""
        return self._line

    def _line(self, place: int) -> str:
        given = iter(self.columns)
        return "\t".join(
            codec.fields([next(given)[place]])[0] if is_kept else NULL
            for codec, is_kept in zip(self.codecs, self.is_kept, strict=True)
        )

    def forget(self) -> None:
        """Let go of the rows: they are written."""
        super().forget()
        self.columns = ()


@dataclass
class LongRowBlock(LineBlock):
    """One row whose long cells come behind it, each in pieces.

    Attributes:
        data: Its line, which has NULL for them.
        sizes: How many bytes each has, by its column in SQLite.
    """

    sizes: dict[str, int] = field(default_factory=dict[str, int])


@dataclass
class PieceBlock(LineBlock):
    """A piece of a long cell of the last row.

    Attributes:
        data: Its bytes, of a text those of UTF-8; no line.
        column: Of SQLite.
        at: Where in the cell they begin.
    """

    column: str = ""
    at: int = 0


Blocks = Callable[[int | str | None], Iterator[LineBlock]]
"""Gives a table's blocks after a position."""


class TableEncoder:
    """Makes lines of one table's rows.

    Args:
        plan: The table's plan.
        key: Places of the key's columns, for messages; empty: the first column.
        is_target: Whether SQLite is the plan's target, and so has those names.
        codecs: In the order of the columns; None takes the plan's words.
        is_compared: Whether the lines are only compared: a cell that does not fit is
            a difference there (``STRANGE``), and no reason to stop.
    """

    def __init__(
        self,
        plan: TablePlan,
        key: Sequence[int] = (),
        *,
        is_target: bool = False,
        codecs: Sequence[Codec] | None = None,
        is_compared: bool = False,
    ) -> None:
        self._plan = plan
        self._is_compared = is_compared
        self._names = [c.target if is_target else c.source for c in plan.columns]
        self._codecs = list(codecs or [codec_of(c.codec) for c in plan.columns])
        self._key = tuple(key) or (0,)
        self._is_target = is_target
        sources = [column.source for column in plan.columns]
        self._directed = [
            (place, sources.index(codec.directing))
            for place, codec in enumerate(self._codecs)
            if isinstance(codec, Uuid7By)
        ]
        self._blank_is_null = [
            place
            for place, column in enumerate(plan.columns)
            if takes_blank_as_null(column) and not is_target
        ]
        self._may_be_odd = any(codec.may_be_odd for codec in self._codecs)

    def block(
        self, position: int | str | None, rows: Sequence[Sequence[Value]]
    ) -> LineBlock:
        """Return a block's lines.

        Raises:
            Unmappable: A value does not fit, and the plan says ``fail``.
        """
        rejected: list[Rejected] = []
        read = len(rows)
        kept: list[Sequence[Value]] = list(rows) if self._is_editing else rows  # type: ignore[assignment]
        is_edited = not self._is_editing
        while True:
            if not kept:
                return LineBlock(position, b"", 0, read, rejected=rejected)
            columns = self._columns(kept)
            try:
                fields = [
                    codec.fields(column)
                    for codec, column in zip(self._codecs, columns, strict=True)
                ]
            except CellRefused:
                if self._is_target or (self._is_compared and is_edited):
                    columns, fields = self._with_strangers(columns)
                    break
                kept = self._without_misfits(kept, rejected)
                is_edited = True
                continue
            break
        text = join(fields, len(kept))
        block = LineBlock(
            position, text.encode("utf-8"), len(kept), read, rejected=rejected
        )
        if self._may_be_odd:
            block.odd = self._odd(columns, text)
        return block

    def _with_strangers(
        self, columns: list[Sequence[Value]]
    ) -> tuple[list[Sequence[Value]], list[Sequence[str]]]:
        """Return columns and their fields where some cells fit no codec.

        Such a cell is a difference, whatever the other side has there; nothing of a
        target is left out.
        """
        known: list[Sequence[Value]] = []
        fields: list[Sequence[str]] = []
        for codec, column in zip(self._codecs, columns, strict=True):
            strange = {row for row, value in enumerate(column) if _misfit(codec, value)}
            fitting = [None if p in strange else v for p, v in enumerate(column)]
            made = list(codec.fields(fitting))
            for row in strange:
                made[row] = escape(STRANGE + shown(column[row]))
            known.append(fitting)
            fields.append(made)
        return known, fields

    @property
    def _is_editing(self) -> bool:
        return any(column.on_dirt != "fail" for column in self._plan.columns)

    def _columns(self, rows: Sequence[Sequence[Value]]) -> list[Sequence[Value]]:
        width = len(self._codecs)
        columns: list[Sequence[Any]] = []
        columns += zip(*rows, strict=True)
        for place, directing in self._directed:
            columns[place] = [
                None if value is None else (word, value)
                for word, value in zip(columns[directing], columns[place], strict=True)
            ]
        for place in self._blank_is_null:
            columns[place] = [
                None if isinstance(value, str) and not value.strip() else value
                for value in columns[place]
            ]
        return columns[:width]

    def _without_misfits(
        self, rows: Sequence[Sequence[Value]], rejected: list[Rejected]
    ) -> list[Sequence[Value]]:
        kept: list[Sequence[Value]] = []
        for row in rows:
            fitting = self._fitted(row, rejected)
            if fitting is not None:
                kept.append(fitting)
        return kept

    def _fitted(
        self, row: Sequence[Value], rejected: list[Rejected]
    ) -> Sequence[Value] | None:
        changed = list(row)
        for place, (column, codec) in enumerate(
            zip(self._plan.columns, self._codecs, strict=True)
        ):
            value = changed[place]
            if isinstance(codec, Uuid7By) and value is not None:
                pair: Any = (changed[dict(self._directed)[place]], value)
                reason = _misfit(codec, pair)
            else:
                reason = _misfit(codec, value)
            if reason and column.on_dirt == "coerce":
                value = changed[place] = coerced(value, column.codec)
                reason = _misfit(codec, value)
            if not reason or (self._is_compared and column.on_dirt == "fail"):
                continue
            found = Rejected(
                self._plan.source,
                self._key_of(row),
                column.source,
                shown(row[place]),
                reason,
                mark_of_values(row[: len(self._codecs)]),
            )
            found.raise_if(column.on_dirt, f"does not fit {column.type}")
            rejected.append(found)
            return None
        return changed

    def _key_of(self, row: Sequence[Value]) -> str:
        return ", ".join(shown(row[place]) for place in self._key if place < len(row))

    def _odd(self, columns: Sequence[Sequence[Value]], text: str) -> list[OddRow]:
        found: dict[int, list[tuple[str, str]]] = {}
        for name, codec, column in zip(self._names, self._codecs, columns, strict=True):
            for row in codec.odd_rows(column):
                found.setdefault(row, []).append((name, storage_of(column[row])))
        if not found:
            return []
        lines = text.split("\n")
        return [
            OddRow(line_digest(lines[row]), tuple(cells))
            for row, cells in found.items()
        ]


def _misfit(codec: Codec, value: Value) -> str:
    try:
        codec.fields([value])
    except CellRefused as refused:
        return refused.reason or "it cannot be converted"
    return ""
