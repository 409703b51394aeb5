"""A database's schema as the checks see it, the same for both engines.

Owns the values that describe tables, columns, indexes and foreign keys. Each
engine's ``catalog`` module fills them in; checks that only need the schema are
written once over these.

Invariant: names are as the database spells them; comparing them folds case on
SQLite, which does so itself, by comparing ``folded`` names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lockstep.schema.names import quote_identifier

Family = Literal[
    "integer",
    "real",
    "decimal",
    "text",
    "blob",
    "boolean",
    "time",
    "date",
    "json",
    "uuid",
    "other",
]
"""What a declared type means to say, whatever the engine makes of it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: As the database spells it.
        declared: The type as it was declared; empty when there is none.
        family: What the declared type means to say.
        nullable: Whether NULL is allowed.
        length_max: Characters that a ``varchar(n)`` allows; None without a limit.
        comment: The comment on the column; empty on SQLite.
    """

    name: str
    declared: str
    family: Family
    nullable: bool = True
    length_max: int | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """One index, the primary key's and the unique constraints' included.

    Attributes:
        name: Its name.
        columns: Plain columns in order; None stands for an expression.
        unique: Whether it refuses duplicates.
        partial: Whether it covers some rows only.
        finds_keys: Whether it finds all rows with a given key: it is not partial, or
            leaves out NULLs only, and is sorted as its columns are.
        comment: The comment on it; empty on SQLite.
        declared: Whether somebody wrote it; False for those that a constraint made.
        special: Whether it is no plain tree over the columns: another method, order,
            collation or operators.
        nulls_equal: Whether two NULLs count as duplicates (PostgreSQL 15).
        sql: The statement that made it, where it is partial or over an expression;
            on SQLite wherever somebody wrote it.
        valid: Whether queries may use it (PostgreSQL).
    """

    name: str
    columns: tuple[str | None, ...]
    unique: bool = False
    partial: bool = False
    finds_keys: bool = True
    comment: str = ""
    declared: bool = True
    special: bool = False
    nulls_equal: bool = False
    sql: str = ""
    valid: bool = True


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One foreign key, simple or composite.

    Attributes:
        columns: The columns that point.
        parent: The table pointed at.
        parent_columns: Its columns; empty when they stand for its primary key and
            it has none.
        on_delete: ``CASCADE``, ``SET NULL``, ``NO ACTION``, …
        name: The constraint's name; empty when it has none.
        number: SQLite's own number of it within the table.
        validated: Whether the engine has checked all rows (PostgreSQL).
    """

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: str = "NO ACTION"
    name: str = ""
    number: int = 0
    validated: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """One ordinary table.

    Attributes:
        name: With its schema in front where that is not the default one.
        columns: In order.
        primary_key: Its columns; empty when none was declared.
        indexes: All of them.
        foreign_keys: Those that it declares.
        sql: The statement that made it; empty on PostgreSQL.
        has_rowid: Whether SQLite numbers its rows.
        strict: Whether it is a STRICT table of SQLite.
        rows_estimate: How many rows it roughly has; None when nobody knows.
        comment: The comment on it; empty on SQLite.
        schema: The schema it is in; empty on SQLite.
    """

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    sql: str = ""
    has_rowid: bool = True
    strict: bool = False
    rows_estimate: int | None = None
    comment: str = ""
    schema: str = ""

    @property
    def plain_name(self) -> str:
        """The name without its schema."""
        return self.name.removeprefix(f"{self.schema}.") if self.schema else self.name

    @property
    def quoted(self) -> str:
        """The name as SQL spells it, with its schema if it has one."""
        return self.beside(self.plain_name)

    def beside(self, name: str) -> str:
        """Return ``name``, in the schema of this table, as SQL spells it."""
        own = quote_identifier(name)
        return f"{quote_identifier(self.schema)}.{own}" if self.schema else own

    @property
    def row_key(self) -> str:
        """What names one row on SQLite: its number, or its primary key, in SQL."""
        hidden = self.column("rowid") is not None and self.primary_key != ("rowid",)
        if self.has_rowid and not hidden:
            return "rowid"
        return ", ".join(map(quote_identifier, self.primary_key)) or "*"

    def rows_where(self, condition: str) -> str:
        """Return the question that names the rows which meet ``condition``."""
        return f"SELECT {self.row_key} FROM {self.quoted} WHERE {condition}"

    def column(self, name: str) -> Column | None:
        """Return the column called ``name``, whatever the case; None without one."""
        wanted = name.lower()
        return next((c for c in self.columns if c.name.lower() == wanted), None)

    def leading(self, columns: tuple[str, ...]) -> Index | None:
        """Return an index over all keys that begins with ``columns``, in any order.

        That is what finds the rows of a foreign key without reading the table.
        """
        wanted = {name.lower() for name in columns}
        for index in self.indexes:
            first = index.columns[: len(wanted)]
            found = {name.lower() for name in first if name is not None}
            if index.finds_keys and found == wanted:
                return index
        return None

    def is_unique(self, columns: tuple[str, ...]) -> bool:
        """Return whether the engine refuses two rows with the same ``columns``."""
        wanted = {name.lower() for name in columns}
        keys = [set(map(str.lower, self.primary_key))] if self.primary_key else []
        keys += [
            {name.lower() for name in index.columns if name is not None}
            for index in self.indexes
            if index.unique and not index.partial and None not in index.columns
        ]
        return wanted in keys


@dataclass(frozen=True, slots=True)
class Catalog:
    """The tables of a database, by name; the engine's own are left out."""

    tables: tuple[Table, ...]

    def table(self, name: str) -> Table | None:
        """Return the table called ``name``, whatever the case; None without one."""
        wanted = name.lower()
        return next((t for t in self.tables if t.name.lower() == wanted), None)
