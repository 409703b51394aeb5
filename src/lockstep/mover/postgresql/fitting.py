"""Values of PostgreSQL that a column of SQLite could not give back.

Owns the plan's ``on_dirt`` on the way to SQLite: ``fail``, ``quarantine``,
``coerce``. It works on lines where they are read, so that the copy and the
comparison leave out and change the same rows.

Invariant: every line of a block is in its text or in ``rejected``, exactly once,
and each cell of its text decodes to a value that says all that the cell says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lockstep.mover.blocks.coercion import coerced_field
from lockstep.mover.blocks.encoding import LineBlock, LongRowBlock, PieceBlock
from lockstep.mover.blocks.refusals import Refusals
from lockstep.mover.blocks.rejected import Rejected
from lockstep.mover.codecs import Codec, codec_of
from lockstep.mover.codecs.lines import cells_of, unescape
from lockstep.mover.codecs.texts import NumberedText
from lockstep.mover.model.plan import ColumnPlan, TablePlan

_KEEPS_ALL = {
    "integer": ("smallint", "integer", "bigint", "oid"),
    "boolean": ("boolean",),
    "real": ("double precision", "real"),
    "number": ("double precision",),
    "whole_number": ("double precision",),
    "bytes": ("bytea",),
    "text_bytes": ("bytea",),
    "mixed_bytes": ("bytea",),
    "uuid7": ("uuid",),
    "uuid7_by": ("uuid",),
    "uuid_bytes": ("uuid",),
    "uuid_hex": ("uuid",),
    "zoned": ("timestamp with time zone",),
    "moment": (
        *("timestamp without time zone", "timestamp with time zone"),
        "time without time zone",
    ),
}
"""Codecs under which a type's every value comes back, so that none is tried."""

_OF_A_DOUBLE = re.compile(r"-?\d{1,8}(?:\.\d{1,7})?|-?\d{1,15}", re.ASCII)
"""A double keeps fifteen digits, wherever the point stands."""

_SURELY = {
    "utc": re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?\+00", re.ASCII),
    **dict.fromkeys(("numeric", "whole_numeric"), _OF_A_DOUBLE),
}
"""Texts that fit, so that most need no conversion to say so."""

_ANY_TEXT = frozenset({"text", "mixed_text"})


class Fitting:
    """What a table's lines have to pass.

    Args:
        plan: To SQLite.
        types: PostgreSQL's type of each column, without modifiers.
        is_compared: Whether the lines are only compared: a cell that does not fit is
            a difference there, and no reason to stop.
    """

    def __init__(
        self, plan: TablePlan, types: list[str], *, is_compared: bool = False
    ) -> None:
        self._plan = plan
        self._is_compared = is_compared
        self._codecs: list[Codec] = [codec_of(c.codec) for c in plan.columns]
        self._tried = [
            place
            for place, (column, kind) in enumerate(
                zip(plan.columns, types, strict=True)
            )
            if not keeps_all(column, kind)
        ]
        self._surely = [_SURELY.get(column.codec) for column in plan.columns]
        self._refusals = Refusals(plan, self._codecs)

    @property
    def passes_all(self) -> bool:
        """Whether whatever the types hold fits, so that nothing need be tried."""
        return not self._tried

    def blocks(self, blocks: Iterable[LineBlock]) -> Iterator[LineBlock]:
        """Yield the blocks with nothing in them that does not fit.

        Raises:
            Unmappable: A value does not fit and the plan says ``fail``.
        """
        is_left_out = False
        for block in blocks:
            if isinstance(block, PieceBlock):
                if not is_left_out:
                    yield block
                elif not block.is_open:
                    yield LineBlock(block.position, b"", 0, 0)
                continue
            if self._tried and not self._is_fitting(block):
                self._edit(block)
            is_left_out = not block.count
            yield block

    def _is_fitting(self, block: LineBlock) -> bool:
        cells, across = cells_of(block.text), len(self._codecs)
        for place in self._tried:
            fields, surely = set(cells[place::across]), self._surely[place]
            if surely is not None:
                fields = {field for field in fields if not surely.fullmatch(field)}
            if any(self._misfit(place, field) for field in fields):
                return False
        return True

    def _misfit(self, place: int, field: str) -> str:
        surely = self._surely[place]
        text = unescape(field)
        if text is None:
            is_refused = self._plan.columns[place].refuses_null
            return "its statement says NOT NULL" if is_refused else ""
        if text == "-0" and self._plan.columns[place].refuses_negative_zero:
            return "its column stores zero without a sign"
        if surely is not None and surely.fullmatch(text):
            return ""
        codec = self._codecs[place]
        try:
            codec.respelled(text)
        except (ValueError, TypeError, ArithmeticError, IndexError) as error:
            # Such a codec says itself what a column makes of a text.
            is_told = isinstance(codec, NumberedText) or _is_read(codec, text)
            return str(error) if is_told else self._unread(place)
        return ""

    def _unread(self, place: int) -> str:
        return f"it does not read as {self._plan.columns[place].codec}"

    def _edit(self, block: LineBlock) -> None:
        kept: list[str] = []
        for line in block.text.split("\n")[:-1]:
            fields = line.split("\t")
            refused = self._fit(fields)
            if refused is None:
                kept.append("\t".join(fields))
                continue
            block.rejected.append(self._rejected(block, line, *refused))
        block.text = "".join(f"{line}\n" for line in kept)
        block.count = len(kept)

    def _fit(self, fields: list[str]) -> tuple[int, str] | None:
        """Change a row's cells so that they fit; return which does not, and why."""
        for place in self._tried:
            column = self._plan.columns[place]
            reason = self._misfit(place, fields[place])
            if reason and column.on_dirt == "coerce":
                fields[place] = coerced_field(
                    fields[place], column, self._codecs[place]
                )
                reason = self._misfit(place, fields[place])
            is_named_later = self._is_compared and column.on_dirt == "fail"
            if reason and not is_named_later:
                return place, reason
        return None

    def _rejected(
        self, block: LineBlock, line: str, place: int, reason: str
    ) -> Rejected:
        """Return what is noted of a row; raise where the plan says ``fail``."""
        fields = line.split("\t")
        if isinstance(block, LongRowBlock):
            self._refusals.with_sizes(fields, block.sizes)
        found = self._refusals.rejected(fields, reason, [place])
        codec = self._plan.columns[place].codec
        found.raise_if(self._refusals.policy([place]), f"cannot be kept as {codec}")
        return found


def _is_read(codec: Codec, text: str) -> bool:
    """Whether SQLite has a value for a text, though not one that says all of it."""
    try:
        codec.decode(text)
    except (ValueError, TypeError, ArithmeticError, IndexError):
        return False
    return True


def keeps_all(column: ColumnPlan, kind: str) -> bool:
    """Whether every value of a type fits a column, so that none need be tried."""
    word = column.codec.partition(":")[0]
    if column.refuses_null or column.refuses_negative_zero:
        return False
    return word in _ANY_TEXT or kind in _KEEPS_ALL.get(word, ())
