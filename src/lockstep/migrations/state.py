"""A schema as a database states it, in values that can be compared.

Owns the vocabulary of the comparison: a snapshot of a real database and a
snapshot of the models, built on the same engine, are equal exactly when the
database is as the models want it. Must not know: engines, Alembic.

Invariant: texts in here come from the database itself, so two spellings of one
thing (``now()`` and ``CURRENT_TIMESTAMP``, ``IN (…)`` and ``= ANY (…)``) have
already become one.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ColumnState:
    """A column.

    Attributes:
        type: The type with its length or precision.
        default: The default's text; None without one.
        generated: The expression and how it is kept; None for a plain column.
        identity: The options of an identity column; None for a plain column.
        collation: Only when it is not the type's own.
    """

    name: str
    type: str
    nullable: bool
    default: str | None = None
    generated: str | None = None
    identity: str | None = None
    collation: str | None = None
    comment: str | None = None


@dataclass(frozen=True)
class UniqueState:
    """A primary key or unique constraint; ``options`` as the engine spells them."""

    name: str | None
    columns: tuple[str, ...]
    options: str = ""

    @property
    def meaning(self) -> tuple[object, ...]:
        """What it does, whatever its name."""
        return (tuple(name.lower() for name in self.columns), self.options)


@dataclass(frozen=True)
class ForeignKeyState:
    """A foreign key; ``options`` holds actions, deferral and match."""

    name: str | None
    columns: tuple[str, ...]
    table: str
    remote_columns: tuple[str, ...]
    options: str = ""

    @property
    def meaning(self) -> tuple[object, ...]:
        """What it does, whatever its name; the order of the pairs is free."""
        pairs = zip(self.columns, self.remote_columns, strict=True)
        return (
            tuple(sorted((a.lower(), b.lower()) for a, b in pairs)),
            self.table.lower(),
            self.options,
        )


@dataclass(frozen=True)
class CheckState:
    """A check constraint."""

    name: str | None
    expression: str

    @property
    def meaning(self) -> tuple[object, ...]:
        """What it does, whatever its name."""
        return (self.expression,)


@dataclass(frozen=True)
class IndexState:
    """An index that is no constraint's own.

    Attributes:
        keys: Column or expression with its order, collation and operator class.
        where: The condition of a partial index.
        options: Access method, included columns, NULLS NOT DISTINCT.
    """

    name: str
    unique: bool
    keys: tuple[str, ...]
    where: str | None = None
    options: str = ""

    @property
    def meaning(self) -> tuple[object, ...]:
        """What it does, whatever its name."""
        return (self.unique, self.keys, self.where, self.options)


ConstraintState = UniqueState | ForeignKeyState | CheckState | IndexState


@dataclass
class TableState:
    """A table with everything that hangs on it."""

    name: str
    columns: dict[str, ColumnState] = field(default_factory=dict[str, ColumnState])
    primary_key: UniqueState | None = None
    uniques: list[UniqueState] = field(default_factory=list[UniqueState])
    foreign_keys: list[ForeignKeyState] = field(default_factory=list[ForeignKeyState])
    checks: list[CheckState] = field(default_factory=list[CheckState])
    indexes: list[IndexState] = field(default_factory=list[IndexState])
    triggers: dict[str, str] = field(default_factory=dict[str, str])
    options: frozenset[str] = frozenset()
    comment: str | None = None


@dataclass
class SchemaState:
    """All tables of one schema, by name, without the history's own."""

    tables: dict[str, TableState] = field(default_factory=dict[str, TableState])

    def table(self, name: str) -> TableState:
        """Return a table, made empty when it is new."""
        return self.tables.setdefault(name, TableState(name))
