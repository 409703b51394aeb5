"""What is in the database but no longer in the models, as portable objects.

Owns the way back: a dropped table or column is written into ``downgrade()`` as
the history declared it. Only what the history never declared (raw SQL, a database
older than its history) is guessed from the engine's own words.
Must not know: Alembic's operations.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import conv

from lockstep import schema as ls
from lockstep.migrations.ledger import Ledger
from lockstep.migrations.state import (
    CheckState,
    ColumnState,
    ConstraintState,
    ForeignKeyState,
    IndexState,
    SchemaState,
    TableState,
    UniqueState,
)

_NUMBERS = re.compile(r"\((\d+)(?:\s*,\s*(\d+))?\)")
# The first pattern that fits an engine's type decides.
_GUESSES: list[tuple[str, Callable[[list[int]], sa.types.TypeEngine[Any]]]] = [
    (r"uuid", lambda n: ls.Uuid()),
    (r"timestamp with time zone|timestamptz", lambda n: ls.UtcDateTime()),
    (r"timestamp|datetime", lambda n: sa.DateTime()),
    (r"date$", lambda n: ls.Date()),
    (r"time", lambda n: sa.Time()),
    (r"jsonb|json", lambda n: ls.Json()),
    (r"bool", lambda n: ls.Boolean()),
    (r"bigint|int8", lambda n: ls.BigInteger()),
    (r"smallint|int2", lambda n: sa.SmallInteger()),
    (r"int", lambda n: sa.Integer()),
    (r"double|float|real", lambda n: ls.Float()),
    (
        r"numeric|decimal",
        lambda n: ls.Decimal(n[0], n[1]) if len(n) == 2 else sa.Numeric(),
    ),
    (r"char|text|clob", lambda n: ls.Text(n[0]) if n else ls.Text()),
    (r"bytea|blob", lambda n: ls.Blob()),
]


def guess_type(words: str) -> sa.types.TypeEngine[Any]:
    """Return the portable type nearest to an engine's own words."""
    numbers = _NUMBERS.search(words)
    given = [int(part) for part in numbers.groups() if part] if numbers else []
    for pattern, make in _GUESSES:
        if re.search(pattern, words.lower()):
            return make(given)
    return ls.Text()


class OldObjects:
    """Answers what something was, from the history first."""

    def __init__(self, ledger: Ledger, database: SchemaState) -> None:
        self._ledger = ledger
        self._database = database
        self._guessed: dict[str, sa.Table] = {}

    def table(self, name: str) -> sa.Table:
        """Return a table of the database as it would be declared."""
        declared = self._ledger.table(name)
        if declared is not None:
            return declared
        if name not in self._guessed:
            self._guessed[name] = _guess_table(self._database.tables[name])
        return self._guessed[name]

    def column(self, table: str, name: str) -> sa.Column[Any] | None:
        """Return a column as it would be declared; None when it is nowhere."""
        declared = self._ledger.table(table)
        if declared is not None and name in declared.c:
            return declared.c[name]
        state = self._database.tables.get(table)
        if state is None or name not in state.columns:
            return None
        if declared is None:
            return self.table(table).c[name]
        lone = sa.Table(table, sa.MetaData(), _guess_column(state.columns[name]))
        return lone.c[name]

    def constraint(self, table: str, state: ConstraintState) -> sa.Constraint | None:
        """Return a constraint (not an index) as it would be declared."""
        made = self.table(table)
        for constraint in made.constraints:
            if constraint.name is not None and str(constraint.name) == state.name:
                return constraint
        copy = sa.Table(table, sa.MetaData(), *(_bare(c) for c in made.columns))
        constraint = _guess_constraint(state)
        if isinstance(state, ForeignKeyState) and state.table != table:
            sa.Table(
                state.table,
                copy.metadata,
                *(sa.Column(name, sa.Integer()) for name in state.remote_columns),
            )
        if constraint is not None:
            copy.append_constraint(constraint)
        return constraint

    def index(self, table: str, name: str) -> sa.Index | None:
        """Return an index as it would be declared."""
        made = self.table(table)
        for index in made.indexes:
            if str(index.name) == name:
                return index
        state = self._database.tables.get(table)
        found = [] if state is None else [i for i in state.indexes if i.name == name]
        if not found:
            return None
        copy = sa.Table(table, sa.MetaData(), *(_bare(c) for c in made.columns))
        return _guess_index(copy, found[0])


def _bare(column: sa.Column[Any]) -> sa.Column[Any]:
    return sa.Column(column.name, column.type)


def _guess_column(state: ColumnState) -> sa.Column[Any]:
    arguments: list[Any] = []
    options: dict[str, Any] = {}
    if state.generated is not None:
        text, _, kept = state.generated.rpartition(" ")
        arguments.append(sa.Computed(text, persisted=kept == "stored"))
    elif state.identity is not None:
        arguments.append(sa.Identity(always=state.identity.startswith("always")))
    elif state.default is not None and not state.default.startswith("nextval("):
        options["server_default"] = sa.text(state.default)
    return sa.Column(
        state.name,
        guess_type(state.type),
        *arguments,
        nullable=state.nullable,
        comment=state.comment,
        **options,
    )


def _guess_table(state: TableState) -> sa.Table:
    table = sa.Table(
        state.name,
        sa.MetaData(),
        *(_guess_column(column) for column in state.columns.values()),
        comment=state.comment,
    )
    if "strict" in state.options:
        table.dialect_kwargs["sqlite_strict"] = True
    if state.primary_key is not None:
        columns = [table.c[name] for name in state.primary_key.columns]
        key = sa.PrimaryKeyConstraint(*columns, name=_name(state.primary_key.name))
        table.append_constraint(key)
    for item in (*state.uniques, *state.foreign_keys, *state.checks):
        constraint = _guess_constraint(item)
        if isinstance(item, ForeignKeyState) and item.table != state.name:
            target = table.metadata.tables.get(item.table)
            if target is None:
                target = sa.Table(item.table, table.metadata)
            for name in item.remote_columns:
                if name not in target.c:
                    target.append_column(sa.Column(name, sa.Integer()))
        if constraint is not None:
            table.append_constraint(constraint)
    for index in state.indexes:
        _guess_index(table, index)
    return table


def _name(name: str | None) -> Any:
    return None if name is None else conv(name)


def _guess_constraint(state: ConstraintState) -> sa.Constraint | None:
    match state:
        case UniqueState():
            return sa.UniqueConstraint(*state.columns, name=_name(state.name))
        case ForeignKeyState():
            actions = re.match(r"delete (.+?) update (\w+(?: \w+)?)", state.options)
            assert actions is not None, "a snapshot always writes both actions"
            delete, update = (
                None if action == "NO ACTION" else action
                for action in (actions.group(1), actions.group(2).partition(" d")[0])
            )
            late = "deferrable" in state.options
            return sa.ForeignKeyConstraint(
                list(state.columns),
                [f"{state.table}.{name}" for name in state.remote_columns],
                name=_name(state.name),
                ondelete=delete,
                onupdate=update,
                deferrable=late or None,
                initially="DEFERRED" if "deferred" in state.options else None,
            )
        case CheckState():
            return sa.CheckConstraint(state.expression, name=_name(state.name))
        case IndexState():
            return None


def _guess_index(table: sa.Table, state: IndexState) -> sa.Index:
    keys: list[Any] = [
        table.c[key] if key in table.c else sa.literal_column(key) for key in state.keys
    ]
    options: dict[str, Any] = {}
    if state.where is not None:
        options["sqlite_where"] = options["postgresql_where"] = sa.text(state.where)
    return sa.Index(state.name, *keys, unique=state.unique, _table=table, **options)
