"""What a check of a SQLite file may ask.

Owns the connection, the schema read once, and the rule that every question is
short: each statement is a transaction of its own and stops at the check's
deadline, in rollback mode much earlier, because there a reader keeps every
writer from committing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockstep.doctor.catalog import Catalog, Column, Table
from lockstep.doctor.findings import EXAMPLES_MAX
from lockstep.doctor.limits import Deadline, Limits, OutOfTime
from lockstep.doctor.moments import may_hold_moments
from lockstep.doctor.sqlite.catalog import read_catalog
from lockstep.doctor.sqlite.opening import Opened
from lockstep.schema.names import quote_identifier as quoted

if TYPE_CHECKING:
    from lockstep.config import Settings
    from lockstep.doctor.moments import Moments
    from lockstep.doctor.sqlite.census import TableCensus

ROLLBACK_STATEMENT_S = 2.0
"""A reader of a database in rollback mode keeps writers from committing; they
usually wait 5 seconds."""

_PROGRESS_STEPS = 20_000
"""Virtual-machine steps between two looks at the clock; about a millisecond."""


class SqliteContext:
    """One open SQLite file, or a libSQL server's database.

    Attributes:
        name: How findings call it: the file's name, or the server's.
        opened: How it is open.
        connection: For reading only.
        limits: What the examination may cost.
        settings: Of the project it belongs to; None for a file on its own.
        partial: Tables of which only the first rows were looked at, in order.
    """

    def __init__(
        self,
        path: Path | None,
        opened: Opened,
        limits: Limits,
        settings: Settings | None = None,
        *,
        server: str = "",
    ) -> None:
        self._path = path
        self.name = server if path is None else path.name
        self.opened = opened
        self.connection = opened.connection
        self.limits = limits
        self.settings = settings
        self.deadline = Deadline(limits.check_s)
        self.partial: dict[str, None] = {}
        self._census: dict[str, TableCensus] = {}
        self._moments: dict[tuple[str, str], Moments] = {}
        self._moment_columns: dict[str, tuple[Column, ...]] = {}

    @property
    def path(self) -> Path:
        """The file as it was named; asked only by checks that need a file."""
        assert self._path is not None, "a server's database is no file here"
        return self._path

    def bytes_of_text(self, column: str) -> str:
        """Return the expression that gives a text's bytes.

        A file's connection gives them itself; a server sends a text only if it is one.
        """
        return f"CAST({column} AS BLOB)" if self._path is None else column

    @cached_property
    def catalog(self) -> Catalog:
        """The ordinary tables."""
        return read_catalog(self.connection)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The ordinary tables, in the order they were made."""
        return self.catalog.tables

    def start(self) -> None:
        """Give the next check its time."""
        self.deadline = Deadline(self.limits.check_s)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a question.

        Raises:
            OutOfTime: The check's time was up before the answer.
        """
        with self.timed():
            return self.connection.execute(sql, parameters).fetchall()

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row; None without a row."""
        found = self.rows(sql, parameters)
        return found[0][0] if found else None

    def pragma(self, name: str) -> Any:
        """Return what a PRAGMA without an argument answers."""
        return self.value(f"PRAGMA {name}")

    @contextmanager
    def timed(self) -> Generator[None]:
        """Interrupt the statement in the block when its time is up."""
        allowed_s = self.deadline.remaining_s
        if self.opened.how == "read-only" and not self.opened.uses_wal:
            allowed_s = min(allowed_s, ROLLBACK_STATEMENT_S)
        own = Deadline(allowed_s)
        self.connection.set_progress_handler(lambda: own.is_over, _PROGRESS_STEPS)
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise OutOfTime from error
            raise
        finally:
            self.connection.set_progress_handler(None, 0)

    def row_count(self, table: Table) -> int:
        """Return how many rows a table has, counting to ``rows_max`` at most."""
        limit = self.limits.rows_max
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {quoted(table.name)} LIMIT {limit})"
        return int(self.value(sql))

    def examples(self, table: Table, condition: str) -> list[int]:
        """Return the rowids of a few rows that meet ``condition``.

        A rowid says which row it is and nothing about anybody. A table WITHOUT
        ROWID, or with a column of that name, has none, and its keys may be names; then
        the list is empty.
        """
        if table.row_key != "rowid":
            return []
        sql = (
            f"SELECT rowid FROM {quoted(table.name)} WHERE {condition}"
            f" LIMIT {EXAMPLES_MAX}"
        )
        try:
            return [row[0] for row in self.rows(sql)]
        except (OutOfTime, sqlite3.Error):
            return []

    def census(self, table: Table) -> TableCensus:
        """Return what kinds of values the columns of ``table`` hold."""
        from lockstep.doctor.sqlite.census import take_census

        known = self._census.get(table.name)
        if known is None or (known.looked_at == 0 and not known.is_complete):
            known = self._census[table.name] = take_census(self, table)
        return known

    def moment_columns(self, table: Table) -> tuple[Column, ...]:
        """Return the columns that hold moments, by name, type or first values."""
        from lockstep.doctor.sqlite.moments import guessed_columns

        if table.name not in self._moment_columns:
            guessed = guessed_columns(self, table)
            self._moment_columns[table.name] = tuple(
                column
                for column in table.columns
                if may_hold_moments(column) or column in guessed
            )
        return self._moment_columns[table.name]

    def moments(self, table: Table, column: str) -> Moments:
        """Return in which units the moments of a column are written."""
        from lockstep.doctor.sqlite.moments import read_moments

        key = (table.name, column)
        if key not in self._moments:
            self._moments[key] = read_moments(self, table, column)
        return self._moments[key]
