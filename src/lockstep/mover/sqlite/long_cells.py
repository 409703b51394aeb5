"""The long cells of a row on their way into SQLite, piece by piece.

Owns the two ways by which pieces become a cell. Where SQLite opens a cell by its
rowid the row comes first, with room for them; where it does not, they are collected,
and the row comes behind the last one.

    opened      INSERT … zeroblob(n)   ──►  blobopen, write, write …
    collected   piece + piece + …      ──►  INSERT … CAST(? AS TEXT)

Invariant: a row is in the table as soon as its last piece was written, as a whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from lockstep.mover.blocks.encoding import PieceBlock


class OpenedCells:
    """Cells of a row that is there, and has room for them.

    Args:
        connection: Which writes.
        table: Its name.
        rowid: Of the row.
    """

    def __init__(self, connection: sqlite3.Connection, table: str, rowid: int) -> None:
        self._connection = connection
        self._table = table
        self._rowid = rowid
        self._opened: sqlite3.Blob | None = None

    def write(self, block: PieceBlock) -> None:
        """Write a piece behind those before it."""
        if block.at == 0:
            # Open until its last piece: what it is made of is found by going along it.
            self.close()
            self._opened = self._connection.blobopen(
                self._table, block.column, self._rowid
            )
        assert self._opened is not None, "the first piece of a cell comes first"
        self._opened.write(block.data)

    def finish(self) -> None:
        """Let go of the last cell: the row is complete."""
        self.close()

    def close(self) -> None:
        """Let go of the cell that is being written."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None


class CollectedCells:
    """Cells of a row that waits for them: their bytes lie in memory once.

    Args:
        names: The columns that are kept; SQLite computes others.
        insert: Takes the cells and inserts the row.
    """

    def __init__(
        self, names: Iterable[str], insert: Callable[[dict[str, bytearray]], None]
    ) -> None:
        self._insert = insert
        self._cells = {name: bytearray() for name in names}

    def write(self, block: PieceBlock) -> None:
        """Keep a piece behind those before it."""
        if block.column in self._cells:
            self._cells[block.column] += block.data

    def finish(self) -> None:
        """Insert the row."""
        self._insert(self._cells)
        self.close()

    def close(self) -> None:
        """Let go of the cells."""
        self._cells.clear()
