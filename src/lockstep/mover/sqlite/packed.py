r"""Rows of SQLite as lines that SQLite itself builds: one value for many rows.

Owns the SELECT that packs a row, and what makes lines of a block of packed rows.
Bytes that no UTF-8 text contains stand between the cells and for NULL, so a whole
block is escaped at once, and then gets its tabs, newlines and ``\N``.

    printf('%s<FE>%s…', a, ifnull(b, <FF>))  ──►  rows joined with <FD>
      ──►  backslashes and control characters escaped  ──►  <FE> \t  <FD> \n  <FF> \N

Invariant: only tables whose every value was looked at in this snapshot are packed
(``TableProfile``): ``printf`` ends a text at NUL, and bytes that are no UTF-8 could
be the marks. Lines to be compared are byte for byte those of ``TableEncoder``; lines
to be copied may have more digits in a real, which both databases read as the same.
"""

from __future__ import annotations

import functools
import random
import sqlite3
import struct
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.ahead import in_turn
from lockstep.mover.codecs import Codec, codec_of
from lockstep.mover.encoding import LineBlock
from lockstep.mover.plan.model import TablePlan
from lockstep.mover.sqlite.profile import ColumnProfile, TableProfile
from lockstep.mover.sqlite.schema import Table
from lockstep.mover.values import INTEGER_MIN, is_same, real_text

BLOCK_BYTES = 256 * 1024
_CELL_END: Final = b"\xfe"
_ROW_END: Final = b"\xfd"
_ROW_END_TEXT: Final = "CAST(x'fd' AS TEXT)"
_NULL: Final = "CAST(x'ff' AS TEXT)"
_MARKS: Final = bytes.maketrans(_CELL_END + _ROW_END, b"\t\n")
_ESCAPES: Final = (
    *((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\t", b"\\t"), (b"\r", b"\\r")),
    *((b"\v", b"\\v"), (b"\f", b"\\f"), (b"\b", b"\\b")),
)
_CELLS_OF_A_CALL: Final = 100
"""A function of SQLite takes 127 arguments in most builds."""


# ``repr`` is PostgreSQL's own text but for integral and for very large numbers.
_REAL: Final = (
    "CASE WHEN abs({0}) < 1e15 AND {0} <> CAST({0} AS INTEGER) "
    "THEN lockstep_repr({0}) ELSE lockstep_real({0}) END"
)
_PRINTED: Final = "printf('%!.19g', {0})"
_PRINTED_BELOW: Final = 1e22
"""From here on SQLite scales by powers of ten that no double holds."""

_BY_FUNCTION: Final = frozenset(
    {
        *("number", "numeric", "julian", "utc", "zoned"),
        *("uuid_bytes", "epoch", "scaled", "uuid7"),
    }
)


@dataclass(frozen=True)
class Packing:
    """How a table's rows are packed.

    Attributes:
        expression: Gives a row as one text.
        functions: What it calls, by name.
    """

    expression: str
    functions: dict[str, Callable[[Any], str]]


def packing_of(
    plan: TablePlan,
    columns: Sequence[str],
    table: Table,
    profile: TableProfile,
    *,
    for_copy: bool = False,
) -> Packing | None:
    """Return how the rows can be packed; None where that would not be exact.

    Args:
        plan: What each cell becomes.
        columns: The names in SQLite of the plan's columns.
        table: The table that has them.
        profile: What lies in it, in the snapshot that is read.
        for_copy: The lines are read by a database, and compared with nothing.
    """
    cells: list[tuple[str, str]] = []
    functions: dict[str, Callable[[Any], str]] = {}
    for planned, name in zip(plan.columns, columns, strict=True):
        column = table.column(name)
        if column is None:
            return None
        stored = profile.column(column.name)
        cell = None
        if for_copy and (planned.codec, planned.type) == ("real", "double precision"):
            cell = _printed_real(quote(name), stored, functions)
        cell = cell or _cell(planned.codec, quote(name), stored, functions)
        if cell is None:
            return None
        cells.append(cell)
    if not cells:
        return None
    return Packing(_row(cells), functions)


def _printed_real(
    name: str, stored: ColumnProfile, functions: dict[str, Callable[[Any], str]]
) -> tuple[str, str] | None:
    """Return a cell that SQLite prints without asking Python; None if it cannot.

    Nineteen digits of a binary number, computed in at least 64 bits, are nearer to
    it than to the middle between it and its neighbour: who reads them correctly
    rounded, as PostgreSQL and Python do, has the same double.
    """
    low, high = stored.real_min, stored.real_max
    if not stored.classes <= {"real"} or low is None or high is None:
        return None
    if low <= -_PRINTED_BELOW or high >= _PRINTED_BELOW or not prints_exactly():
        return None
    has_null = bool(stored.counts["null"])
    if not has_null and not stored.has_zero_real:
        return _PRINTED.split("'")[1], name
    expression = _PRINTED.format(name)
    if stored.has_zero_real:
        # The sign of a zero is not printed.
        functions["lockstep_real"] = real_text
        expression = f"iif({name} = 0, lockstep_real({name}), {expression})"
    return "%s", _unless_null(name, expression, has_null)


@functools.cache
def prints_exactly() -> bool:
    """Whether this SQLite prints nineteen right digits, asked of it.

    It computes them in the C compiler's ``long double`` or, since 3.42, in two
    doubles; where a compiler makes ``long double`` a double they come out wrong.

    See https://sqlite.org/floatingpoint.html
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        return all(
            float(
                connection.execute(f"SELECT {_PRINTED.format('?')}", (x,)).fetchone()[0]
            )
            == x
            for x in _hard_reals()
        )


def _hard_reals() -> list[float]:
    """Return doubles of all sizes that are printed, always the same ones."""
    source = random.Random(0)  # noqa: S311 - a choice, no secret
    bits = (source.getrandbits(64) for _ in range(2_000))
    found = [struct.unpack("d", struct.pack("Q", some))[0] for some in bits]
    return [x for x in found if 0 < abs(x) < _PRINTED_BELOW]


def _cell(
    word: str,
    name: str,
    stored: ColumnProfile,
    functions: dict[str, Callable[[Any], str]],
) -> tuple[str, str] | None:
    """Return what stands in the format for a cell, and the argument for it."""
    classes = stored.classes
    has_null = bool(stored.counts["null"])
    if "text" in classes and not stored.is_clean_text:
        return None
    if word == "integer" and classes <= {"integer"}:
        return "%s", _or_null(name, has_null)
    if word == "text" and classes <= {"text"}:
        return "%s", _or_null(name, has_null)
    if word == "boolean" and (stored.is_zero_or_one or not classes):
        return "%s", _unless_null(name, f"iif({name}, 't', 'f')", has_null)
    if word == "bytes" and classes <= {"blob"}:
        if has_null:
            return "%s", _unless_null(name, f"'\\x' || lower(hex({name}))", has_null)
        return "\\x%s", f"lower(hex({name}))"
    if word == "real" and classes <= {"real"}:
        functions |= {"lockstep_repr": repr, "lockstep_real": real_text}
        return "%s", _unless_null(name, _REAL.format(name), has_null)
    if word.partition(":")[0] in _BY_FUNCTION:
        function = f"lockstep_{word}"
        functions[function] = _exact(codec_of(word))
        return "%s", _unless_null(name, f"{quote(function)}({name})", has_null)
    return None


def _or_null(name: str, has_null: bool) -> str:
    return f"ifnull({name}, {_NULL})" if has_null else name


def _unless_null(name: str, expression: str, has_null: bool) -> str:
    return f"iif({name} IS NULL, {_NULL}, {expression})" if has_null else expression


def _exact(codec: Codec) -> Callable[[Any], str]:
    """Return a conversion that fails where the cell alone would not come back."""

    def encode(value: Any) -> str:
        text = codec.encode(value)
        if codec.may_be_odd and not is_same(codec.decode(text), value):
            raise ValueError("the storage class would have to be noted")
        return text

    return encode


def _row(cells: Sequence[tuple[str, str]]) -> str:
    calls: list[str] = []
    for first in range(0, len(cells), _CELLS_OF_A_CALL):
        some = cells[first : first + _CELLS_OF_A_CALL]
        form = _CELL_END.join(mark.encode() for mark, _ in some)
        if first:
            form = _CELL_END + form
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
            if block.count:
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
        f"SELECT count(*), group_concat(line, {_ROW_END_TEXT}) FROM "
        f"(SELECT {packing.expression} AS line FROM {quote(table.name)} "
        f"WHERE {rowid} BETWEEN ? AND ? ORDER BY {rowid})"
    )
    with _packing_by(connection, packing) as cursor:
        for some in ranges:
            count, packed = cursor.execute(select, some).fetchone()
            data = lines_of([packed]) if count else b""
            yield LineBlock(some[1], data, count, count)


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
    return LineBlock(position, lines_of(texts), len(texts), len(texts))


def lines_of(packed: Sequence[bytes]) -> bytes:
    r"""Return packed rows, alone or joined already, as lines.

    Example:
        >>> lines_of([b"1\xfea\tb", b"2\xfe\xff"])
        b'1\ta\\tb\n2\t\\N\n'
    """
    data = _ROW_END.join(packed) + _ROW_END
    for plain, escaped in _ESCAPES:
        data = data.replace(plain, escaped)
    return data.translate(_MARKS).replace(b"\xff", b"\\N")
