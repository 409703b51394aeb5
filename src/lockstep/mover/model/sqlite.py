"""A SQLite file's own tables as plain values, whoever designed them.

Owns what a column, a key, an index, a table and a whole file are described by.
``sqlite/catalog.py`` fills them in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from lockstep.migrations.sqlite.tokens import fold
from lockstep.schema.affinity import Affinity, affinity_of

TableKind = Literal["table", "virtual", "shadow"]

_SHOWN_ONLY = frozenset({"dbstat", "fts3tokenize", "fts4aux", "fts5vocab"})
"""Modules whose tables show another one's insides, and cannot be written."""


@dataclass
class Column:
    """A column as declared.

    Attributes:
        declared: The words of its type; empty where there are none.
        key_position: Its place in the primary key from 1; 0 outside of it.
        generated: ``virtual``, ``stored`` or empty.
    """

    name: str
    declared: str
    not_null: bool
    default: str | None
    key_position: int
    generated: str = ""
    expression: str = ""
    collation: str = "BINARY"

    @property
    def affinity(self) -> Affinity:
        """What SQLite makes of the declared type."""
        return affinity_of(self.declared)


@dataclass
class ForeignKey:
    """A foreign key; ``referred`` may be empty: the parent's primary key.

    ``number`` is SQLite's own, by which ``foreign_key_check`` names it; ``deferral``
    are the words that say when it is looked at, empty for with each statement.
    """

    columns: list[str]
    parent: str
    referred: list[str]
    on_update: str
    on_delete: str
    number: int = 0
    deferral: str = ""


@dataclass
class IndexPart:
    """A column of an index, or an expression (``column`` is None)."""

    column: str | None
    descending: bool
    collation: str


@dataclass
class Index:
    """An index; ``origin`` is ``c`` (CREATE INDEX), ``u`` (UNIQUE) or ``pk``."""

    name: str
    unique: bool
    origin: str
    partial: bool
    parts: list[IndexPart]
    sql: str | None


@dataclass
class Table:
    """A table that holds rows.

    Attributes:
        rowid_name: A name by which the rowid can be asked for; None without one.
        rowid_alias: The column that is the rowid itself.
        sequence: The highest key ever given, of an AUTOINCREMENT table.
        uncomputable: Virtual columns that were taken out of ``columns`` because
            SQLite fails to compute them, and why.
    """

    name: str
    kind: TableKind
    sql: str
    columns: list[Column]
    without_rowid: bool = False
    strict: bool = False
    rowid_alias: str | None = None
    rowid_name: str | None = None
    autoincrement: bool = False
    sequence: int | None = None
    foreign_keys: list[ForeignKey] = field(default_factory=list[ForeignKey])
    indexes: list[Index] = field(default_factory=list[Index])
    checks: list[tuple[str | None, str]] = field(
        default_factory=list[tuple[str | None, str]]
    )
    problem: str = ""
    module: str = ""
    uncomputable: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def is_contentless(self) -> bool:
        """Whether it is a full-text index that keeps no text to be read back."""
        return is_contentless(self.sql)

    @property
    def key(self) -> list[str]:
        """The columns of the primary key, in its order."""
        inside = [column for column in self.columns if column.key_position]
        return [c.name for c in sorted(inside, key=lambda c: c.key_position)]

    @property
    def opens_cells(self) -> bool:
        """Whether SQLite opens its cells: by a rowid, where none is computed."""
        is_computed = self.uncomputable or any(c.generated for c in self.columns)
        return self.rowid_name is not None and not is_computed

    def column(self, name: str) -> Column | None:
        """Return a column; names are compared as SQLite does."""
        for column in self.columns:
            if fold(column.name) == fold(name):
                return column
        return None


@dataclass
class StoredStatement:
    """A view or a trigger, as it was written; ``problem``: why it cannot be parsed."""

    kind: Literal["view", "trigger"]
    name: str
    table: str
    sql: str
    problem: str = ""


@dataclass
class Schema:
    """All of a file.

    Attributes:
        tables: With virtual and shadow tables, in the order of the file.
        objects: Every statement of the file by (type, name), to make it again.
        unparsable_indexes: Those that this SQLite passes over, and why.
    """

    tables: list[Table]
    statements: list[StoredStatement]
    objects: list[tuple[str, str, str]]
    encoding: str
    unparsable_indexes: dict[str, str] = field(default_factory=dict[str, str])

    def table(self, name: str) -> Table | None:
        """Return a table; names are compared as SQLite does."""
        return self._by_name.get(fold(name))

    @cached_property
    def _by_name(self) -> dict[str, Table]:
        return {fold(table.name): table for table in reversed(self.tables)}


def is_contentless(sql: str) -> bool:
    """Whether a statement makes a full-text index that gives no text back.

    Example:
        >>> is_contentless("CREATE VIRTUAL TABLE f USING fts5(body, content = '')")
        True

    See https://sqlite.org/fts5.html#contentless_tables
    """
    text = "".join(sql.split()).lower()
    is_index = text.startswith("createvirtual") and "usingfts" in text
    return is_index and ("content=''" in text or 'content=""' in text)


def owns_nothing(table: Table) -> bool:
    """Whether a virtual table only indexes or shows what another one owns."""
    if table.module in _SHOWN_ONLY:
        return True
    text = "".join(table.sql.split()).lower()
    is_index = table.module.startswith("fts") and "content=" in text
    return is_index and not table.is_contentless
