"""Rows of SQLite with long cells as lines that are never held as a whole.

Owns the reading of such a row: its short cells are packed by SQLite as those of all
others (``packed.py``), its long ones are opened where they lie and read in pieces.

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

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.encoding import LineBlock
from lockstep.mover.lines import NULL
from lockstep.mover.long_values import LONG_BYTES, PIECE_BYTES, stand_in_of
from lockstep.mover.sqlite.schema import Table


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
        table: Has rowids, and no computed columns.
        rowids: Of the rows that have a long cell.
        cells: Of the plan's columns: a long one, or the expression that packs it.
        lines_of: Makes lines of packed rows, and what they have of a piece of text.
        in_pieces: A line may come in several blocks; it comes in one otherwise.
    """

    table: Table
    rowids: frozenset[int]
    cells: Sequence[LongCell | str]
    lines_of: Callable[[bytes], bytes]
    in_pieces: bool

    def blocks(
        self, connection: sqlite3.Connection, rowid: int
    ) -> Generator[LineBlock]:
        """Yield a row's line: a block, or several of which only the last ends it.

        Raises:
            sqlite3.Error: A cell cannot be read.
        """
        waiting: list[bytes] = []
        size = 0
        with closing(self._parts(connection, rowid)) as parts:
            for part in parts:
                waiting.append(part)
                size += len(part)
                if self.in_pieces and size >= PIECE_BYTES:
                    yield LineBlock(None, b"".join(waiting), 0, 0, is_open=True)
                    waiting, size = [], 0
        yield LineBlock(rowid, b"".join(waiting), 1, 1)

    def _parts(self, connection: sqlite3.Connection, rowid: int) -> Generator[bytes]:
        terms = [
            cell if isinstance(cell, str) else f"typeof({quote(cell.name)}) = 'null'"
            for cell in self.cells
        ]
        values = connection.execute(
            f"SELECT {', '.join(terms)} FROM {quote(self.table.name)} "
            f"WHERE {quote(self.table.rowid_name or '')} = ?",
            (rowid,),
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
                yield from self._long(connection, cell, rowid)
        yield b"\n"

    def _long(
        self, connection: sqlite3.Connection, cell: LongCell, rowid: int
    ) -> Iterator[bytes]:
        with connection.blobopen(
            self.table.name, cell.name, rowid, readonly=True
        ) as opened:
            pieces = pieces_of(opened)
            if cell.has_stand_ins and len(opened) > LONG_BYTES:
                yield stand_in_of(pieces).encode()
            elif cell.is_blob:
                yield b"\\\\x"
                yield from (piece.hex().encode() for piece in pieces)
            else:
                yield from map(self.lines_of, pieces)


def pieces_of(opened: sqlite3.Blob) -> Iterator[bytes]:
    """Return the bytes of an opened cell, some at a time."""
    return iter(lambda: opened.read(PIECE_BYTES), b"")
