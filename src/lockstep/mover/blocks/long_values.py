"""Values too long to be held in memory: which those are, and what stands for one.

Owns the limit and the stand-in. A cell of more than ``LONG_BYTES`` is copied in
pieces of ``PIECE_BYTES``, so that a copy needs no memory for it; only SQLite, when it
makes room for such cells of a row, holds that room twice. Where two databases are
compared, both sides read the whole value where it lies and give its length and its
SHA-256 instead of it:

    SQLite      blobopen, piece by piece        ──►  314572800 bytes, sha256 9f86d0…
    PostgreSQL  octet_length(c), sha256(c)      ──►  314572800 bytes, sha256 9f86d0…

Invariant: for one column either both sides of a comparison give stand-ins or neither
does (``MoveSource.long_columns`` and ``MoveTarget.long_columns`` have it in common).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.codecs.lines import unescape
from lockstep.mover.model.plan import TablePlan

LONG_BYTES: Final = 64 * 1024
"""What a cell has at most that is read as a whole: a text in UTF-8, or a blob."""

PIECE_BYTES: Final = 32 * 1024
"""Of a longer one read at once."""

CODECS: Final = ("text", "bytes", "text_bytes", "mixed_text")
"""Under which the pieces of a cell say all: its bytes, and by its codec its class."""

_WRITTEN: Final = {"text": "text", "mixed_text": "text", "bytes": "bytes"}


def form_of(codec: str) -> str:
    """Return as what the bytes of a cell are compared: ``text``, ``bytes`` or nothing.

    Args:
        codec: The plan's word for the column.
    """
    if codec == "text_bytes" or codec.startswith("mixed_bytes:"):
        return "bytes"
    return _WRITTEN.get(codec, "")


@dataclass(frozen=True, slots=True)
class LongCells:
    """In which columns a long cell does not come as a whole, and how it comes.

    Attributes:
        columns: By the source's names.
        in_pieces: For a copy: in blocks of its own; by its stand-in otherwise.
    """

    columns: frozenset[str] = frozenset()
    in_pieces: bool = False

    @property
    def with_stand_ins(self) -> frozenset[str]:
        """The columns whose long cells have stand-ins."""
        return frozenset() if self.in_pieces else self.columns


WHOLE: Final = LongCells()
"""Every cell comes as a whole."""


def stand_in(length: int, sha256: str) -> str:
    """Return what is compared in place of a long value.

    Args:
        length: In bytes; more than ``LONG_BYTES``.
        sha256: Of those bytes, in hex.
    """
    return f"{length} bytes, sha256 {sha256}"


def stand_in_of(pieces: Iterable[bytes]) -> str:
    """Return what is compared in place of a value that comes in pieces."""
    digest, length = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        length += len(piece)
    return stand_in(length, digest.hexdigest())


def with_stand_ins(block: LineBlock, plan: TablePlan, long: LongCells) -> LineBlock:
    """Put stand-ins into lines that hold their values in full.

    Args:
        block: Of whole lines.
        plan: Whose lines they are.
        long: What has stand-ins.
    """
    columns = long.with_stand_ins
    # No value is longer than what a line has for it.
    if columns and len(block.data) > LONG_BYTES:
        places = [
            (place, form_of(column.codec) == "bytes")
            for place, column in enumerate(plan.columns)
            if column.source in columns
        ]
        lines = block.taken().split(b"\n")
        for number, line in enumerate(lines):
            if len(line) > LONG_BYTES:
                lines[number] = _shortened(line, places)
        block.data = b"\n".join(lines)
    return block


def _shortened(line: bytes, places: Sequence[tuple[int, bool]]) -> bytes:
    fields = line.split(b"\t")
    for place, is_bytes in places:
        text = unescape(fields[place].decode("utf-8"))
        if text is None:
            continue
        value = bytes.fromhex(text[2:]) if is_bytes else text.encode("utf-8")
        if len(value) > LONG_BYTES:
            fields[place] = stand_in_of([value]).encode()
    return b"\t".join(fields)
