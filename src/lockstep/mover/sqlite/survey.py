"""What a plan must know of a table's values, asked of SQLite in whole columns.

Owns the quick way to a ``TableProfile``. SQLite counts and joins by itself, so most
columns never become Python values; every value is still looked at, once.

    the first rows               which class each column seems to hold
    one SELECT a range of rows   how many values are of it, bounds, and all texts
                                 joined: UTF-8 without NUL, moments in one form
    the columns that need more   value by value: mixed classes, exact types

Invariants: whatever a plan reads of a profile (``plan/``) is what ``profile_table``
would have found; what only a person reads in an inspection may be missing. A range
whose values do not fit into the memory that is meant for them is read in halves.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.plan.times import may_be_moment
from lockstep.mover.plan.types import is_boolean_type, is_exact_type
from lockstep.mover.sqlite.profile import (
    ColumnProfile,
    TableProfile,
    Tell,
    is_time_type,
    profile_columns,
    profile_table,
    untold,
)
from lockstep.mover.sqlite.rows import block_rows
from lockstep.mover.sqlite.schema import Column, Schema, Table

Range = tuple[int, int]
"""Rowids, the last one included."""

FIRST_ROWS: Final = 1_000
"""How many rows the guess of a column's class looks at."""

_COLUMNS_AT_ONCE: Final = 100
"""A SELECT of SQLite has at most 2,000 results."""

TEXT_BYTES_MAX: Final = 8 * 1024 * 1024
"""What the joined texts of a range may have, all columns together; and its blobs."""

_CLASS_OF_AFFINITY: Final = {"real": "real", "text": "text", "blob": "text"}


class _NeedsCare(Exception):
    """The values must be looked at one by one."""


class _TooLong(Exception):
    """The rows of a range are more bytes than are read at once."""


def can_survey(connection: Any, schema: Schema, table: Table) -> bool:
    """Whether SQLite itself can be asked: a file here, its texts in UTF-8."""
    is_here = isinstance(connection, sqlite3.Connection)
    return is_here and schema.encoding == "UTF-8" and table.kind != "virtual"


def survey_table(
    connection: sqlite3.Connection,
    table: Table,
    others: Sequence[sqlite3.Connection] = (),
    tell: Tell = untold,
) -> TableProfile:
    """Look at every value of a table, as far as a plan must know it.

    Args:
        connection: In a read transaction.
        table: Which.
        others: Connections that see the same state; a thread reads half of the
            table with the first of them.
        tell: Told how many rows, now and then.

    Raises:
        sqlite3.DatabaseError: The table cannot be read.
    """
    if not table.columns:
        return profile_table(connection, table, tell)
    try:
        survey = _surveyed(connection, table, others[:1], tell)
        careful = [c.column for c in survey.columns if c.needs_care]
        found = {c.column.name: c.profile(survey.rows) for c in survey.columns}
        if careful:
            _, looked_at = profile_columns(
                connection, table, careful, tell, is_clean=True
            )
            found |= {stored.name: stored for stored in looked_at}
    except (_NeedsCare, sqlite3.OperationalError):
        return profile_table(connection, table, tell)
    ordered = [found[column.name] for column in table.columns]
    return TableProfile(table.name, survey.rows, ordered, survey.ends)


def _surveyed(
    connection: sqlite3.Connection,
    table: Table,
    others: Sequence[sqlite3.Connection],
    tell: Tell,
) -> _Survey:
    """Return what all ranges together say."""
    guessed = _guessed(connection, table)
    ranges = list(_ranges(connection, table))
    if not others or len(ranges) < 2:
        survey = _Survey(connection, table, guessed)
        survey.look(ranges, tell)
        return survey
    middle = len(ranges) // 2
    first = _Survey(connection, table, guessed)
    second = _Survey(others[0], table, guessed)
    with ThreadPoolExecutor(1, thread_name_prefix="lockstep-survey") as pool:
        rest = pool.submit(second.look, ranges[middle:], untold)
        try:
            first.look(ranges[:middle], lambda rows: tell(rows + second.rows))
        except BaseException:
            others[0].interrupt()
            raise
        rest.result()
    first.join(second)
    return first


def _ranges(connection: sqlite3.Connection, table: Table) -> Iterator[Range | None]:
    """Yield ranges of about as many rows; None stands for a whole table."""
    if table.rowid_name is None:
        yield None
        return
    rowid, name = quote(table.rowid_name), quote(table.name)
    (start,) = connection.execute(f"SELECT min({rowid}) FROM {name}").fetchone()
    (last,) = connection.execute(f"SELECT max({rowid}) FROM {name}").fetchone()
    # What stands between two ends is as many rows, however far apart they lie.
    step = f"SELECT {rowid} FROM {name} WHERE {rowid} >= ? ORDER BY {rowid} LIMIT 1 "
    step += f"OFFSET {block_rows(table) - 1}"
    while start is not None and start <= last:
        found = connection.execute(step, (start,)).fetchone()
        end = last if found is None else found[0]
        yield start, end
        start = end + 1


def _guessed(
    connection: sqlite3.Connection, table: Table
) -> list[tuple[Column, str, bool]]:
    """Return each column's class, and whether its bounds matter, by the first rows."""
    found: list[tuple[Column, str, bool]] = []
    for columns in _some(table.columns):
        terms = ", ".join(
            f"max(nullif(typeof({name}), 'null')), max({name} NOT IN (0, 1))"
            for name in (quote(column.name) for column in columns)
        )
        (answers,) = connection.execute(
            f"SELECT {terms} FROM "
            f"(SELECT * FROM {quote(table.name)} LIMIT {FIRST_ROWS})"
        ).fetchall()
        kinds, others = answers[::2], answers[1::2]
        for column, kind, has_other in zip(columns, kinds, others, strict=True):
            usual = "text" if is_time_type(column.declared) else "integer"
            usual = _CLASS_OF_AFFINITY.get(column.affinity, usual)
            bounds = is_boolean_type(column.declared) or may_be_moment(column)
            is_bit = kind == "integer" and not has_other
            found.append((column, kind or usual, bounds or is_bit))
    return found


def _some(columns: Sequence[Column]) -> Iterator[Sequence[Column]]:
    for first in range(0, len(columns), _COLUMNS_AT_ONCE):
        yield columns[first : first + _COLUMNS_AT_ONCE]


class _Survey:
    """What one connection has seen of a table.

    Args:
        connection: Of one thread.
        table: Which.
        guessed: The class each column seems to hold, and whether bounds matter.

    Attributes:
        rows: How many so far.
        ends: The last rowid of each range, in order.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        table: Table,
        guessed: Sequence[tuple[Column, str, bool]],
    ) -> None:
        self._connection = connection
        self._table = table
        indexed = {part.column for index in table.indexes for part in index.parts}
        self.columns = [
            _Column(column, kind, bounds, None in indexed or column.name in indexed)
            for column, kind, bounds in guessed
        ]
        texts = sum(column.kind == "text" for column in self.columns)
        self._bytes_max = TEXT_BYTES_MAX // max(texts, 16)
        self.rows = 0
        self.ends = array("q")

    def look(self, ranges: Iterable[Range | None], tell: Tell) -> None:
        """Ask about each range, and tell how many rows there were so far.

        Raises:
            _NeedsCare: A text holds NUL or is no UTF-8, or what has no rowids
                needs more memory than is meant for it.
        """
        connection = self._connection
        factory, connection.text_factory = connection.text_factory, bytes
        usual = connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self._bytes_max)
        try:
            for some in ranges:
                self._look(some, usual)
                tell(self.rows)
        finally:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, usual)
            connection.text_factory = factory

    def _look(self, some: Range | None, usual: int) -> None:
        """Ask about a range, or about its halves where it has too long texts."""
        if some is not None and some[0] == some[1]:
            # One row is as long as it is.
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, usual)
            self._ask(some)
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self._bytes_max)
            return
        try:
            self._ask(some)
        except (sqlite3.DataError, _TooLong) as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_TOOBIG)
            if code != sqlite3.SQLITE_TOOBIG:
                raise
            if some is None:
                raise _NeedsCare from error
            first, last = some
            middle = first + (last - first) // 2
            self._look((first, middle), usual)
            self._look((middle + 1, last), usual)

    def _ask(self, some: Range | None) -> None:
        where, values = "", ()
        if some is not None:
            where = f" WHERE {quote(self._table.rowid_name or '')} BETWEEN ? AND ?"
            values = some
        answers: list[Any] = []
        rows = 0
        for first in range(0, len(self.columns), _COLUMNS_AT_ONCE):
            columns = self.columns[first : first + _COLUMNS_AT_ONCE]
            terms = ", ".join(term for column in columns for term in column.terms)
            (row,) = self._connection.execute(
                f"SELECT count(*), {terms} FROM {quote(self._table.name)}{where}",
                values,
            ).fetchall()
            rows = row[0]
            answers += row[1:]
        if not rows:
            return
        if some is not None and some[0] < some[1]:
            self._check_size(answers)
        stream = iter(answers)
        for column in self.columns:
            column.add(rows, stream)
        self.rows += rows
        if some is not None:
            self.ends.append(some[1])

    def _check_size(self, answers: list[Any]) -> None:
        """Raise ``_TooLong`` where a range's blobs are more than is read at once."""
        size, at = 0.0, 0
        for column in self.columns:
            if column.kind == "blob":
                size += answers[at + column.terms.index(column.size)]
            at += len(column.terms)
        if size > TEXT_BYTES_MAX:
            raise _TooLong

    def join(self, later: _Survey) -> None:
        """Add what another connection saw of the rows behind these."""
        self.rows += later.rows
        self.ends += later.ends
        for mine, other in zip(self.columns, later.columns, strict=True):
            mine.join(other)


class _Column:
    """One column: what SQLite is asked about a range, and the sum of the answers.

    Args:
        column: Which.
        kind: The storage class that its values seem to have.
        has_bounds: Whether the least and the greatest integer matter.
        is_indexed: Whether the length of its values does.

    Attributes:
        terms: What is asked.
        size: Of them the bytes of all blobs, where they seem to be blobs.
    """

    def __init__(
        self, column: Column, kind: str, has_bounds: bool, is_indexed: bool
    ) -> None:
        self.column = column
        self.kind = kind
        name = quote(column.name)
        self.terms = [f"sum(typeof({name}) = '{kind}')"]
        self._may_be_null = not column.not_null
        if self._may_be_null:
            self.terms.append(f"count({name})")
        self._has_bounds = kind == "integer" and has_bounds
        if self._has_bounds:
            self.terms += [f"min({name})", f"max({name})"]
            self.terms.append(f"min(iif({name} > 0, {name}, NULL))")
        if kind == "real":
            self.terms += [f"min({name})", f"max({name})", f"max({name} = 0)"]
        # Lengths bound what an index can hold, and what is read at once. That of a
        # blob stands in front of it, and costs no look at its pages.
        self._is_blob = kind == "blob"
        self._has_length = self._is_blob or (is_indexed and kind == "text")
        self.size = f"total(length({name}))"
        if self._is_blob:
            self.terms += [f"max(length({name}))", self.size]
        elif self._has_length:
            self.terms.append(f"max(length(CAST({name} AS BLOB)))")
        if kind == "text":
            self.terms.append(f"group_concat({name}, '\n')")
        self._stored = ColumnProfile(column.name)
        self._stored.forms = set(self._stored.forms)
        self._matching = self._present = 0

    def add(self, rows: int, answers: Iterator[Any]) -> None:
        """Take the answers about a range.

        Raises:
            _NeedsCare: A text holds NUL, or is no UTF-8.
        """
        matching, *more = (next(answers) for _ in self.terms)
        present = more.pop(0) if self._may_be_null else rows
        self._matching += matching
        self._present += present
        if not matching or matching != present:
            return
        stored = self._stored
        if self._has_bounds:
            stored.widen(*more)
        elif self.kind == "real":
            stored.widen_reals(*more)
        if self._has_length:
            stored.text_bytes_max = max(stored.text_bytes_max, more.pop(0))
        if self._is_blob:
            more.pop(0)
        if self.kind == "text":
            self._add_texts(more.pop(0), matching)

    def _add_texts(self, texts: bytes, count: int) -> None:
        if b"\0" in texts:
            raise _NeedsCare
        try:
            lines = texts.decode("utf-8")
        except UnicodeDecodeError:
            raise _NeedsCare from None
        if is_time_type(self.column.declared):
            self._stored.keep_forms(f"{lines}\n", count)

    def join(self, later: _Column) -> None:
        """Add what was seen of the rows behind these."""
        self._matching += later._matching
        self._present += later._present
        mine, other = self._stored, later._stored
        mine.widen(other.integer_min, other.integer_max, other.integer_positive_min)
        mine.widen_reals(other.real_min, other.real_max, other.has_zero_real)
        mine.text_bytes_max = max(mine.text_bytes_max, other.text_bytes_max)
        mine.forms &= other.forms

    @property
    def needs_care(self) -> bool:
        """Whether the answers prove too little for a plan."""
        if self._matching != self._present:
            return True
        return self.kind == "real" and is_exact_type(self.column.declared)

    def profile(self, rows: int) -> ColumnProfile:
        """Return what the answers prove, unless it needs care."""
        self._stored.counts["null"] = rows - self._present
        self._stored.counts[self.kind] = self._matching
        return self._stored
