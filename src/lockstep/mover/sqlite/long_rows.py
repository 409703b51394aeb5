"""Rows of SQLite with long cells as lines that are never held as a whole.

Owns the reading of such a row: its short cells are packed by SQLite as those of all
others (``packed.py``), its long ones are opened where they lie and read in pieces.
Where SQLite opens none (``Table.opens_cells``) each is read once, as a whole.

    short cells  SELECT printf(…)  ─┐
    long cells   blobopen, read    ─┴─►  pieces of one line, in the plan's order

Invariant: the pieces of a row, joined, are the line that ``TableEncoder`` makes of it,
or that line with stand-ins where the other side of a comparison has them, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from typing import Self, cast

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.blocks.long_values import LONG_BYTES, PIECE_BYTES, stand_in_of
from lockstep.mover.codecs.lines import NULL
from lockstep.mover.model.sqlite import Table
from lockstep.mover.sqlite.row_order import Key, RowOrder


@dataclass(frozen=True)
class LongCell:
    """A column that holds long cells.

    Attributes:
        name: In SQLite.
        is_blob: Whether its cells are blobs; texts in UTF-8 otherwise.
        has_stand_ins: Whether a long one is compared by its stand-in.
    """

    name: str
    is_blob: bool
    has_stand_ins: bool


@dataclass(frozen=True)
class LongRows:
    """How the rows with long cells of one table become lines.

    Attributes:
        table: Whose rows.
        order: What tells them apart.
        keys: Of the rows that have a long cell.
        cells: Of the plan's columns: a long one, or the expression that packs it.
        lines_of: Makes lines of packed rows, and what they have of a piece of text.
        in_pieces: A line may come in several blocks; it comes in one otherwise.
    """

    table: Table
    order: RowOrder
    keys: frozenset[Key]
    cells: Sequence[LongCell | str]
    lines_of: Callable[[bytes], bytes]
    in_pieces: bool

    def blocks(self, connection: sqlite3.Connection, key: Key) -> Generator[LineBlock]:
        """Yield a row's line: a block, or several of which only the last ends it.

        Their position is the row's rowid; None in a table without.

        Raises:
            sqlite3.Error: A cell cannot be read.
        """
        position = cast("int", key[0]) if self.table.rowid_name else None
        parts = self._parts(connection, key)
        yield from line_blocks(parts, position, in_pieces=self.in_pieces)

    def _parts(self, connection: sqlite3.Connection, key: Key) -> Generator[bytes]:
        # As bytes, whatever the connection makes of texts now.
        terms = [
            f"CAST({cell} AS BLOB)"
            if isinstance(cell, str)
            else f"typeof({quote(cell.name)}) = 'null'"
            for cell in self.cells
        ]
        values = connection.execute(
            f"SELECT {', '.join(terms)} FROM {quote(self.table.name)} "
            f"WHERE {self.order.one}",
            key,
        ).fetchone()
        for place, (cell, value) in enumerate(zip(self.cells, values, strict=True)):
            if place:
                yield b"\t"
            if isinstance(cell, str):
                # A cell alone is packed as a row of one.
                yield self.lines_of(value).removesuffix(b"\n")
            elif value:
                yield NULL.encode()
            else:
                yield from self._long(connection, cell, key)
        yield b"\n"

    def _long(
        self, connection: sqlite3.Connection, cell: LongCell, key: Key
    ) -> Iterator[bytes]:
        with opened_cell(connection, self.table, self.order, cell.name, key) as opened:
            pieces = pieces_of(opened)
            if cell.has_stand_ins and len(opened) > LONG_BYTES:
                yield stand_in_of(pieces).encode()
            elif cell.is_blob:
                yield b"\\\\x"
                yield from (piece.hex().encode() for piece in pieces)
            else:
                yield from map(self.lines_of, pieces)


def line_blocks(
    parts: Generator[bytes], position: int | None, *, in_pieces: bool
) -> Generator[LineBlock]:
    """Yield the blocks of one line that comes in parts.

    Args:
        parts: Of the line with its newline; closed when all are read, or nobody is.
        position: Of the row.
        in_pieces: The line may come in several blocks; it comes in one otherwise.
    """
    waiting: list[bytes] = []
    size = 0
    with closing(parts):
        for part in parts:
            waiting.append(part)
            size += len(part)
            if in_pieces and size >= PIECE_BYTES:
                yield LineBlock(None, b"".join(waiting), 0, 0, is_open=True)
                waiting, size = [], 0
    yield LineBlock(position, b"".join(waiting), 1, 1)


class WholeCell:
    """A cell that SQLite does not open: its bytes, read as a whole."""

    def __init__(self, data: bytes) -> None:
        self._data = BytesIO(data)  # which shares them
        self._size = len(data)

    def __len__(self) -> int:
        return self._size

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end."""
        return self._data.read(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()


def opened_cell(
    connection: sqlite3.Connection, table: Table, order: RowOrder, name: str, key: Key
) -> sqlite3.Blob | WholeCell:
    """Return a text or blob to be read in pieces.

    Args:
        connection: Reads it.
        table: Whose.
        order: The table's.
        name: Of the column.
        key: Of the row.
    """
    if table.opens_cells:
        (rowid,) = key
        assert isinstance(rowid, int), "a rowid is the key where cells are opened"
        return connection.blobopen(table.name, name, rowid, readonly=True)
    ((data,),) = connection.execute(
        f"SELECT CAST({quote(name)} AS BLOB) FROM {quote(table.name)} "
        f"WHERE {order.one}",
        key,
    ).fetchall()
    return WholeCell(data)


def pieces_of(opened: sqlite3.Blob | WholeCell) -> Iterator[bytes]:
    """Return the bytes of an opened cell, some at a time."""
    return iter(lambda: opened.read(PIECE_BYTES), b"")
