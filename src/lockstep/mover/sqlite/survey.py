"""What a plan must know of a table's values, asked of SQLite in whole columns.

Owns the quick way to a ``TableProfile``. SQLite counts and compares by itself, so
most columns never become Python values; every value is still looked at.

    one SELECT of aggregates     which classes a column holds, bounds, lengths
    one SELECT of joined texts   whether they are UTF-8 without NUL
    the columns that need more   value by value: mixed classes, moments, exact types

Invariant: whatever a plan reads of a profile (``plan/``) is what ``profile_table``
would have found; what only a person reads in an inspection may be missing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.plan.times import may_be_moment
from lockstep.mover.plan.types import is_exact_type
from lockstep.mover.sqlite.profile import (
    ColumnProfile,
    TableProfile,
    is_time_type,
    profile_columns,
    profile_table,
)
from lockstep.mover.sqlite.rows import block_rows, decoding
from lockstep.mover.sqlite.schema import Column, Schema, Table
from lockstep.mover.values import RawText, storage_of

_COLUMNS_AT_ONCE: Final = 100
"""A SELECT of SQLite has at most 2,000 results."""

_AGGREGATES: Final = (
    "count({0})",
    "min({0})",
    "max({0})",
    "sum(typeof({0}) = 'integer')",
    "min(iif({0} > 0, {0}, NULL))",
    "max(length(CAST({0} AS BLOB)))",
)
_NOT_ASKED: Final = "NULL"


class _NeedsCare(Exception):
    """The values of a column must be looked at one by one."""


def can_survey(connection: Any, schema: Schema, table: Table) -> bool:
    """Whether SQLite itself can be asked: a file here, its texts in UTF-8."""
    is_here = isinstance(connection, sqlite3.Connection)
    return is_here and schema.encoding == "UTF-8" and table.kind != "virtual"


def survey_table(
    connection: sqlite3.Connection,
    table: Table,
    others: Sequence[sqlite3.Connection] = (),
) -> TableProfile:
    """Look at every value of a table, as far as a plan must know it.

    Args:
        connection: In a read transaction.
        table: Which.
        others: Connections that see the same state; a thread counts with the first
            of them while the texts are looked at.

    Raises:
        sqlite3.DatabaseError: The table cannot be read.
    """
    if not table.columns:
        return profile_table(connection, table)
    expected = [c.name for c in table.columns if c.affinity == "text"]
    expected = [n for n in expected if not _is_moment(table, n)]
    try:
        with _Counting(others[0] if others else connection, table) as counting:
            if others:
                counting.start()
            widest = _longest_texts(connection, table, expected)
            rows, found, careful = counting.result()
        texts = [name for name, stored in found.items() if stored.classes == {"text"}]
        more = [name for name in texts if name not in expected]
        widest += _longest_texts(connection, table, more)
        if careful:
            _, looked_at = profile_columns(connection, table, careful, is_clean=True)
            found |= {stored.name: stored for stored in looked_at}
    except (_NeedsCare, sqlite3.OperationalError):
        return profile_table(connection, table)
    others_width = [found[name].text_bytes_max for name in found if name not in texts]
    ordered = [found[column.name] for column in table.columns]
    return TableProfile(table.name, rows, ordered, widest + sum(others_width))


def _is_moment(table: Table, name: str) -> bool:
    column = table.column(name)
    return column is not None and is_time_type(column.declared)


Counted = tuple[int, dict[str, ColumnProfile], list[Column]]
"""Rows, the columns that are known now, and those that need care."""


class _Counting:
    """The aggregates of a table, in a thread if it was started."""

    def __init__(self, connection: sqlite3.Connection, table: Table) -> None:
        self._connection = connection
        self._table = table
        self._pool: ThreadPoolExecutor | None = None
        self._future: Future[Counted] | None = None

    def start(self) -> None:
        """Begin now, in a thread."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lockstep-survey")
        self._future = self._pool.submit(self._count)

    def result(self) -> Counted:
        """Return the answers."""
        return self._count() if self._future is None else self._future.result()

    def _count(self) -> Counted:
        rows, found, careful = 0, dict[str, ColumnProfile](), list[Column]()
        columns = self._table.columns
        for first in range(0, len(columns), _COLUMNS_AT_ONCE):
            some = columns[first : first + _COLUMNS_AT_ONCE]
            rows, answers = _asked(self._connection, self._table, some)
            for column, answer in zip(some, answers, strict=True):
                try:
                    found[column.name] = _profile_of(column, rows, answer)
                except _NeedsCare:
                    careful.append(column)
        return rows, found, careful

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            if error is not None:
                self._connection.interrupt()
            self._pool.shutdown()


def _asked(
    connection: sqlite3.Connection, table: Table, columns: Sequence[Column]
) -> tuple[int, Iterator[Sequence[Any]]]:
    """Return the number of rows, and each column's answers to ``_AGGREGATES``."""
    terms = ["count(*)"]
    indexed = {part.column for index in table.indexes for part in index.parts}
    for column in columns:
        is_indexed = None in indexed or column.name in indexed
        wanted = _wanted(column, is_indexed=is_indexed)
        name = quote(column.name)
        terms += [
            aggregate.format(name) if is_wanted else _NOT_ASKED
            for aggregate, is_wanted in zip(_AGGREGATES, wanted, strict=True)
        ]
    with decoding(connection, is_clean=False):
        (row,) = connection.execute(
            f"SELECT {', '.join(terms)} FROM {quote(table.name)}"
        ).fetchall()
    width = len(_AGGREGATES)
    return row[0], (row[at : at + width] for at in range(1, len(row), width))


def _wanted(column: Column, *, is_indexed: bool) -> tuple[bool, ...]:
    """Return which aggregates a column needs: each costs as much as reading it."""
    has_numbers = column.affinity != "text"
    # Lengths bound what an index can hold, and the blocks of a copy.
    has_length = column.affinity == "blob" or (is_indexed and column.affinity != "real")
    may_count_time = has_numbers and may_be_moment(column)
    return (True, True, True, has_numbers, may_count_time, has_length)


def _profile_of(column: Column, rows: int, answer: Sequence[Any]) -> ColumnProfile:
    """Return what the aggregates prove about a column.

    SQLite sorts numbers before texts before blobs, so the classes of the least and
    of the greatest value are those of all of them.

    Raises:
        _NeedsCare: They prove too little for a plan.
    """
    present, low, high, integers, positive_min, longest = answer
    stored = ColumnProfile(column.name)
    stored.counts["null"] = rows - present
    if not present:
        return stored
    kinds = {storage_of(low), storage_of(high)}
    if kinds <= {"integer", "real"}:
        if integers == present:
            stored.counts["integer"] = present
            stored.integer_min, stored.integer_max = low, high
            stored.integer_positive_min = positive_min
            return stored
        if integers != 0 or is_exact_type(column.declared):
            raise _NeedsCare
        stored.counts["real"] = present
        return stored
    if len(kinds) > 1 or is_time_type(column.declared):
        raise _NeedsCare
    if longest is None and kinds != {"text"}:
        raise _NeedsCare
    if isinstance(low, RawText) or isinstance(high, RawText):
        raise _NeedsCare
    stored.counts[kinds.pop()] = present
    stored.text_bytes_max = longest or 0
    return stored


def _longest_texts(
    connection: sqlite3.Connection, table: Table, names: Sequence[str]
) -> int:
    """Return how many bytes the texts of a row have at most.

    Raises:
        _NeedsCare: One of them holds NUL, or is no UTF-8.
    """
    if not names:
        return 0
    # What stands between the texts is no part of a longer UTF-8 sequence.
    texts = " || char(31) || ".join(f"ifnull({quote(name)}, '')" for name in names)
    longest = 0
    before, connection.text_factory = connection.text_factory, bytes
    cursor = connection.cursor()
    try:
        cursor.execute(f"SELECT {texts} FROM {quote(table.name)}")
        while rows := cursor.fetchmany(block_rows(table)):
            joined = [row[0] for row in rows]
            longest = max(longest, max(map(len, joined)))
            _check_texts(b"\x1f".join(joined))
    finally:
        cursor.close()
        connection.text_factory = before
    return longest


def _check_texts(texts: bytes) -> None:
    if b"\0" in texts:
        raise _NeedsCare
    try:
        texts.decode("utf-8")
    except UnicodeDecodeError:
        raise _NeedsCare from None
