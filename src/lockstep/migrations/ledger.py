"""What the history itself declared: portable types, defaults, constraints.

Owns the schema as the revisions' own operations state it. A database knows only
its own types; for the way back from a dropped column, and for what one engine
cannot show of another, the history is the only witness. It is filled while the
history is replayed on a scratch database. Must not know: real databases.

Changes made with raw SQL are not in here; who asks must cope with None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.sql.elements import conv

from lockstep.migrations.operations import (
    AlterEnumOp,
    CreateTouchTriggerOp,
    DropTouchTriggerOp,
)

ConstraintOp = (
    ops.CreateForeignKeyOp
    | ops.CreateUniqueConstraintOp
    | ops.CreateCheckConstraintOp
    | ops.CreatePrimaryKeyOp
)


@dataclass
class LedgerTable:
    """A table as declared so far."""

    name: str
    columns: dict[str, sa.Column[Any]] = field(
        default_factory=dict[str, sa.Column[Any]]
    )
    primary_key: ops.CreatePrimaryKeyOp | None = None
    constraints: list[ConstraintOp] = field(default_factory=list[ConstraintOp])
    indexes: dict[str, ops.CreateIndexOp] = field(
        default_factory=dict[str, ops.CreateIndexOp]
    )
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    comment: str | None = None
    touch_key: list[str] | None = None
    touch_column: str = "updated_at"


class Ledger:
    """Listens to operations and keeps the schema they add up to."""

    def __init__(self, naming: sa.MetaData | None = None) -> None:
        self.tables: dict[str, LedgerTable] = {}
        self._naming = None if naming is None else naming.naming_convention
        self._made: sa.MetaData | None = None

    def record(self, operation: ops.MigrateOperation) -> None:
        """Take an operation that was carried out into account."""
        for kind, method in _METHODS:
            if isinstance(operation, kind):
                method(self, operation)
                self._made = None
                return

    def metadata(self) -> sa.MetaData:
        """Return the declared schema as tables of SQLAlchemy."""
        if self._made is None:
            made = sa.MetaData(naming_convention=self._naming)
            for table in self.tables.values():
                _build(table, made)
            self._made = made
        return self._made

    def table(self, name: str) -> sa.Table | None:
        """Return a table as declared, or None."""
        return self.metadata().tables.get(name)

    def column(self, table: str, name: str) -> sa.Column[Any] | None:
        """Return a column as declared, or None."""
        found = self.tables.get(table)
        return None if found is None else found.columns.get(name)

    def _create_table(self, op: ops.CreateTableOp) -> None:
        made = op.to_table()
        entry = LedgerTable(op.table_name, comment=made.comment)
        entry.options = dict(made.kwargs)
        for column in made.columns:
            entry.columns[column.name] = _template(column)
        for constraint in made.constraints:
            _take_constraint(entry, constraint)
        for index in made.indexes:
            entry.indexes[str(index.name)] = ops.CreateIndexOp.from_index(index)
        self.tables[op.table_name] = entry

    def _drop_table(self, op: ops.DropTableOp) -> None:
        self.tables.pop(op.table_name, None)

    def _rename_table(self, op: ops.RenameTableOp) -> None:
        old, new = op.table_name, str(op.new_table_name)
        entry = self.tables.pop(old, None)
        if entry is None:
            return
        entry.name = new
        self.tables[new] = entry
        for table in self.tables.values():
            for item in table.constraints:
                if isinstance(item, ops.CreateForeignKeyOp):
                    item.referent_table = _swapped(item.referent_table, old, new)
                    item.source_table = _swapped(item.source_table, old, new)
                elif table is entry:
                    item.table_name = new
            if table is entry:
                for index in table.indexes.values():
                    index.table_name = new
                if table.primary_key is not None:
                    table.primary_key.table_name = new

    def _add_column(self, op: ops.AddColumnOp) -> None:
        entry = self.tables.get(op.table_name)
        if entry is None:
            return
        entry.columns[op.column.name] = _template(op.column)
        made = cast("sa.Table | None", op.column.table)
        if made is not None:
            for constraint in made.constraints:
                if not isinstance(constraint, sa.PrimaryKeyConstraint):
                    _take_constraint(entry, constraint)
            for index in made.indexes:
                entry.indexes[str(index.name)] = ops.CreateIndexOp.from_index(index)

    def _drop_column(self, op: ops.DropColumnOp) -> None:
        entry = self.tables.get(op.table_name)
        if entry is None:
            return
        entry.columns.pop(op.column_name, None)
        entry.constraints = [
            item
            for item in entry.constraints
            if op.column_name not in _column_names(item)
        ]
        entry.indexes = {
            name: index
            for name, index in entry.indexes.items()
            if op.column_name not in _index_columns(index)
        }

    def _alter_column(self, op: ops.AlterColumnOp) -> None:
        entry = self.tables.get(op.table_name)
        if entry is None or op.column_name not in entry.columns:
            return
        column = entry.columns[op.column_name]
        if op.modify_type is not None:
            column.type = sa.types.to_instance(op.modify_type)
        if op.modify_nullable is not None:
            column.nullable = op.modify_nullable
        if op.modify_server_default is not False:
            column = _with_default(column, op.modify_server_default)
        if op.modify_comment is not False:
            cast("Any", column).comment = op.modify_comment
        new = op.modify_name or op.column_name
        if new != op.column_name:
            self._rename_column(entry, op.column_name, new)
            column.name = column.key = new
        entry.columns = {
            (new if name == op.column_name else name): (
                column if name == op.column_name else other
            )
            for name, other in entry.columns.items()
        }

    def _rename_column(self, entry: LedgerTable, old: str, new: str) -> None:
        for table in self.tables.values():
            for item in table.constraints:
                if isinstance(item, ops.CreateForeignKeyOp):
                    if table is entry:
                        item.local_cols = _renamed(item.local_cols, old, new)
                    if item.referent_table == entry.name:
                        item.remote_cols = _renamed(item.remote_cols, old, new)
                elif table is entry and isinstance(item, ops.CreateUniqueConstraintOp):
                    item.columns = _renamed(item.columns, old, new)
        if entry.primary_key is not None:
            entry.primary_key.columns = _renamed(entry.primary_key.columns, old, new)
        for index in entry.indexes.values():
            index.columns = [
                new if str(getattr(part, "name", part)) == old else part
                for part in index.columns
            ]
        if entry.touch_key is not None:
            entry.touch_key = _renamed(entry.touch_key, old, new)

    def _alter_enum(self, op: AlterEnumOp) -> None:
        column = self.column(op.table_name, op.column_name)
        if column is not None:
            column.type = op.type_

    def _create_index(self, op: ops.CreateIndexOp) -> None:
        entry = self.tables.get(op.table_name)
        if entry is not None:
            name = str(op.index_name or op.to_index().name)
            entry.indexes[name] = op

    def _drop_index(self, op: ops.DropIndexOp) -> None:
        for entry in self.tables.values():
            if op.table_name in (None, entry.name):
                entry.indexes.pop(str(op.index_name), None)

    def _add_constraint(self, op: ConstraintOp) -> None:
        name = op.source_table if isinstance(op, _FK) else op.table_name
        entry = self.tables.get(name)
        if entry is None:
            return
        if isinstance(op, ops.CreatePrimaryKeyOp):
            entry.primary_key = op
        else:
            entry.constraints.append(op)

    def _drop_constraint(self, op: ops.DropConstraintOp) -> None:
        entry = self.tables.get(op.table_name)
        if entry is None:
            return
        name = str(op.constraint_name)
        key = entry.primary_key
        if key is not None and str(key.constraint_name) == name:
            entry.primary_key = None
        entry.constraints = [
            item for item in entry.constraints if str(_final_name(item)) != name
        ]

    def _comment(self, op: ops.CreateTableCommentOp) -> None:
        if op.table_name in self.tables:
            self.tables[op.table_name].comment = op.comment

    def _no_comment(self, op: ops.DropTableCommentOp) -> None:
        if op.table_name in self.tables:
            self.tables[op.table_name].comment = None

    def _touch(self, op: CreateTouchTriggerOp) -> None:
        if op.table_name in self.tables:
            entry = self.tables[op.table_name]
            entry.touch_key, entry.touch_column = list(op.key), op.column

    def _no_touch(self, op: DropTouchTriggerOp) -> None:
        if op.table_name in self.tables:
            self.tables[op.table_name].touch_key = None


_FK = ops.CreateForeignKeyOp
# The methods take the operation named beside them.
_METHODS: list[tuple[type[Any] | tuple[type[Any], ...], Callable[..., None]]] = [
    (ops.CreateTableOp, Ledger._create_table),  # pyright: ignore[reportPrivateUsage]
    (ops.DropTableOp, Ledger._drop_table),  # pyright: ignore[reportPrivateUsage]
    (ops.RenameTableOp, Ledger._rename_table),  # pyright: ignore[reportPrivateUsage]
    (ops.AddColumnOp, Ledger._add_column),  # pyright: ignore[reportPrivateUsage]
    (ops.DropColumnOp, Ledger._drop_column),  # pyright: ignore[reportPrivateUsage]
    (ops.AlterColumnOp, Ledger._alter_column),  # pyright: ignore[reportPrivateUsage]
    (AlterEnumOp, Ledger._alter_enum),  # pyright: ignore[reportPrivateUsage]
    (ops.CreateIndexOp, Ledger._create_index),  # pyright: ignore[reportPrivateUsage]
    (ops.DropIndexOp, Ledger._drop_index),  # pyright: ignore[reportPrivateUsage]
    (ops.AddConstraintOp, Ledger._add_constraint),  # pyright: ignore[reportPrivateUsage]
    (ops.DropConstraintOp, Ledger._drop_constraint),  # pyright: ignore[reportPrivateUsage]
    (ops.CreateTableCommentOp, Ledger._comment),  # pyright: ignore[reportPrivateUsage]
    (ops.DropTableCommentOp, Ledger._no_comment),  # pyright: ignore[reportPrivateUsage]
    (CreateTouchTriggerOp, Ledger._touch),  # pyright: ignore[reportPrivateUsage]
    (DropTouchTriggerOp, Ledger._no_touch),  # pyright: ignore[reportPrivateUsage]
]


def _template(column: sa.Column[Any]) -> sa.Column[Any]:
    """Return the column alone: no keys, no foreign keys, no checks."""
    made: sa.Column[Any] = sa.Column(
        column.name,
        column.type,
        nullable=column.nullable,
        comment=column.comment,
        autoincrement=column.autoincrement,
    )
    return _with_default(made, column.server_default)


def _with_default(column: sa.Column[Any], default: Any) -> sa.Column[Any]:
    arguments: list[Any] = []
    options: dict[str, Any] = {}
    if isinstance(default, sa.Computed | sa.Identity):
        arguments.append(default._copy())  # pyright: ignore[reportPrivateUsage]
    elif isinstance(default, sa.DefaultClause):
        options["server_default"] = default.arg
    elif default is not None:
        options["server_default"] = default
    return sa.Column(
        column.name,
        column.type,
        *arguments,
        nullable=column.nullable,
        comment=column.comment,
        autoincrement=column.autoincrement,
        **options,
    )


def _take_constraint(entry: LedgerTable, constraint: sa.Constraint) -> None:
    if getattr(constraint, "_type_bound", False):
        return
    made = ops.AddConstraintOp.from_constraint(constraint)
    if isinstance(made, ops.CreatePrimaryKeyOp):
        if made.columns:
            entry.primary_key = made
    else:
        entry.constraints.append(cast("ConstraintOp", made))


def _build(entry: LedgerTable, metadata: sa.MetaData) -> sa.Table:
    table = sa.Table(entry.name, metadata, comment=entry.comment, **entry.options)
    for column in entry.columns.values():
        table.append_column(_with_default(column, column.server_default))
    key = entry.primary_key
    if key is not None:
        table.append_constraint(
            sa.PrimaryKeyConstraint(*_present(table, key.columns), name=_conv(key))
        )
        for name in key.columns:
            if name in table.c:
                table.c[name].primary_key = True
    for item in entry.constraints:
        table.append_constraint(_constraint(item))
    for name, index in entry.indexes.items():
        sa.Index(
            conv(name),
            *_index_parts(table, index.columns),
            unique=index.unique,
            _table=table,
            **index.kw,
        )
    return table


def _constraint(item: ConstraintOp) -> sa.Constraint:
    name = _conv(item)
    if isinstance(item, ops.CreateForeignKeyOp):
        remote = [f"{item.referent_table}.{column}" for column in item.remote_cols]
        options = {
            key: value
            for key, value in item.kw.items()
            if key not in ("source_schema", "referent_schema") and value is not None
        }
        return sa.ForeignKeyConstraint(item.local_cols, remote, name=name, **options)
    if isinstance(item, ops.CreateUniqueConstraintOp):
        return sa.UniqueConstraint(*item.columns, name=name, **item.kw)
    assert isinstance(item, ops.CreateCheckConstraintOp), "primary keys are apart"
    return sa.CheckConstraint(item.condition, name=name, **item.kw)


def _present(table: sa.Table, names: Iterable[str]) -> list[str]:
    return [name for name in names if name in table.c]


def _index_parts(table: sa.Table, parts: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for part in parts:
        if isinstance(part, str):
            found.append(table.c[part] if part in table.c else sa.text(part))
        elif isinstance(part, sa.Column) and part.name in table.c:
            found.append(table.c[part.name])
        else:
            found.append(part)
    return found


def _conv(item: ConstraintOp) -> Any:
    name = _final_name(item)
    return None if name is None else conv(str(name))


def _final_name(item: ConstraintOp) -> Any:
    """Return the name as the database has it, conventions applied."""
    return item.constraint_name


def _column_names(item: ConstraintOp) -> list[str]:
    if isinstance(item, ops.CreateForeignKeyOp):
        return list(item.local_cols)
    if isinstance(item, ops.CreateCheckConstraintOp):
        from lockstep.migrations.sqlite.tokens import names_in

        return list(names_in(str(item.condition)))
    return [str(name) for name in item.columns]


def _index_columns(index: ops.CreateIndexOp) -> list[str]:
    return [str(getattr(part, "name", part)) for part in index.columns]


def _renamed(names: Iterable[Any], old: str, new: str) -> list[Any]:
    return [new if name == old else name for name in names]


def _swapped(name: str, old: str, new: str) -> str:
    return new if name == old else name
