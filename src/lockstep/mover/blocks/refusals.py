r"""Which row of a table it was that a codec or a database refused.

Owns how a refused row's line is told: by its key, by the cell that is why, and by a
mark under which a comparison finds it again. A line for a copy, one for a comparison,
one that came in pieces and one with stand-ins for its long cells have one mark.

    copy      1 \t 0.10 \t <600 KB>          ──┐
    in pieces 1 \t 0.1  \t <256 KB> <344 KB> ──┼──►  1 \t 0.1 \t 614400 bytes  ──►  mark
    compared  1 \t 0.1  \t 614400 bytes, sha256 9f… ──┘

Invariant: a mark depends on what is stored, never on what an engine computes of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from lockstep.mover.blocks.digests import line_digest, respelled_fields
from lockstep.mover.blocks.long_values import LONG_BYTES, form_of
from lockstep.mover.blocks.rejected import Rejected
from lockstep.mover.codecs import Codec, codec_of
from lockstep.mover.codecs.lines import NULL, unescape
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.model.values import Value, shown

_STAND_IN: Final = re.compile(r"(\d+ bytes), sha256 [0-9a-f]{64}", re.ASCII)
_HEX: Final = r"\\x"
"""What stands before the digits of bytes in a line."""

_HELD_BYTES_MAX: Final = 2 * LONG_BYTES + len(_HEX)
"""Of a cell in pieces: as long as its value may be a short one."""

_BYTES_OF_CHARACTER: Final = 4
NOTHING: Final = "NULL"


class Refusals:
    """Tells the refused rows of one table.

    Args:
        plan: The table's plan.
        codecs: Instead of the plan's words.
    """

    def __init__(self, plan: TablePlan, codecs: Sequence[Codec] | None = None) -> None:
        self._plan = plan
        self._codecs = list(codecs or [codec_of(c.codec) for c in plan.columns])
        targets = [column.target for column in plan.columns]
        key = [targets.index(name) for name in plan.primary_key if name in targets]
        self._key = key or [0]
        self._stored = [
            place
            for place, column in enumerate(plan.columns)
            if not (column.generated or column.computed)
        ]
        self._own = [self._codecs[place] for place in self._stored]

    def policy(self, places: Sequence[int] = ()) -> str:
        """Return what the plan says of cells that are refused together.

        A row is left out where one of them lets it be; where nobody knows which cells
        are why, where any of its columns does.
        """
        columns = [self._plan.columns[place] for place in places] or self._plan.columns
        is_lenient = any(column.on_dirt != "fail" for column in columns)
        return "quarantine" if is_lenient else "fail"

    def rejected(
        self, fields: Sequence[str], reason: str, places: Sequence[int] = ()
    ) -> Rejected:
        """Return what is noted of a row.

        Args:
            fields: The cells of its line.
            reason: Why it was refused.
            places: Of the cells that are why; one that is alone is shown, else the row.
        """
        if len(places) != 1:
            cells = (NOTHING if field == NULL else field for field in fields)
            column, value = "", shown(" | ".join(cells))
        else:
            (place,) = places
            column = self._plan.columns[place].source
            value = shown(self._value(place, fields[place]))
        key = self.key_of(fields)
        return Rejected(
            self._plan.source, key, column, value, reason, self.mark_of(fields)
        )

    def key_of(self, fields: Sequence[str]) -> str:
        """Return a row's key for a person; its first cell where it has none."""
        return ", ".join(shown(self._value(p, fields[p])) for p in self._key)

    def _value(self, place: int, field: str) -> Value:
        """Return a cell as SQLite has it, where that says all of it, else its text."""
        text = unescape(field)
        try:
            is_whole = text is not None and self._codecs[place].respelled(text)
            return self._codecs[place].decode(text or "") if is_whole else text
        except (ValueError, TypeError, ArithmeticError, IndexError):
            return text

    def mark_of(self, fields: Sequence[str]) -> bytes:
        """Return the mark of a row by the cells of its line."""
        brief = [self._brief(place, fields[place]) for place in self._stored]
        return line_digest("\t".join(respelled_fields(brief, self._own)))

    def _brief(self, place: int, field: str) -> str:
        """Return a cell, of a long one its length only."""
        form = form_of(self._plan.columns[place].codec)
        if not form:
            return field
        if len(field) > LONG_BYTES // _BYTES_OF_CHARACTER:
            is_bytes = form == "bytes"
            parts = _size(field.encode("utf-8"), is_bytes=is_bytes)
            size = _whole(parts, is_bytes=is_bytes)
            return _brief(size) if size > LONG_BYTES else field
        found = _STAND_IN.fullmatch(field)
        return found[1] if found else field

    def with_sizes(self, fields: list[str], sizes: Mapping[str, int]) -> list[str]:
        """Put the lengths of long cells into a line that has NULL for them.

        Args:
            fields: Changed in place.
            sizes: By the target's names.
        """
        for place, column in enumerate(self._plan.columns):
            if column.target in sizes:
                fields[place] = _brief(sizes[column.target])
        return fields


class LineInPieces:
    """A line that comes in pieces, of which its short cells are kept.

    Args:
        plan: Whose line it is.
    """

    def __init__(self, plan: TablePlan) -> None:
        self._forms = [form_of(column.codec) for column in plan.columns]
        self._fields: list[str] = []
        self._held = bytearray()
        self._size = 0
        self._is_long = False

    def add(self, piece: bytes) -> None:
        """Take the next piece; no escape is cut by its end."""
        first, *others = piece.removesuffix(b"\n").split(b"\t")
        self._grow(first)
        for cell in others:
            self._end()
            self._grow(cell)

    def _grow(self, part: bytes) -> None:
        form = self._forms[len(self._fields)]
        self._size += _size(part, is_bytes=form == "bytes")
        if not self._is_long:
            self._held += part
        if form and len(self._held) > _HELD_BYTES_MAX:
            self._is_long = True
            self._held.clear()

    def _end(self) -> None:
        if self._is_long:
            is_bytes = self._forms[len(self._fields)] == "bytes"
            self._fields.append(_brief(_whole(self._size, is_bytes=is_bytes)))
        else:
            self._fields.append(self._held.decode("utf-8"))
        self._held.clear()
        self._size, self._is_long = 0, False

    def fields(self) -> list[str]:
        """Return the cells of the whole line."""
        self._end()
        return self._fields


def _brief(size: int) -> str:
    return f"{size} bytes"


def _size(part: bytes, *, is_bytes: bool) -> int:
    """Return what a part of a cell adds to its size: digits, or bytes of a text."""
    if is_bytes:
        return len(part)
    return len(part) - part.count(b"\\") + part.count(b"\\\\")


def _whole(size: int, *, is_bytes: bool) -> int:
    """Return how many bytes the value has of whose cell all parts were counted."""
    return (size - len(_HEX)) // 2 if is_bytes else size
