"""Write the rows of a block into a SQLite table.

Owns the INSERT: many rows in one statement, because the driver's work for a
statement costs more than SQLite's for a row, and what happens to the rows that
SQLite refuses.

Invariant: every row of a block is in the table or in ``rejected``, exactly once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from lockstep.errors import Unmappable
from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.decoding import TableDecoder
from lockstep.mover.blocks.encoding import LineBlock, LongRowBlock, PieceBlock
from lockstep.mover.blocks.refusals import Refusals
from lockstep.mover.codecs.lines import NULL
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.sqlite.long_cells import CollectedCells, OpenedCells

VALUES_AT_ONCE = 1_600
"""Of one statement: more make it longer to prepare, and no row cheaper."""

GROUPS_SMALLER = 4
"""By how much for what is left; each size is a statement that stays prepared."""


class RowWriter:
    """Inserts one table's blocks.

    Args:
        table: The table's plan, which says what is done with a row that SQLite
            refuses.
        openable: The columns whose cells SQLite opens.
        encoding: Of the file's texts, by SQLite's name.
    """

    def __init__(
        self,
        table: TablePlan,
        openable: frozenset[str] = frozenset(),
        encoding: str = "UTF-8",
    ) -> None:
        self._plan = table
        self._refusals = Refusals(table)
        self._openable = openable
        self._encoding = encoding
        self._decoder = TableDecoder(table)
        self._cells: OpenedCells | CollectedCells | None = None
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
            self._write_piece(block)
            return
        values = self._decoder.values(block)
        if isinstance(block, LongRowBlock) and block.count:
            self._insert_long(connection, block, values)
            return
        connection.execute("SAVEPOINT block")
        try:
            self._insert(connection, values, block.count)
        except sqlite3.Error as error:
            if not is_of_a_row(error, connection, self._one):
                raise
            # Which row it was is not said, and those before it are in.
            connection.execute("ROLLBACK TO block")
            self._insert_one_by_one(connection, block, values)
        connection.execute("RELEASE block")

    def _insert_one_by_one(
        self, connection: Any, block: LineBlock, values: list[Any]
    ) -> None:
        line_of = block.lines()
        for place, row in enumerate(self._rows(values, 0, block.count)):
            try:
                connection.execute(self._one, row)
            except sqlite3.Error as error:
                if not is_of_a_row(error, connection, self._one):
                    raise
                self._refuse(block, line_of(place), error)

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
        """Insert a row whose long cells come next, or keep it until they are there."""
        self.close()
        decoder = self._decoder
        places = dict(zip(decoder.names, decoder.places, strict=True))
        texts = {
            name: places[name] not in decoder.blobs
            for name in decoder.names
            if name in block.sizes
        }
        if texts.keys() <= self._openable:
            self._cells = self._with_room(connection, block, values, texts)
            return
        line = block.data

        def insert(cells: dict[str, bytearray]) -> None:
            marks: dict[str, str] = {}
            for name in list(cells):
                values[places[name]], marks[name] = self._bound(
                    cells.pop(name), is_text=texts[name]
                )
            block.data = line  # who refuses the row shows it
            self._insert_one(connection, block, values, marks)
            block.forget()
            values.clear()

        self._cells = CollectedCells(texts, insert)

    def _bound(self, cell: bytearray, *, is_text: bool) -> tuple[Any, str]:
        """Return what is bound for a cell's bytes, and the mark for it."""
        if not is_text:
            return cell, "?"
        if self._encoding != "UTF-8":
            # Bytes that are no text are one in the file's own encoding, if in any.
            with suppress(UnicodeDecodeError):
                return cell.decode("utf-8"), "?"
        return cell, "CAST(? AS TEXT)"

    def _with_room(
        self,
        connection: Any,
        block: LongRowBlock,
        values: list[Any],
        texts: Mapping[str, bool],
    ) -> OpenedCells | None:
        """Insert a row with room for its long cells; None if it was refused."""
        decoder = self._decoder
        for name, place in zip(decoder.names, decoder.places, strict=True):
            if name in texts:
                values[place] = block.sizes[name]
        marks = {
            name: "CAST(zeroblob(?) AS TEXT)" if is_text else "zeroblob(?)"
            for name, is_text in texts.items()
        }
        rowid = self._insert_one(connection, block, values, marks)
        if rowid is None:
            return None
        return OpenedCells(connection, self._plan.target, rowid)

    def _insert_one(
        self,
        connection: Any,
        block: LongRowBlock,
        values: list[Any],
        marks: Mapping[str, str],
    ) -> int | None:
        """Insert a row, some columns by other marks; None if it was refused."""
        decoder = self._decoder
        listed: list[str] = []
        bound: list[Any] = []
        for name, mark, place in zip(
            decoder.names, decoder.marks, decoder.places, strict=True
        ):
            mark = marks.get(name, mark)
            listed.append(mark)
            bound += values[place : place + mark.count("?")]
        statement = f"{self._head}({', '.join(listed)})"
        try:
            cursor = connection.execute(statement, bound)
        except sqlite3.Error as error:
            if not is_of_a_row(error, connection, statement):
                raise
            self._refuse(block, block.lines()(0), error)
            return None
        return cursor.lastrowid

    def _write_piece(self, block: PieceBlock) -> None:
        if self._cells is None:
            return  # the row was refused
        self._cells.write(block)
        if not block.is_open:
            self._cells.finish()
            self._cells = None

    def close(self) -> None:
        """Let go of a row whose pieces have not all come."""
        if self._cells is not None:
            self._cells.close()
            self._cells = None

    def _rows(self, values: list[Any], first: int, end: int) -> Iterator[list[Any]]:
        width = self._decoder.width
        for row in range(first, end):
            yield values[row * width : (row + 1) * width]

    def _refuse(self, block: LineBlock, line: str, error: sqlite3.Error) -> None:
        """Note a row, or raise where the plan says ``fail``."""
        fields = line.split("\t")
        if isinstance(block, LongRowBlock):
            self._refusals.with_sizes(fields, block.sizes)
        places = self._places_of(error, fields)
        found = self._refusals.rejected(fields, str(error), places)
        try:
            found.raise_if(self._refusals.policy(places), "is refused by SQLite")
        except Unmappable as unmappable:
            raise unmappable from error
        block.rejected.append(found)
        block.count -= 1

    def _places_of(self, error: sqlite3.Error, fields: list[str]) -> list[int]:
        """Return which cells SQLite refuses, where it says so: NULL only."""
        code = getattr(error, "sqlite_errorcode", None)
        if code != sqlite3.SQLITE_CONSTRAINT_NOTNULL:
            return []
        return [
            place
            for place, column in enumerate(self._plan.columns)
            if column.not_null and fields[place] == NULL
        ]


def is_of_a_row(error: sqlite3.Error, connection: Any, statement: str) -> bool:
    """Whether SQLite refuses the row that it was given, and may take the next one.

    A function in a computed column has no code of its own for what it cannot take,
    such as a text that is no JSON; then the statement itself can be compiled.
    """
    if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None or code & 0xFF != sqlite3.SQLITE_ERROR:
        return False
    marks = statement.count("?")
    try:
        connection.execute(f"EXPLAIN {statement}", [None] * marks).fetchall()
    except sqlite3.Error:
        return False
    return True
