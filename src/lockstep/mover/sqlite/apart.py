"""Rows with a long cell, set apart while a table is read, whatever its columns hold.

Owns finding them and reading their cells: the short ones at once, each long one where
it lies, in pieces. SQLite itself refuses to give a row with a long cell while its
limit is low; so of all other rows no length is asked.

    limit ──► SELECT … ORDER BY rowid ──► blocks of short rows
                └── too big ──► one row by itself ──► short cells, blobopen

Invariant: every row comes once, in the order of the rowids, in a block or apart.
"""

from __future__ import annotations

import sqlite3
from codecs import getincrementaldecoder
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.long_values import LONG_BYTES
from lockstep.mover.model.sqlite import Table
from lockstep.mover.model.values import Value
from lockstep.mover.sqlite.long_rows import pieces_of
from lockstep.mover.sqlite.rows import Block, block_rows, decoding, fetched
from lockstep.schema.affinity import INTEGER_MIN

CELLS_BYTES: Final = 4 * 1024 * 1024
"""What all cells of a row may have that comes in a block."""

CELL_BYTES_MIN: Final = 16 * 1024
SORTED_ROWS_MAX: Final = 16
"""Of rows that are found one by one: they may be as long as short rows are."""

_UTF8: Final = "UTF-8"


def reads_apart(connection: Any, table: Table) -> bool:
    """Whether the long cells of a table can be opened where they lie."""
    is_here = isinstance(connection, sqlite3.Connection)
    return is_here and table.opens_cells and table.kind != "virtual"


def read_apart(
    connection: sqlite3.Connection,
    table: Table,
    names: Sequence[str],
    *,
    after: int | None = None,
    is_clean: bool = False,
) -> Generator[Block | LongRow]:
    """Yield the rows of a table: blocks of them, and by itself each one that is long.

    Args:
        connection: In a read transaction.
        table: One for which ``reads_apart``.
        names: Of the columns that are read.
        after: The rowid behind which to begin; None begins at the first row.
        is_clean: Every text is known to be UTF-8, so the driver may decode.
    """
    rowid = quote(table.rowid_name or "")
    shown = ", ".join(map(quote, names)) or "NULL"
    select = f"SELECT {shown}, {rowid} FROM {quote(table.name)} WHERE {rowid} "
    order = f" ORDER BY {rowid}"
    limit, last = _limit(names), after
    with decoding(connection, is_clean):
        while True:
            sql = f"{select}{_behind(last)}{order}"
            try:
                for block in _blocks(connection, sql, block_rows(table), limit):
                    last = block[0]
                    yield block
            except sqlite3.DataError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_TOOBIG:
                    raise
            else:
                return
            # Which row it is was not said, and those before it were lost with it.
            rows = list(_until_long(connection, select, order, last, limit))
            if rows:
                last = cast("int", rows[-1][-1])
                yield last, rows
            ((last,),) = connection.execute(
                f"SELECT min({rowid}) FROM {quote(table.name)} "
                f"WHERE {rowid} {_behind(last)}"
            ).fetchall()
            yield LongRow(connection, table, names, last)


def read_apart_sorted(
    connection: sqlite3.Connection,
    table: Table,
    names: Sequence[str],
    order: Sequence[str],
    *,
    is_clean: bool = False,
) -> Generator[Block | LongRow]:
    """Yield the rows of a table sorted by some terms; only their keys are held for it.

    Args:
        connection: In a read transaction.
        table: One for which ``reads_apart``.
        names: Of the columns that are read.
        order: What they are sorted by.
        is_clean: Every text is known to be UTF-8, so the driver may decode.
    """
    rowid, limit = quote(table.rowid_name or ""), _limit(names)
    rest = f"FROM {quote(table.name)}"
    one = f"SELECT {', '.join(map(quote, names))}, {rowid} {rest} WHERE {rowid} = ?"
    rows: list[tuple[Value, ...]] = []
    with decoding(connection, is_clean):
        keys = connection.execute(f"SELECT {rowid} {rest} ORDER BY {', '.join(order)}")
        for (key,) in keys:
            try:
                with _limited(connection, limit):
                    rows += connection.execute(one, (key,))
            except sqlite3.DataError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_TOOBIG:
                    raise
                if rows:
                    yield cast("int", rows[-1][-1]), rows
                    rows = []
                yield LongRow(connection, table, names, key)
            if len(rows) >= SORTED_ROWS_MAX:
                yield cast("int", rows[-1][-1]), rows
                rows = []
    if rows:
        yield cast("int", rows[-1][-1]), rows


def _limit(names: Sequence[str]) -> int:
    """Return how long the cells of a row may be that comes in a block."""
    return max(CELL_BYTES_MIN, min(LONG_BYTES, CELLS_BYTES // (len(names) or 1)))


def _behind(rowid: int | None) -> str:
    return f">= {INTEGER_MIN}" if rowid is None else f"> {int(rowid)}"


def _blocks(
    connection: sqlite3.Connection, sql: str, size: int, limit: int
) -> Iterator[Block]:
    cursor = connection.cursor()
    try:
        with _limited(connection, limit):
            cursor.execute(sql)
        while True:
            with _limited(connection, limit):
                rows = fetched(cursor, size)
            if not rows:
                return
            yield cast("int", rows[-1][-1]), rows
    finally:
        cursor.close()


def _until_long(
    connection: sqlite3.Connection,
    select: str,
    order: str,
    last: int | None,
    limit: int,
) -> Iterator[tuple[Value, ...]]:
    """Yield the short rows before the next long one."""
    while True:
        try:
            with _limited(connection, limit):
                row = connection.execute(
                    f"{select}{_behind(last)}{order} LIMIT 1"
                ).fetchone()
        except sqlite3.DataError:
            return
        last = cast("int", row[-1])
        yield row


@contextmanager
def _limited(connection: sqlite3.Connection, limit: int) -> Generator[None]:
    """Let SQLite refuse longer cells."""
    usual = connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limit)
    try:
        yield
    finally:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, usual)


class LongRow:
    """A row that is read a cell at a time.

    Args:
        connection: Reads it.
        table: Whose.
        names: Of the columns that are read.
        rowid: Of the row.

    Attributes:
        rowid: As given.
        kinds: The storage class of each cell, by its column.
        long: Columns whose cells are long.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        table: Table,
        names: Sequence[str],
        rowid: int,
    ) -> None:
        self._connection = connection
        self._table = table
        self._where = f"FROM {quote(table.name)} WHERE {quote(table.rowid_name or '')} "
        self._where += f"= {int(rowid)}"
        self.rowid = rowid
        found = self._selected(f"typeof({quote(name)})" for name in names)
        self.kinds = dict(zip(names, cast("tuple[str]", found), strict=True))
        self.long = [
            name
            for name, kind in self.kinds.items()
            if kind in ("text", "blob") and self._length(name) > LONG_BYTES
        ]

    def _selected(self, terms: Any) -> tuple[Value, ...]:
        listed = ", ".join(terms) or "NULL"
        return self._connection.execute(f"SELECT {listed} {self._where}").fetchone()

    def _length(self, name: str) -> int:
        with self._opened(name) as opened:
            return len(opened)

    def _opened(self, name: str) -> sqlite3.Blob:
        return self._connection.blobopen(
            self._table.name, name, self.rowid, readonly=True
        )

    def values(self, without: Sequence[str] = ()) -> tuple[Value, ...]:
        """Return the cells of all columns; NULL for some that are read in pieces."""
        return self._selected(
            "NULL" if name in without else quote(name) for name in self.kinds
        )

    def value(self, name: str) -> Value:
        """Return a cell as a whole."""
        return self._selected([quote(name)])[0]

    def pieces(self, name: str, encoding: str) -> Iterator[bytes]:
        """Yield the bytes of a text or blob; of a text in UTF-16 those in UTF-8.

        Raises:
            UnicodeDecodeError: It is no text in UTF-16. In UTF-8 it is not asked.
        """
        with self._opened(name) as opened:
            if self.kinds[name] == "blob" or encoding == _UTF8:
                yield from pieces_of(opened)
                return
            decoder = getincrementaldecoder(encoding)()
            for piece in pieces_of(opened):
                yield decoder.decode(piece).encode("utf-8")
            decoder.decode(b"", final=True)
