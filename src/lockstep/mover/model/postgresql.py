"""A PostgreSQL database's own tables as plain values, whoever designed them.

Owns what a column, a key, an index, a table, a view and a whole database are described
by. ``postgresql/catalog.py`` and ``others.py`` fill them in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from lockstep.migrations.sqlite.tokens import quote


@dataclass(frozen=True, slots=True)
class PgOther:
    """Something that does not travel.

    Attributes:
        kind: ``view``, ``trigger``, ``function`` …
        why: The reason, one sentence.
        is_data: Whether values are left behind, not only behaviour.
        sql: What the server says that it is; empty where that is not asked.
    """

    kind: str
    schema: str
    name: str
    why: str
    is_data: bool = False
    sql: str = ""

    @property
    def shown(self) -> str:
        """Its name as a person reads it; ``public`` is left out."""
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class PgView:
    """A view and its query, in which every name of a table has its schema.

    Attributes:
        columns: Their names and types, in order.
    """

    schema: str
    name: str
    sql: str
    columns: list[tuple[str, str]]

    @property
    def shown(self) -> str:
        """Its name as a person reads it; ``public`` is left out."""
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"


@dataclass
class PgColumn:
    """A column; ``type`` is the base type behind a domain, without modifiers.

    Attributes:
        labels: The values of its type, if that is an enumeration.
        domain_checks: What its domain asks of every value.
        may_be_null: Whether a row can hold NULL; even a domain that is NOT NULL lets
            it in with the result of an outer join or an empty subquery.
        is_folded: Whether two of its texts can be equal and not the same.
        plain_type: That which its values have, with its modifiers; None where
            reading one could run what the database's owner wrote.
        constant: What its default gives every new row, as PostgreSQL writes it;
            None where that is not known.
    """

    name: str
    type: str
    full_type: str
    not_null: bool
    default: str | None
    identity: bool
    generated: bool
    length_max: int | None
    comment: str | None
    labels: list[str] = field(default_factory=list[str])
    domain_checks: list[str] = field(default_factory=list[str])
    may_be_null: bool = True
    is_folded: bool = False
    plain_type: str | None = None
    constant: str | None = None


@dataclass
class PgKey:
    """A constraint of the kinds ``p``, ``u``, ``f``, ``c`` and ``x``.

    Attributes:
        refers_to: The full name of a foreign key's parent; empty where that is no
            table of the schema's own: a partition, or the system's.
        referred_columns: What stands behind ``referred`` there.
    """

    kind: str
    name: str
    columns: list[str]
    definition: str
    parent_schema: str = ""
    parent: str = ""
    referred: list[str] = field(default_factory=list[str])
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"
    deferral: str = ""
    refers_to: str = ""
    referred_columns: list[PgColumn] = field(default_factory=list[PgColumn])


@dataclass
class PgIndex:
    """An index that no constraint owns; expressions are None in ``columns``.

    Attributes:
        is_valid: Whether all rows are in it; one that was being built when its
            statement failed is not, and may hold a key twice.
    """

    name: str
    unique: bool
    method: str
    columns: list[str | None]
    expressions: list[str]
    descending: list[bool]
    condition: str | None
    definition: str
    is_valid: bool = True


@dataclass
class PgTable:
    """A table that holds rows; a partitioned one stands for its partitions.

    Attributes:
        is_heap: Its rows lie in pages of its own, so that a place among them can
            be read from.
        full_name: What plans call it; ``public``, or what is home instead, is left
            out, and quotes tell ``a."b.c"`` from ``"a.b".c`` where both are there.
        problem: Why not all of its rows can be read; empty where they can.
        has_heirs: Whether a query of it shows rows of other tables, too, that inherit
            from it and are tables of their own.
    """

    schema: str
    name: str
    columns: list[PgColumn]
    keys: list[PgKey] = field(default_factory=list[PgKey])
    indexes: list[PgIndex] = field(default_factory=list[PgIndex])
    sequence: int | None = None
    sequence_column: str | None = None
    sequence_step: int = 1
    comment: str | None = None
    rows_estimated: int = 0
    is_partitioned: bool = False
    is_heap: bool = False
    problem: str = ""
    has_heirs: bool = False
    full_name: str = ""

    def __post_init__(self) -> None:
        if not self.full_name:
            is_public = self.schema == "public"
            self.full_name = self.name if is_public else f"{self.schema}.{self.name}"

    def column(self, name: str) -> PgColumn:
        """Return a column by name, which it has."""
        return next(column for column in self.columns if column.name == name)

    @property
    def place(self) -> str:
        """What to read from: a table that others inherit from without theirs."""
        only = "" if self.is_partitioned else "ONLY "
        return f"{only}{quote(self.schema)}.{quote(self.name)}"

    @property
    def primary_key(self) -> list[str]:
        """The columns of the primary key."""
        for key in self.keys:
            if key.kind == "p":
                return key.columns
        return []


@dataclass
class PgSchema:
    """All of a database, and what of it holds no rows of its own.

    Attributes:
        home: The schema whose name plans leave out.
    """

    tables: list[PgTable]
    others: list[PgOther]
    views: list[PgView] = field(default_factory=list[PgView])
    home: str = "public"

    def table(self, schema: str, name: str) -> PgTable | None:
        """Return a table by name."""
        return self._by_name.get((schema, name))

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], PgTable]:
        return {(table.schema, table.name): table for table in self.tables}

    @cached_property
    def by_full_name(self) -> dict[str, PgTable]:
        """The tables by what plans call them."""
        return {table.full_name: table for table in self.tables}
