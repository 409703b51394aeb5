"""Blocks into what SQLite binds, whole columns at a time.

Owns the way back of ``encoding.py``: conversion by each column's codec, and the
storage class of odd cells, which the line alone does not tell.

Invariant: each row of a block becomes ``width`` values, in the order of its lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lockstep.mover.blocks.digests import row_digest
from lockstep.mover.blocks.encoding import ColumnBlock, LineBlock, OddRow
from lockstep.mover.codecs import Codec, codec_of
from lockstep.mover.codecs.blobs import Bytes, TextBytes, class_from_bytes
from lockstep.mover.codecs.keys import UuidBytes
from lockstep.mover.codecs.lines import cells_of, unescape
from lockstep.mover.codecs.stored import Stored
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.model.values import RawText, Value


class TableDecoder:
    """Makes rows of one table's lines.

    Args:
        plan: The table's plan, whose target is SQLite.

    Attributes:
        names: The columns that are filled; SQLite computes the others.
        marks: What stands for the values of each in VALUES.
        width: How many values a row has.
        places: Where among them those of each column begin.
        blobs: Places of a row's values that are bytes, or NULL.
    """

    def __init__(self, plan: TablePlan) -> None:
        self._codecs: list[Codec] = [codec_of(c.codec) for c in plan.columns]
        self._kept = [p for p, c in enumerate(plan.columns) if not c.generated]
        self.names = [plan.columns[place].target for place in self._kept]
        self.marks = [_mark(self._codecs[place]) for place in self._kept]
        self.width = sum(mark.count("?") for mark in self.marks)
        self.places: list[int] = []
        self.blobs: list[int] = []
        at = 0
        for place, mark in zip(self._kept, self.marks, strict=True):
            if isinstance(self._codecs[place], Bytes | UuidBytes):
                self.blobs.append(at)
            self.places.append(at)
            at += mark.count("?")

    def values(self, block: LineBlock) -> list[Any]:
        """Return the values of all rows of a block, one row behind the other."""
        if isinstance(block, ColumnBlock):
            columns = block.columns
        else:
            columns = self._columns(block)
        bound: list[Sequence[Any]] = []
        for mark, column in zip(self.marks, columns, strict=True):
            bound += [column] if mark == _PLAIN else _by_class(column)
        values: list[Any] = [None] * (block.count * self.width)
        for place, column in enumerate(bound):
            values[place :: self.width] = column
        return values

    def _columns(self, block: LineBlock) -> list[list[Value]]:
        lines = block.text
        cells, across = cells_of(lines), len(self._codecs)
        assert len(cells) == block.count * across, "a cell for each column of a line"
        columns = [
            self._codecs[place].values(cells[place::across]) for place in self._kept
        ]
        if block.odd:
            self._restore(lines.split("\n")[:-1], columns, block)
        return columns

    def _restore(
        self, lines: list[str], columns: list[list[Value]], block: LineBlock
    ) -> None:
        """Give odd cells the storage class that they had in SQLite."""
        odd: dict[bytes, list[OddRow]] = {}
        for noted in block.odd:
            odd.setdefault(noted.row, []).append(noted)
        places = {name: at for at, name in enumerate(self.names)}
        for row, line in enumerate(lines):
            waiting = odd.get(row_digest(line, self._codecs))
            if not waiting:
                continue
            for column, storage in waiting.pop(0).cells:
                at = places.get(column)
                if at is not None:
                    field = line.split("\t")[self._kept[at]]
                    columns[at][row] = _as_class(columns[at][row], storage, field)


_PLAIN = "?"
_BY_CLASS = "iif(?, CAST(? AS TEXT), ?)"
"""The driver binds bytes as a blob; text that is no UTF-8 is made one in SQLite."""


def _mark(codec: Codec) -> str:
    if isinstance(codec, Stored):
        return _BY_CLASS if codec.may_be_raw else _PLAIN
    return _BY_CLASS if isinstance(codec, TextBytes) else _PLAIN


def _by_class(column: Sequence[Value]) -> list[list[Any]]:
    raw = [type(value) is RawText for value in column]
    plain = [bytes(v) if type(v) is RawText else v for v in column]
    return [raw, plain, plain]


def _as_class(value: Value, storage: str, field: str) -> Value:
    """Return the value of an odd cell from its line's field."""
    text = unescape(field) or ""
    if text.startswith("\\x"):
        return class_from_bytes(bytes.fromhex(text[2:]), storage)
    if storage == "text":
        return text
    if storage == "real":
        return float(text)
    return int(text) if storage == "integer" else value
