"""Operations as source code: the body of ``upgrade()`` and ``downgrade()``.

Owns one renderer per operation, registered with Alembic for contexts that our
``env.run`` configured; anybody else's ``env.py`` keeps Alembic's own renderers.
Must not know: databases.

Invariant: what is written needs no name that the file does not import, and says
the same on every engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from alembic.autogenerate import render as alembic_render
from alembic.operations import ops

from lockstep.errors import NotPortable
from lockstep.migrations.operations import (
    AlterEnumOp,
    AlterSqliteOptionsOp,
    CreateTouchTriggerOp,
    DropTouchTriggerOp,
    FillColumnOp,
    RenameConstraintOp,
    TouchTriggerOp,
)
from lockstep.migrations.render.code import (
    Source,
    call,
    indented,
    literal,
    literals,
    sequence,
)
from lockstep.migrations.render.parts import PartRenderer, stated
from lockstep.migrations.render.types import TypeRenderer
from lockstep.migrations.render.values import ValueRenderer
from lockstep.migrations.request import OPTION

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

# From this many changes of one table on they are written as one block, which on
# SQLite is one rebuild instead of several.
BLOCK_OPERATIONS_MIN = 2
_REBUILDING = (
    ops.AlterColumnOp,
    ops.DropColumnOp,
    ops.AddConstraintOp,
    ops.DropConstraintOp,
    RenameConstraintOp,
    TouchTriggerOp,
)


class OperationRenderer:
    """Writes operations; knows whether it is inside a block of one table."""

    def __init__(self, context: AutogenContext) -> None:
        self._context = context
        self._types = TypeRenderer(context.imports)
        self._values = ValueRenderer(context.imports)
        self._parts = PartRenderer(self._types, self._values)
        self._in_block = context._has_batch  # pyright: ignore[reportPrivateUsage]

    def modify_table(self, op: ops.ModifyTableOps) -> list[str]:
        """Write the changes of one table, as a block when they are several."""
        rebuilding = [item for item in op.ops if isinstance(item, _REBUILDING)]
        if len(rebuilding) < BLOCK_OPERATIONS_MIN:
            return [line for item in op.ops for line in self._lines(item)]
        with self._context._within_batch():  # pyright: ignore[reportPrivateUsage]
            body = [line for item in op.ops for line in self._lines(item)]
        head = f"with op.batch_alter_table({literal(str(op.table_name))}) as batch_op:"
        # One text, because Alembic's printer indents only the first line of each.
        return ["\n".join([head, *map(indented, body)])]

    def _lines(self, op: ops.MigrateOperation) -> list[str]:
        return alembic_render.render_op(self._context, op)

    def create_table(self, op: ops.CreateTableOp) -> str:
        """Write a table with everything that stands inside of it."""
        table = op.to_table()
        arguments = [literal(str(op.table_name))]
        arguments += [self._parts.column(column) for column in table.columns]
        arguments += self._parts.constraints(table)
        if table.comment is not None:
            arguments.append(f"comment={literal(table.comment)}")
        arguments += [f"{key}={literal(op.kw[key])}" for key in sorted(op.kw)]
        if op.prefixes:
            arguments.append(f"prefixes={list(op.prefixes)!r}")
        return call("op.create_table", arguments)

    def drop_table(self, op: ops.DropTableOp) -> str:
        """Write a drop."""
        return f"op.drop_table({literal(str(op.table_name))})"

    def create_index(self, op: ops.CreateIndexOp) -> str:
        """Write an index with its expressions and conditions."""
        index = op.to_index()
        keys = [self._parts.index_key(part, op) for part in index.expressions]
        arguments = [self._name(op.index_name), *self._table(op.table_name)]
        arguments += [sequence(keys), f"unique={bool(index.unique)!r}"]
        for key, value in index.dialect_kwargs.items():
            if value is not None and value != {} and value != []:
                arguments.append(f"{key}={self._parts.dialect_value(key, value)}")
        return call(self._operation("create_index"), arguments)

    def drop_index(self, op: ops.DropIndexOp) -> str:
        """Write the drop of an index."""
        arguments = [self._name(op.index_name)]
        if not self._in_block:
            arguments.append(f"table_name={literal(str(op.table_name))}")
        return call(self._operation("drop_index"), arguments)

    def create_unique(self, op: ops.CreateUniqueConstraintOp) -> str:
        """Write a unique constraint."""
        constraint = op.to_constraint()
        arguments = [self._name(op.constraint_name), *self._table(op.table_name)]
        arguments.append(literals(op.columns))
        arguments += stated(
            constraint, "deferrable", "initially"
        ) + self._parts.dialect_options(constraint)
        return call(self._operation("create_unique_constraint"), arguments)

    def create_foreign_key(self, op: ops.CreateForeignKeyOp) -> str:
        """Write a foreign key."""
        arguments = [
            self._name(op.constraint_name),
            *self._table(op.source_table),
            literal(str(op.referent_table)),
            literals(op.local_cols),
            literals(op.remote_cols),
        ]
        arguments += [
            f"{key}={literal(op.kw[key])}"
            for key in ("onupdate", "ondelete", "initially", "deferrable", "match")
            if op.kw.get(key) is not None
        ]
        return call(self._operation("create_foreign_key"), arguments)

    def create_check(self, op: ops.CreateCheckConstraintOp) -> str:
        """Write a check."""
        text = self._parts.check_text(op.condition, op.table_name, op.constraint_name)
        arguments = [self._name(op.constraint_name), *self._table(op.table_name), text]
        return call(self._operation("create_check_constraint"), arguments)

    def create_primary_key(self, op: ops.CreatePrimaryKeyOp) -> str:
        """Write a primary key."""
        arguments = [self._name(op.constraint_name), *self._table(op.table_name)]
        arguments.append(literals(op.columns))
        return call(self._operation("create_primary_key"), arguments)

    def drop_constraint(self, op: ops.DropConstraintOp) -> str:
        """Write the drop of a constraint."""
        if op.constraint_name is None:
            raise NotPortable(
                f"a constraint of {op.table_name!r} has no name and cannot be dropped",
                hint="give the models a naming convention: ls.portable_metadata()",
            )
        arguments = [self._name(op.constraint_name), *self._table(op.table_name)]
        if op.constraint_type is not None:
            arguments.append(f"type_={literal(str(op.constraint_type))}")
        return call(self._operation("drop_constraint"), arguments)

    def rename_constraint(self, op: RenameConstraintOp) -> str:
        """Write the rename of a constraint."""
        arguments = [
            *self._table(op.table_name),
            literal(op.old_name),
            literal(op.new_name),
        ]
        if op.if_exists:
            arguments.append("if_exists=True")
        return call(self._operation("rename_constraint"), arguments)

    def add_column(self, op: ops.AddColumnOp) -> str:
        """Write a new column."""
        arguments = [*self._table(op.table_name), self._parts.column(op.column)]
        return call(self._operation("add_column"), arguments)

    def drop_column(self, op: ops.DropColumnOp) -> str:
        """Write the drop of a column."""
        arguments = [*self._table(op.table_name), literal(str(op.column_name))]
        return call(self._operation("drop_column"), arguments)

    def alter_column(self, op: ops.AlterColumnOp) -> str:
        """Write the change of a column."""
        where = f"{op.table_name}.{op.column_name}"
        arguments = [*self._table(op.table_name), literal(str(op.column_name))]
        if op.existing_type is not None:
            source = self._types.render(op.existing_type, where=where)
            arguments.append(f"existing_type={source}")
        if op.modify_type is not None:
            type_ = sa.types.to_instance(op.modify_type)
            arguments.append(f"type_={self._types.render(type_, where=where)}")
        if op.modify_nullable is not None:
            arguments.append(f"nullable={op.modify_nullable!r}")
        if op.modify_server_default is not False:
            arguments.append(f"server_default={self._default(op, where)}")
        if op.kw.get("autoincrement") is not None:
            arguments.append(f"autoincrement={op.kw['autoincrement']!r}")
        if op.modify_comment is not False:
            arguments.append(f"comment={literal(op.modify_comment)}")
        if op.modify_name is not None:
            arguments.append(f"new_column_name={literal(op.modify_name)}")
        return call(self._operation("alter_column"), arguments)

    def _default(self, op: ops.AlterColumnOp, where: str) -> str:
        default: Any = op.modify_server_default
        if default is None:
            return "None"
        if isinstance(default, sa.Identity | sa.Computed):
            column: sa.Column[Any] = sa.Column(op.column_name, sa.Integer())
            column.server_default = default
            return self._values.positional(column) or "None"
        return self._values.default_value(default, where=where)

    def alter_enum(self, op: AlterEnumOp) -> str:
        """Write the change of an enum's values."""
        where = f"{op.table_name}.{op.column_name}"
        arguments = [
            *self._table(op.table_name),
            literal(op.column_name),
            self._types.render(op.type_, where=where),
            f"existing_type={self._types.render(op.existing_type, where=where)}",
        ]
        if op.rename:
            arguments.append(f"rename={op.rename!r}")
        return call(self._operation("alter_enum"), arguments)

    def fill_column(self, op: FillColumnOp) -> str:
        """Write the filling of a column."""
        where = f"{op.table_name}.{op.column.name}"
        type_ = self._types.render(op.column.type, where=where)
        column = f"sa.Column({literal(str(op.column.name))}, {type_})"
        value = op.value if isinstance(op.value, Source) else Source(literal(op.value))
        self._context.imports.update(value.imports)
        return call("op.fill_column", [literal(op.table_name), column, value.text])

    def create_touch_trigger(self, op: CreateTouchTriggerOp) -> str:
        """Write a touch trigger."""
        return call("op.create_touch_trigger", _touch_arguments(op))

    def drop_touch_trigger(self, op: DropTouchTriggerOp) -> str:
        """Write the drop of a touch trigger."""
        return call("op.drop_touch_trigger", _touch_arguments(op))

    def alter_sqlite_options(self, op: AlterSqliteOptionsOp) -> str:
        """Write a change of STRICT and the like."""
        options = [f"{key}={value!r}" for key, value in sorted(op.options.items())]
        return call("op.alter_sqlite_options", [literal(op.table_name), *options])

    def create_table_comment(self, op: ops.CreateTableCommentOp) -> str:
        """Write a table's comment."""
        arguments = [
            literal(str(op.table_name)),
            literal(op.comment),
            f"existing_comment={literal(op.existing_comment)}",
        ]
        return call("op.create_table_comment", arguments)

    def drop_table_comment(self, op: ops.DropTableCommentOp) -> str:
        """Write the drop of a table's comment."""
        arguments = [
            literal(str(op.table_name)),
            f"existing_comment={literal(op.existing_comment)}",
        ]
        return call("op.drop_table_comment", arguments)

    def _operation(self, name: str) -> str:
        return f"batch_op.{name}" if self._in_block else f"op.{name}"

    def _table(self, name: Any) -> list[str]:
        return [] if self._in_block else [literal(str(name))]

    def _name(self, name: Any) -> str:
        return "None" if name is None else f"op.f({literal(str(name))})"


def _touch_arguments(op: TouchTriggerOp) -> list[str]:
    arguments = [literal(op.table_name), literals(op.key)]
    if op.column != "updated_at":
        arguments.append(f"column={literal(op.column)}")
    return arguments


_METHODS: dict[type[ops.MigrateOperation], Callable[..., Any]] = {
    ops.ModifyTableOps: OperationRenderer.modify_table,
    ops.CreateTableOp: OperationRenderer.create_table,
    ops.DropTableOp: OperationRenderer.drop_table,
    ops.CreateIndexOp: OperationRenderer.create_index,
    ops.DropIndexOp: OperationRenderer.drop_index,
    ops.CreateUniqueConstraintOp: OperationRenderer.create_unique,
    ops.CreateForeignKeyOp: OperationRenderer.create_foreign_key,
    ops.CreateCheckConstraintOp: OperationRenderer.create_check,
    ops.CreatePrimaryKeyOp: OperationRenderer.create_primary_key,
    ops.DropConstraintOp: OperationRenderer.drop_constraint,
    ops.AddColumnOp: OperationRenderer.add_column,
    ops.DropColumnOp: OperationRenderer.drop_column,
    ops.AlterColumnOp: OperationRenderer.alter_column,
    ops.CreateTableCommentOp: OperationRenderer.create_table_comment,
    ops.DropTableCommentOp: OperationRenderer.drop_table_comment,
    AlterEnumOp: OperationRenderer.alter_enum,
    FillColumnOp: OperationRenderer.fill_column,
    RenameConstraintOp: OperationRenderer.rename_constraint,
    AlterSqliteOptionsOp: OperationRenderer.alter_sqlite_options,
    CreateTouchTriggerOp: OperationRenderer.create_touch_trigger,
    DropTouchTriggerOp: OperationRenderer.drop_touch_trigger,
}


def register_renderers() -> None:
    """Let Alembic write with these where ``env.run`` configured the context."""
    for kind, method in _METHODS.items():
        _register(kind, method)


def _register(
    kind: type[ops.MigrateOperation], method: Callable[..., str | list[str]]
) -> None:
    registry = alembic_render.renderers
    try:
        original: Callable[..., Any] | None = registry.dispatch(kind)
    except ValueError:
        original = None

    def render(context: AutogenContext, op: Any) -> list[str]:
        if context.opts.get(OPTION) is None and original is not None:
            return cast("list[str]", original(context, op))
        written = method(OperationRenderer(context), op)
        return [written] if isinstance(written, str) else written

    registry.dispatch_for(kind, replace=True)(render)
