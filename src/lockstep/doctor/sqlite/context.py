"""What a check of a SQLite database may ask.

Owns what is found out once and asked by several checks: the schema, the census of a
table, its moments. How a question is kept short is ``questions.py``'s.
"""

from __future__ import annotations

import sqlite3
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.doctor.catalog import Catalog, Column, Table
from lockstep.doctor.findings import EXAMPLES_MAX
from lockstep.doctor.limits import Limits, OutOfTime
from lockstep.doctor.moments import may_hold_moments
from lockstep.doctor.sqlite.catalog import read_catalog
from lockstep.doctor.sqlite.census import TableCensus, take_census
from lockstep.doctor.sqlite.moments import guessed_columns, read_moments
from lockstep.doctor.sqlite.opening import Opened
from lockstep.doctor.sqlite.questions import SqliteQuestions
from lockstep.moments.found import MomentsFound
from lockstep.schema.names import quote_identifier as quoted

if TYPE_CHECKING:
    from lockstep.config import Settings


class SqliteContext(SqliteQuestions):
    """One open SQLite file, or a libSQL server's database.

    Attributes:
        name: How findings call it: the file's name, or the server's.
        settings: Of the project it belongs to; None for a file on its own.
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
        super().__init__(opened, limits)
        self._path = path
        self.name = server if path is None else path.name
        self.settings = settings
        self._census: dict[str, TableCensus] = {}
        self._moments: dict[tuple[str, str], MomentsFound] = {}
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
        return read_catalog(self.opened)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The ordinary tables, in the order they were made."""
        return self.catalog.tables

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
        known = self._census.get(table.name)
        if known is None or (known.looked_at == 0 and not known.is_complete):
            known = self._census[table.name] = take_census(self, table)
        return known

    def moment_columns(self, table: Table) -> tuple[Column, ...]:
        """Return the columns that hold moments, by name, type or first values."""
        if table.name not in self._moment_columns:
            guessed = guessed_columns(self, table)
            self._moment_columns[table.name] = tuple(
                column
                for column in table.columns
                if may_hold_moments(column) or column in guessed
            )
        return self._moment_columns[table.name]

    def moments(self, table: Table, column: str) -> MomentsFound:
        """Return in which units the moments of a column are written."""
        key = (table.name, column)
        if key not in self._moments:
            self._moments[key] = read_moments(self, table, column)
        return self._moments[key]
