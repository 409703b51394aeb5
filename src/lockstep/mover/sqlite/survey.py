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
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, cast

from lockstep.migrations.sqlite.tokens import quote
from lockstep.moments.names import is_time_type
from lockstep.mover.blocks.long_values import LONG_BYTES
from lockstep.mover.model.declared import is_boolean_type, may_be_moment
from lockstep.mover.model.profile import TableProfile
from lockstep.mover.model.sqlite import Column, Schema, Table
from lockstep.mover.model.values import Value
from lockstep.mover.sqlite.long_rows import WholeCell, opened_cell
from lockstep.mover.sqlite.profiling import Tell, profile_columns, profile_table, untold
from lockstep.mover.sqlite.row_order import (
    Key,
    OutOfOrder,
    RowOrder,
    RowRange,
    order_of,
)
from lockstep.mover.sqlite.rows import block_rows
from lockstep.mover.sqlite.surveyed import NeedsCare, SurveyedColumn

FIRST_ROWS: Final = 1_000
"""How many rows the guess of a column's class looks at."""

_COLUMNS_AT_ONCE: Final = 100
"""A SELECT of SQLite has at most 2,000 results."""

TEXT_BYTES_MAX: Final = 8 * 1024 * 1024
"""What SQLite may join at once, all columns together."""

RANGE_BYTES_MAX: Final = 2 * 1024 * 1024
"""What the texts of a range may have, and its blobs in hex: a copy reads it at once."""

_CLASS_OF_AFFINITY: Final = {"real": "real", "text": "text", "blob": "text"}


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
        if table.without_rowid:
            _check_count(connection, table, survey.rows)
        careful = [c.column for c in survey.columns if c.needs_care]
        found = {c.column.name: c.profile(survey.rows) for c in survey.columns}
        if careful:
            _, looked_at = profile_columns(
                connection, table, careful, tell, is_clean=True
            )
            found |= {stored.name: stored for stored in looked_at}
    except (NeedsCare, OutOfOrder, sqlite3.OperationalError):
        return profile_table(connection, table, tell)
    ordered = [found[column.name] for column in table.columns]
    return TableProfile(table.name, survey.rows, ordered, survey.ends, survey.long_rows)


def _surveyed(
    connection: sqlite3.Connection,
    table: Table,
    others: Sequence[sqlite3.Connection],
    tell: Tell,
) -> _Survey:
    """Return what all ranges together say."""
    order = order_of(table)
    ranges: list[RowRange | None] = [None]
    if order is not None:
        ranges = [*order.ranges(connection, block_rows(table))]
    guessed = _guessed(connection, table, order, ranges[0] if ranges else None)
    if not others or len(ranges) < 2:
        survey = _Survey(connection, table, order, guessed)
        survey.look(ranges, tell)
        return survey
    middle = len(ranges) // 2
    first = _Survey(connection, table, order, guessed)
    second = _Survey(others[0], table, order, guessed)
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


def _check_count(connection: sqlite3.Connection, table: Table, rows: int) -> None:
    """Raise ``OutOfOrder`` where ranges have missed rows: the table is damaged."""
    sql = f"SELECT count(*) FROM {quote(table.name)} NOT INDEXED"
    if connection.execute(sql).fetchone() != (rows,):
        raise OutOfOrder


def _guessed(
    connection: sqlite3.Connection,
    table: Table,
    order: RowOrder | None,
    first: RowRange | None,
) -> list[tuple[Column, str, bool]]:
    """Return each column's class, and whether its bounds matter, by the first rows."""
    rows = f"(SELECT * FROM {quote(table.name)} LIMIT {FIRST_ROWS})"
    values: list[Value] = []
    if order is not None and first is not None:
        # Nothing of a long cell is read: a class stands apart from its value.
        where, values = order.within(first)
        rows = f"{quote(table.name)} NOT INDEXED WHERE {where}"
    found: list[tuple[Column, str, bool]] = []
    for columns in _some(table.columns):
        terms = ", ".join(
            f"max(nullif(typeof({name}), 'null')), "
            f"max(iif(typeof({name}) = 'integer', {name} NOT IN (0, 1), 0))"
            for name in (quote(column.name) for column in columns)
        )
        (answers,) = connection.execute(
            f"SELECT {terms} FROM {rows}", values
        ).fetchall()
        kinds, others = answers[::2], answers[1::2]
        for column, kind, has_other in zip(columns, kinds, others, strict=True):
            usual = "text" if is_time_type(column.declared) else "integer"
            usual = _CLASS_OF_AFFINITY.get(column.affinity, usual)
            if "BLOB" in column.declared.upper():
                usual = "blob"
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
        order: Its rows'; None where they are looked at all at once.
        guessed: The class each column seems to hold, and whether bounds matter.

    Attributes:
        rows: How many so far.
        ends: The last rowid of each range, in order.
        long_rows: Keys of rows that were looked at in pieces.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        table: Table,
        order: RowOrder | None,
        guessed: Sequence[tuple[Column, str, bool]],
    ) -> None:
        self._connection = connection
        self._table = table
        self._order = order
        indexed = {part.column for index in table.indexes for part in index.parts}
        self.columns = [
            SurveyedColumn(
                column, kind, bounds, None in indexed or column.name in indexed
            )
            for column, kind, bounds in guessed
        ]
        texts = sum(column.kind == "text" for column in self.columns)
        self._bytes_max = TEXT_BYTES_MAX // max(texts, 16)
        self.rows = 0
        self.ends = array("q")
        self.long_rows: list[Key] = []

    def look(self, ranges: Iterable[RowRange | None], tell: Tell) -> None:
        """Ask about each range, and tell how many rows there were so far.

        Raises:
            NeedsCare: A text holds NUL or is no UTF-8, or what has no rowids
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

    def _look(self, some: RowRange | None, usual: int) -> None:
        """Ask about a range, or about its halves where it has too long texts."""
        try:
            self._ask(some)
        except (sqlite3.DataError, _TooLong) as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_TOOBIG)
            if code != sqlite3.SQLITE_TOOBIG:
                raise
            if some is None or self._order is None:
                raise NeedsCare from error
            if some.rows == 1:
                self._ask_alone(some, self._order, usual)
                return
            with self._unlimited(usual):
                halves = self._order.halves(self._connection, some)
            for half in halves:
                self._look(half, usual)

    def _ask(self, some: RowRange | None) -> None:
        rows, answers = self._answers(self.columns, some)
        if not rows:
            return
        if some is not None:
            self._check_size(rows, answers)
        self._add(self.columns, rows, answers)
        self.rows += rows
        self._end(some)

    def _end(self, some: RowRange | None) -> None:
        if some is not None and self._table.rowid_name is not None:
            self.ends.append(cast("int", some.last[0]))

    def _answers(
        self, columns: Sequence[SurveyedColumn], some: RowRange | None
    ) -> tuple[int, list[Any]]:
        """Return how many rows a range has, and what the terms of columns give."""
        rest, values = quote(self._table.name), list[Value]()
        if some is not None and self._order is not None:
            where, values = self._order.within(some)
            rest += f" NOT INDEXED WHERE {where}"
        answers: list[Any] = []
        rows = 0
        for first in range(0, len(columns), _COLUMNS_AT_ONCE):
            asked = columns[first : first + _COLUMNS_AT_ONCE]
            terms = ", ".join(term for column in asked for term in column.terms)
            (row,) = self._connection.execute(
                f"SELECT count(*), {terms} FROM {rest}", values
            ).fetchall()
            rows = row[0]
            answers += row[1:]
        return rows, answers

    def _add(
        self, columns: Sequence[SurveyedColumn], rows: int, answers: Sequence[Any]
    ) -> None:
        stream = iter(answers)
        for column in columns:
            column.add(rows, stream)

    def _check_size(self, rows: int, answers: Sequence[Any]) -> None:
        """Raise ``_TooLong`` where a range has more than is read at once."""
        size, longest, at = 0.0, 0, 0
        for column in self.columns:
            if column.kind == "blob":
                place = at + column.terms.index(column.size)
                size += 2 * answers[place]
                longest = max(longest, answers[place - 1] or 0)
            at += len(column.terms)
            if column.kind == "text":
                size += len(answers[at - 1] or b"")
        if longest > LONG_BYTES or (size > RANGE_BYTES_MAX and rows > 1):
            raise _TooLong

    def _ask_alone(self, some: RowRange, order: RowOrder, usual: int) -> None:
        """Ask about a row that has too long texts or blobs: it is as long as it is.

        Its long cells are looked at in pieces.
        """
        with self._unlimited(usual):
            long = self._long_columns(order, some.last)
            short = [column for column in self.columns if column not in long]
            rows, answers = self._answers(short, some)
            self._add(short, rows, answers)
            for column, is_its_own in long.items():
                if not is_its_own:
                    column.add_other()
                    continue
                with self._opened(column, order, some.last) as opened:
                    column.add_long(opened)
        self.rows += 1
        self._end(some)
        if long:
            self.long_rows.append(some.last)

    @contextmanager
    def _unlimited(self, usual: int) -> Generator[None]:
        """Let values be as long as they are."""
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, usual)
        try:
            yield
        finally:
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self._bytes_max)

    def _long_columns(self, order: RowOrder, key: Key) -> dict[SurveyedColumn, bool]:
        """Return the columns whose cell is long: whether it has the column's class."""
        kinds = {each: self._long_class(each, order, key) for each in self.columns}
        return {column: kind == column.kind for column, kind in kinds.items() if kind}

    def _long_class(self, column: SurveyedColumn, order: RowOrder, key: Key) -> str:
        """Return the class of a long cell; empty for a short one."""
        name = quote(column.column.name)
        length = "0"
        if not self._table.opens_cells:
            length = f"length(CAST({name} AS BLOB))"
        ((kind, size),) = self._connection.execute(
            f"SELECT typeof({name}), {length} FROM {quote(self._table.name)} "
            f"WHERE {order.one}",
            key,
        ).fetchall()
        kind = kind.decode()
        if kind not in ("text", "blob"):
            return ""
        if self._table.opens_cells:
            # Its length stands in front of it.
            with self._opened(column, order, key) as opened:
                size = len(opened)
        return kind if size > LONG_BYTES else ""

    def _opened(
        self, column: SurveyedColumn, order: RowOrder, key: Key
    ) -> sqlite3.Blob | WholeCell:
        name = column.column.name
        return opened_cell(self._connection, self._table, order, name, key)

    def join(self, later: _Survey) -> None:
        """Add what another connection saw of the rows behind these."""
        self.rows += later.rows
        self.ends += later.ends
        self.long_rows += later.long_rows
        for mine, other in zip(self.columns, later.columns, strict=True):
            mine.join(other)
