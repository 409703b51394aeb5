"""Read a SQLite table in blocks, in one stable order, from any place on.

Owns the order in which rows are read and the position after which a read goes
on: a rowid, or the number of rows already read where a table has none. SQLite
scans an unchanged table always in the same order, which makes the count exact.

Invariant: values are what is stored: text that is no UTF-8 comes as ``RawText``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.model.sqlite import Table
from lockstep.mover.model.values import Value, text_of

if TYPE_CHECKING:
    from lockstep.mover.sqlite.served import ServedConnection

BLOCK_ROWS_MAX = 2_000
BLOCK_CELLS_MAX = 20_000
"""A block of a wide table has fewer rows, so that memory stays the same."""

BLOCK_BYTES: Final = 4 * 1024 * 1024
"""About what the texts and blobs of a block have, where the rows are long."""

_ROWS_AT_ONCE: Final = 32
"""Fetched without a look at their length."""

Block = tuple[int, Sequence[tuple[Value, ...]]]


def block_rows(table: Table) -> int:
    """Return how many rows of a table are read at once."""
    return max(1, min(BLOCK_ROWS_MAX, BLOCK_CELLS_MAX // max(1, len(table.columns))))


def read_blocks(
    connection: Any,
    table: Table,
    *,
    after: int | None = None,
    columns: Sequence[str] | None = None,
    is_clean: bool = False,
) -> Generator[Block]:
    """Yield ``(position after the block, rows)`` in the table's own order.

    Args:
        connection: A DB-API connection to SQLite.
        table: What to read.
        after: The position to go on from; None begins at the first row.
        columns: Which columns; None for all.
        is_clean: Every text is known to be UTF-8, so the driver may decode.
    """
    names = [c.name for c in table.columns] if columns is None else columns
    by_rowid = table.rowid_name is not None and table.kind != "virtual"
    if not isinstance(connection, sqlite3.Connection):
        yield from _pages(connection, table, after, names, is_clean, by_rowid)
        return
    shown = ", ".join(quote(name) for name in names) or "NULL"
    # A damaged index is never what rows are read by.
    way = "" if table.kind == "virtual" else " NOT INDEXED"
    sql = f"SELECT {shown} FROM {quote(table.name)}{way}"
    skip = 0
    if by_rowid:
        rowid = quote(table.rowid_name or "")
        condition = "" if after is None else f" WHERE {rowid} > {int(after)}"
        sql = (
            f"SELECT {shown}, {rowid} FROM {quote(table.name)}"
            f"{condition} ORDER BY {rowid}"
        )
    elif after is not None:
        skip = after
    with decoding(connection, is_clean):
        yield from _blocks(connection, sql, block_rows(table), skip, by_rowid)


def sorting(table: Table, key: Sequence[str]) -> list[str]:
    """Return the terms of an ORDER BY that sorts by a key; texts by their bytes."""
    if list(key) in ([table.rowid_alias], [table.rowid_name]):
        return [quote(key[0])]
    return [f"{quote(name)} COLLATE BINARY" for name in key]


def read_sorted(
    connection: Any,
    table: Table,
    columns: Sequence[str],
    key: Sequence[str],
    *,
    is_clean: bool = False,
) -> Generator[Sequence[tuple[Value, ...]]]:
    """Yield blocks of all rows sorted by ``key``; texts by their bytes."""
    order = sorting(table, key)
    size = block_rows(table)
    if not isinstance(connection, sqlite3.Connection):
        from lockstep.mover.sqlite.pages import Pages

        pages = Pages(connection, table, columns, order, size, is_clean)
        yield from (rows for _, rows in pages)
        return
    names = ", ".join(map(quote, columns))
    sql = f"SELECT {names} FROM {quote(table.name)} ORDER BY {', '.join(order)}"
    with decoding(connection, is_clean):
        cursor = connection.cursor()
        cursor.execute(sql)
        while rows := fetched(cursor, size):
            yield rows
        cursor.close()


def _pages(
    connection: ServedConnection,
    table: Table,
    after: int | None,
    names: Sequence[str],
    is_clean: bool,
    by_rowid: bool,
) -> Generator[Block]:
    # What reaches a server is imported by those who have one.
    from lockstep.mover.sqlite.pages import Pages

    key = [quote(table.rowid_name or "")] if by_rowid else []
    if table.without_rowid:
        key = [quote(name) for name in table.key]
    pages = Pages(connection, table, names, key, block_rows(table), is_clean)
    done = after or 0
    if not by_rowid:
        pages.skip = done
    elif after is not None:
        pages.last = (after,)
    for last, rows in pages:
        done = cast("int", last[0]) if by_rowid else done + len(rows)
        yield done, rows


def _blocks(
    connection: Any, sql: str, size: int, skip: int, by_rowid: bool
) -> Generator[Block]:
    cursor = connection.cursor()
    cursor.execute(sql)
    done = 0
    try:
        while skip - done > 0:
            passed = len(cursor.fetchmany(min(size, skip - done)))
            if not passed:
                return
            done += passed
        while rows := fetched(cursor, size):
            done += len(rows)
            yield cast("int", rows[-1][-1]) if by_rowid else done, rows
    finally:
        cursor.close()


def fetched(cursor: Any, size: int) -> list[tuple[Value, ...]]:
    """Return the next rows: ``size``, or fewer where they are long; none at the end."""
    rows: list[tuple[Value, ...]] = []
    length = 0
    while len(rows) < size and length < BLOCK_BYTES:
        # The longer the rows so far, the fewer are taken on trust.
        room = (BLOCK_BYTES - length) * len(rows) // (length + 1) + 1
        more = cursor.fetchmany(min(_ROWS_AT_ONCE, room, size - len(rows)))
        if not more:
            break
        rows += more
        length += _length(more)
    return rows


def _length(rows: Sequence[tuple[Value, ...]]) -> int:
    values = (value for row in rows for value in row)
    return sum(len(value) for value in values if isinstance(value, str | bytes))


class decoding:
    """Let the driver give text as it is stored while a table is read."""

    def __init__(self, connection: Any, is_clean: bool) -> None:
        self._connection = connection
        self._is_clean = is_clean
        self._before: Any = None

    def __enter__(self) -> None:
        if isinstance(self._connection, sqlite3.Connection):
            self._before = self._connection.text_factory
            self._connection.text_factory = str if self._is_clean else text_of

    def __exit__(self, *_: object) -> None:
        if isinstance(self._connection, sqlite3.Connection):
            self._connection.text_factory = self._before
