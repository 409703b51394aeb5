r"""Rows of PostgreSQL with long cells, which the server sends in pieces.

Owns the SELECT that makes of such a row several messages, and what is made of them:

    tag            piece    cells
    ,3000000       \N       1 \t \N \t \N        a row, and how long each long cell is
    1              \\x…     \N \t \N \t \N       a piece of its second one, and so on

Invariant: behind the block of a row with long cells come all their pieces, in order,
and then the next row.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lockstep.mover.blocks.encoding import LineBlock, LongRowBlock, PieceBlock
from lockstep.mover.blocks.long_values import LONG_BYTES, PIECE_BYTES
from lockstep.mover.codecs.lines import NULL

BLOCK_BYTES: Final = 256 * 1024
"""Of short rows that come together."""

_NO_PIECE: Final = NULL.encode()
_HEAD: Final = b"\\\\x"


@dataclass(frozen=True)
class LongColumn:
    """A column that has long cells.

    Attributes:
        place: Among the columns that are read.
        target: Its name in SQLite.
        is_bytes: Whether it is a ``bytea``; a text otherwise.
    """

    place: int
    target: str
    is_bytes: bool


def in_pieces(columns: Sequence[str], long: Sequence[LongColumn], rest: str) -> str:
    """Return the SELECT that sends rows, each with the pieces of its long cells.

    Args:
        columns: What is read of each row.
        long: Which of them have long cells.
        rest: FROM, and what stands behind it.
    """
    read = ", ".join(f"{term} AS c{place}" for place, term in enumerate(columns))
    # Computed once for a row, so that a compressed value is unpacked once.
    values = ", ".join(_value(some, f"l{n}") for n, some in enumerate(long))
    sizes = ", ".join(f"octet_length(q.l{n})" for n in range(len(long)))
    form = ",".join(["%s"] * len(long))
    at = dict.fromkeys(range(len(columns)), "p.piece IS NULL")
    for number, some in enumerate(long):
        at[some.place] += f" AND q.l{number} IS NULL"
    cells = ", ".join(f"CASE WHEN {at[n]} THEN q.c{n} END" for n in range(len(columns)))
    pieces = " ".join(
        f"UNION ALL SELECT '{n}', substring(q.l{n} FROM first + 1 FOR {PIECE_BYTES}) "
        f"FROM generate_series(0, octet_length(q.l{n}) - 1, {PIECE_BYTES}) first"
        for n in range(len(long))
    )
    return (
        f"SELECT p.tag, p.piece, {cells} FROM "
        f"(SELECT r.*, {values} FROM (SELECT {read} FROM (SELECT * {rest}) s) r "
        "OFFSET 0) q "
        f"CROSS JOIN LATERAL (SELECT format('{form}', {sizes}) AS tag, "
        f"NULL::bytea AS piece {pieces}) p"
    )


def _value(column: LongColumn, name: str) -> str:
    cell = f"r.c{column.place}"
    # What was appended to lies in memory as a whole, whatever it was stored as.
    value = f"{cell} || ''::bytea" if column.is_bytes else f"convert_to({cell}, 'UTF8')"
    return f"CASE WHEN octet_length({cell}) > {LONG_BYTES} THEN {value} END AS {name}"


def blocks_of(
    messages: Iterable[bytes], long: Sequence[LongColumn]
) -> Generator[LineBlock]:
    """Yield the blocks of what ``in_pieces`` selects, message by message."""
    lines: list[bytes] = []
    size = left = at = 0
    column = ""
    for message in messages:
        tag, piece, line = message.split(b"\t", 2)
        if piece != _NO_PIECE:
            data = unhexlify(piece.removeprefix(_HEAD))
            target = long[int(tag)].target
            at, column = (0 if target != column else at), target
            left -= len(data)
            yield PieceBlock(None, data, 0, 0, is_open=left > 0, column=column, at=at)
            at += len(data)
            continue
        sizes = {
            some.target: int(length)
            for some, length in zip(long, tag.split(b","), strict=True)
            if length
        }
        if lines and (sizes or size >= BLOCK_BYTES):
            yield LineBlock(None, b"".join(lines), len(lines), len(lines))
            lines, size = [], 0
        if sizes:
            left, column = sum(sizes.values()), ""
            yield LongRowBlock(None, line, 1, 1, is_open=True, sizes=sizes)
            continue
        lines.append(line)
        size += len(line)
    if lines:
        yield LineBlock(None, b"".join(lines), len(lines), len(lines))
