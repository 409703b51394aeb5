r"""Rows of SQLite as lines that SQLite itself builds: one value for many rows.

Owns the SELECT that packs a row, and what makes lines of a block of packed rows.
Bytes that no UTF-8 text contains stand between the cells and for NULL, so a whole
block is escaped at once, and then gets its tabs, newlines and ``\N``.

    printf('%s<FE>%s…<FD>', a, ifnull(b, <FF>))  ──►  rows joined
      ──►  backslashes and control characters escaped  ──►  <FE> \t  <FD> \n  <FF> \N

Invariant: only tables whose every value was looked at in this snapshot are packed
(``TableProfile``): ``printf`` ends a text at NUL, and bytes that are no UTF-8 could
be the marks. Lines to be compared are byte for byte those of ``TableEncoder``; lines
to be copied may have more digits in a real, which both databases read as the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.ahead import in_turn
from lockstep.mover.blocks.coercion import takes_blank_as_null
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.blocks.long_values import CODECS, WHOLE, LongCells
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.model.profile import TableProfile
from lockstep.mover.model.sqlite import Table
from lockstep.mover.sqlite.cells import Cell, Functions, cell_of
from lockstep.mover.sqlite.long_rows import LongCell, LongRows
from lockstep.mover.sqlite.row_order import order_of
from lockstep.mover.sqlite.rows import decoding
from lockstep.schema.affinity import INTEGER_MIN

BLOCK_BYTES = 256 * 1024
_CELL_END: Final = b"\xfe"
_ROW_END: Final = b"\xfd"
_MARKS: Final = bytes.maketrans(_CELL_END + _ROW_END, b"\t\n")
_ESCAPES: Final = (
    *((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\t", b"\\t"), (b"\r", b"\\r")),
    *((b"\v", b"\\v"), (b"\f", b"\\f"), (b"\b", b"\\b")),
)
_CELLS_OF_A_CALL: Final = 100
"""A function of SQLite takes 127 arguments in most builds."""


@dataclass(frozen=True)
class Packing:
    """How a table's rows are packed.

    Attributes:
        expression: Gives a row as one text.
        functions: What it calls, by name.
        long: How rows with long cells are read instead; None where there are none.
    """

    expression: str
    functions: Functions
    long: LongRows | None = None


def packing_of(
    plan: TablePlan,
    columns: Sequence[str],
    table: Table,
    profile: TableProfile,
    *,
    for_copy: bool = False,
    long: LongCells = WHOLE,
) -> Packing | None:
    """Return how the rows can be packed; None where that would not be exact.

    Args:
        plan: What each cell becomes.
        columns: The names in SQLite of the plan's columns.
        table: The table that has them.
        profile: What lies in it, in the snapshot that is read.
        for_copy: The lines are read by a database, and compared with nothing.
        long: Which long cells come in pieces, or have stand-ins.
    """
    cells: list[Cell] = []
    functions: Functions = {}
    for planned, name in zip(plan.columns, columns, strict=True):
        column = table.column(name)
        if column is None or takes_blank_as_null(planned):
            return None
        stored = profile.column(column.name)
        cell = cell_of(planned, quote(name), stored, functions, for_copy=for_copy)
        if cell is None:
            return None
        cells.append(cell)
    if not cells:
        return None
    long_rows = None
    order = order_of(table)
    if profile.long_rows and order is not None:
        parts = [
            _part(planned, name, cell, profile, long)
            for planned, name, cell in zip(plan.columns, columns, cells, strict=True)
        ]
        keys = frozenset(profile.long_rows)
        long_rows = LongRows(table, order, keys, parts, lines_of, long.in_pieces)
    return Packing(_row(cells), functions, long_rows)


def _part(
    planned: ColumnPlan, name: str, cell: Cell, profile: TableProfile, long: LongCells
) -> LongCell | str:
    """Return how a row with long cells gives one of its cells."""
    if planned.codec not in CODECS or not profile.column(name).is_in_pieces:
        return _row([cell])
    has_stand_in = planned.source in long.with_stand_ins
    return LongCell(name, planned.codec == "bytes", has_stand_in)


def _row(cells: Sequence[Cell]) -> str:
    calls: list[str] = []
    for first in range(0, len(cells), _CELLS_OF_A_CALL):
        some = cells[first : first + _CELLS_OF_A_CALL]
        form = _CELL_END.join(mark.encode() for mark, _ in some)
        form += _CELL_END if first + len(some) < len(cells) else _ROW_END
        arguments = ", ".join(argument for _, argument in some)
        calls.append(f"printf(CAST(x'{form.hex()}' AS TEXT), {arguments})")
    return " || ".join(calls)


def packed_blocks(
    connection: sqlite3.Connection, packing: Packing, position: str, rest: str
) -> Generator[LineBlock]:
    """Yield the blocks of a SELECT.

    Args:
        connection: In the snapshot that was profiled.
        packing: How rows are packed.
        position: Behind which a read can go on: an expression over a row.
        rest: FROM, and what stands behind it.

    Raises:
        sqlite3.Error: A row is too long for one value, or a cell does not fit;
            the blocks before it are right.
    """
    with _packing_by(connection, packing) as cursor:
        cursor.execute(f"SELECT {packing.expression}, {position} {rest}")
        while block := _fetched(cursor):
            yield block


@contextmanager
def _packing_by(
    connection: sqlite3.Connection, packing: Packing
) -> Generator[sqlite3.Cursor]:
    for name, function in packing.functions.items():
        connection.create_function(name, 1, function, deterministic=True)
    before, connection.text_factory = connection.text_factory, bytes
    cursor = connection.cursor()
    try:
        yield cursor
    finally:
        cursor.close()
        connection.text_factory = before


def packed_ranges(
    connections: Sequence[sqlite3.Connection],
    packing: Packing,
    table: Table,
    ends: Sequence[int],
    after: int | None,
) -> Generator[LineBlock]:
    """Yield a block for each range of rowids, each connection's in its own thread.

    Each connection reads every so-manieth range; the blocks come in the order of
    the rowids, as from one.

    Args:
        connections: Which see the same state, the one that was profiled.
        packing: How rows are packed.
        table: What is read.
        ends: The last rowid of each range (``TableProfile.ends``).
        after: Rows up to here are left out.

    Raises:
        sqlite3.Error: As ``packed_blocks`` does.
    """
    first = INTEGER_MIN if after is None else after + 1
    starts = [first, *(end + 1 for end in ends[:-1])]
    ranges = [
        (max(a, first), b) for a, b in zip(starts, ends, strict=True) if b >= first
    ]
    count = len(connections)
    streams = [
        _ranges(connection, packing, table, ranges[place::count])
        for place, connection in enumerate(connections)
    ]
    with closing(in_turn(streams) if count > 1 else streams[0]) as blocks:
        for block in blocks:
            if block.count or block.is_open:
                yield block


def _ranges(
    connection: sqlite3.Connection,
    packing: Packing,
    table: Table,
    ranges: Sequence[tuple[int, int]],
) -> Generator[LineBlock]:
    rowid = quote(table.rowid_name or "")
    # One value for a whole range: each row would ask for the interpreter's lock.
    select = (
        f"SELECT count(*), group_concat(line, '') FROM "
        f"(SELECT {packing.expression} AS line FROM {quote(table.name)} "
        f"WHERE {rowid} BETWEEN ? AND ? ORDER BY {rowid})"
    )
    with _packing_by(connection, packing) as cursor:
        for some in ranges:
            if packing.long is not None and some[1:] in packing.long.keys:
                yield from packing.long.blocks(connection, some[1:])
                continue
            found = list(cursor.execute(select, some).fetchone())
            # What a long text was is let go of before the next one is made of it.
            data = lines_of(found.pop()) if found[0] else b""
            yield LineBlock(some[1], data, found[0], found[0])


def packed_in_order(
    connection: sqlite3.Connection, packing: Packing, rest: str
) -> Generator[LineBlock]:
    """Yield the blocks of a table with long cells, sorted: only its keys are.

    Args:
        connection: In the snapshot that was profiled.
        packing: How rows are packed.
        rest: FROM, and what stands behind it.

    Raises:
        sqlite3.Error: As ``packed_blocks`` does.
    """
    assert packing.long is not None, "other tables are sorted as they are"
    long, order = packing.long, packing.long.order
    one = f"SELECT CAST({packing.expression} AS BLOB) FROM {quote(long.table.name)} "
    one += f"WHERE {order.one}"
    texts: list[bytes] = []
    size = 0
    with _packing_by(connection, packing) as cursor, decoding(connection, True):
        cursor.execute(f"SELECT {', '.join(order.terms)} {rest}")
        for key in cursor:
            is_long = key in long.keys
            if texts and (is_long or size >= BLOCK_BYTES):
                yield _block_of(texts, None)
                texts, size = [], 0
            if is_long:
                yield from long.blocks(connection, key)
                continue
            ((text,),) = connection.execute(one, key).fetchall()
            texts.append(text)
            size += len(text)
        if texts:
            yield _block_of(texts, None)


def _fetched(cursor: sqlite3.Cursor) -> LineBlock | None:
    texts: list[bytes] = []
    size, position = 0, None
    for text, last in cursor:
        texts.append(text)
        size, position = size + len(text), last
        if size >= BLOCK_BYTES:
            break
    if not texts:
        return None
    return _block_of(texts, position)


def _block_of(texts: list[bytes], position: int | None) -> LineBlock:
    return LineBlock(position, lines_of(b"".join(texts)), len(texts), len(texts))


def lines_of(packed: bytes) -> bytes:
    r"""Return packed rows, each with its end, as lines.

    Example:
        >>> lines_of(b"1\xfea\tb\xfd2\xfe\xff\xfd")
        b'1\ta\\tb\n2\t\\N\n'
    """
    for plain, escaped in _ESCAPES:
        packed = packed.replace(plain, escaped)
    return packed.translate(_MARKS).replace(b"\xff", b"\\N")
