"""Write the rows of a block into a SQLite table.

Owns the INSERT: many rows in one statement, because the driver's work for a
statement costs more than SQLite's for a row, and what happens to the rows that
SQLite refuses.

Invariant: every row of a block is in the table or in ``rejected``, exactly once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lockstep.errors import Unmappable
from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.decoding import TableDecoder
from lockstep.mover.encoding import LineBlock, LongRowBlock, PieceBlock, Rejected
from lockstep.mover.lines import unescape
from lockstep.mover.plan.model import TablePlan
from lockstep.mover.values import shown

VALUES_AT_ONCE = 1_600
"""Of one statement: more make it longer to prepare, and no row cheaper."""

GROUPS_SMALLER = 4
"""By how much for what is left; each size is a statement that stays prepared."""


class RowWriter:
    """Inserts one table's blocks.

    Args:
        table: The table's plan.
        on_dirt: What is done with a row that SQLite refuses: ``fail``, or anything
            else to note it.
    """

    def __init__(self, table: TablePlan, on_dirt: str = "fail") -> None:
        self._plan = table
        self._on_dirt = on_dirt
        self._decoder = TableDecoder(table)
        self._rowid: int | None = None
        self._opened: sqlite3.Blob | None = None
        names = ", ".join(map(quote, self._decoder.names))
        self._row = f"({', '.join(self._decoder.marks)})"
        self._head = f"INSERT INTO {quote(table.target)} ({names}) VALUES "
        self._one = self._head + self._row
        if not names:
            self._one = f"INSERT INTO {quote(table.target)} DEFAULT VALUES"

    def write(self, connection: Any, block: LineBlock) -> None:
        """Insert a block's rows, or write a piece of the last one.

        Those that SQLite refuses go by the plan.

        Raises:
            Unmappable: SQLite refuses a row, and the plan says ``fail``.
        """
        if isinstance(block, PieceBlock):
            self._write_piece(connection, block)
            return
        values = self._decoder.values(block)
        if isinstance(block, LongRowBlock) and block.count:
            self._insert_long(connection, block, values)
            return
        connection.execute("SAVEPOINT block")
        try:
            self._insert(connection, values, block.count)
        except (sqlite3.IntegrityError, sqlite3.DataError):
            # Which row it was is not said, and those before it are in.
            connection.execute("ROLLBACK TO block")
            for place, row in enumerate(self._rows(values, 0, block.count)):
                try:
                    connection.execute(self._one, row)
                except (sqlite3.IntegrityError, sqlite3.DataError) as error:
                    self._refuse(block, place, str(error), error)
        connection.execute("RELEASE block")

    def _insert(self, connection: Any, values: list[Any], count: int) -> None:
        done, width = 0, self._decoder.width
        # A server's connection groups rows by itself: it counts bytes, too.
        if isinstance(connection, sqlite3.Connection) and width:
            limit = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
            together = max(1, min(limit, VALUES_AT_ONCE) // width)
            for place in self._decoder.blobs:
                # The driver looks for an adapter of bytes, which takes it longer.
                values[place::width] = [
                    bytearray(value) if type(value) is bytes else value
                    for value in values[place::width]
                ]
            # The rest goes in smaller groups: row by row it would cost twice as much.
            while together > 1:
                many = self._head + ", ".join([self._row] * together)
                while done + together <= count:
                    start = done * width
                    connection.execute(many, values[start : start + together * width])
                    done += together
                together //= GROUPS_SMALLER
        connection.executemany(self._one, self._rows(values, done, count))

    def _insert_long(
        self, connection: Any, block: LongRowBlock, values: list[Any]
    ) -> None:
        """Insert a row with room for its long cells, whose pieces come next."""
        decoder = self._decoder
        marks: list[str] = []
        at = 0
        for name, usual in zip(decoder.names, decoder.marks, strict=True):
            if name in block.sizes:
                values[at] = block.sizes[name]
                is_blob = at in decoder.blobs
                marks.append("zeroblob(?)" if is_blob else "CAST(zeroblob(?) AS TEXT)")
            else:
                marks.append(usual)
            at += usual.count("?")
        self._rowid = None
        try:
            cursor = connection.execute(f"{self._head}({', '.join(marks)})", values)
        except (sqlite3.IntegrityError, sqlite3.DataError) as error:
            self._refuse(block, 0, str(error), error)
        else:
            self._rowid = cursor.lastrowid

    def _write_piece(self, connection: Any, block: PieceBlock) -> None:
        if self._rowid is None:
            return  # the row was refused
        if block.at == 0:
            # Open until its last piece: what it is made of is found by going along it.
            self.close()
            self._opened = connection.blobopen(
                self._plan.target, block.column, self._rowid
            )
        assert self._opened is not None, "the first piece of a cell comes first"
        self._opened.write(block.data)
        if not block.is_open:
            self.close()

    def close(self) -> None:
        """Let go of the cell that is being written."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _rows(self, values: list[Any], first: int, end: int) -> Iterator[list[Any]]:
        width = self._decoder.width
        for row in range(first, end):
            yield values[row * width : (row + 1) * width]

    def _refuse(
        self, block: LineBlock, place: int, reason: str, error: Exception
    ) -> None:
        line = block.line(place)
        fields = line.split("\t")
        names = [column.target for column in self._plan.columns]
        keys = [names.index(name) for name in self._plan.primary_key if name in names]
        key = ", ".join(shown(unescape(fields[at])) for at in keys or [0])
        row = shown(line.replace("\t", " | "))
        rejected = Rejected(self._plan.source, key, "", row, reason)
        if self._on_dirt == "fail":
            raise Unmappable(
                f"SQLite refuses the row {key} of {rejected.table}: {reason}",
                detail=asdict(rejected),
            ) from error
        block.rejected.append(rejected)
        block.count -= 1
