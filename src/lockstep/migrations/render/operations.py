"""Operations as source code: the body of ``upgrade()`` and ``downgrade()``.

Owns one renderer per operation, registered with Alembic for contexts that our
``env.run`` configured; anybody else's ``env.py`` keeps Alembic's own renderers.
Must not know: databases.

Invariant: what is written needs no name that the file does not import, and says
the same on every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from alembic.autogenerate import render as alembic_render
from alembic.operations import ops
from sqlalchemy import exc as sa_exc
from sqlalchemy.sql.elements import ClauseElement, ColumnClause

from lockstep.errors import NotPortable
from lockstep.migrations.ddl import expression_sql, make_dialect
from lockstep.migrations.operations import (
    AlterEnumOp,
    AlterSqliteOptionsOp,
    CreateTouchTriggerOp,
    DropTouchTriggerOp,
    FillColumnOp,
    RenameConstraintOp,
)
from lockstep.migrations.render.code import (
    call,
    indented,
    literal,
    literals,
    sequence,
)
from lockstep.migrations.render.types import TypeRenderer
from lockstep.migrations.render.values import ValueRenderer

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

MARK = "lockstep_request"
_DIALECTS = {name: make_dialect(name) for name in ("sqlite", "postgresql")}
# From this many changes of one table on they are written as one block, which on
# SQLite is one rebuild instead of several.
BLOCK_OPERATIONS_MIN = 2
_REBUILDING = (
    ops.AlterColumnOp,
    ops.DropColumnOp,
    ops.AddConstraintOp,
    ops.DropConstraintOp,
    RenameConstraintOp,
)


class OperationRenderer:
    """Writes operations; knows whether it is inside a block of one table."""

    def __init__(self, context: AutogenContext) -> None:
        self._context = context
        self._types = TypeRenderer(context.imports)
        self._values = ValueRenderer(context.imports)
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
        arguments += [self.column(column) for column in table.columns]
        arguments += self._constraints(table)
        if table.comment is not None:
            arguments.append(f"comment={literal(table.comment)}")
        arguments += [f"{key}={literal(op.kw[key])}" for key in sorted(op.kw)]
        if op.prefixes:
            arguments.append(f"prefixes={list(op.prefixes)!r}")
        return call("op.create_table", arguments)

    def _constraints(self, table: sa.Table) -> list[str]:
        order = ["primary_key", "foreign_key", "unique", "check"]
        found: list[tuple[int, str]] = []
        for constraint in table.constraints:
            if getattr(constraint, "_type_bound", False):
                continue
            kind, source = self._constraint(constraint, table.name)
            if source is not None:
                found.append((order.index(kind), source))
        return [source for _, source in sorted(found)]

    def _constraint(
        self, constraint: sa.Constraint, table: str
    ) -> tuple[str, str | None]:
        named = self._name_argument(constraint.name)
        if isinstance(constraint, sa.PrimaryKeyConstraint):
            names = [literal(str(column.name)) for column in constraint.columns]
            source = call("sa.PrimaryKeyConstraint", names + named, column=8)
            return "primary_key", source if names else None
        if isinstance(constraint, sa.ForeignKeyConstraint):
            local = [str(element.parent.name) for element in constraint.elements]
            remote = [_target(element) for element in constraint.elements]
            options = _foreign_key_options(constraint)
            arguments = [literals(local), literals(remote), *named, *options]
            return "foreign_key", call("sa.ForeignKeyConstraint", arguments, column=8)
        if isinstance(constraint, sa.UniqueConstraint):
            names = [literal(str(column.name)) for column in constraint.columns]
            options = _deferral(constraint) + self._dialect_options(constraint)
            return "unique", call(
                "sa.UniqueConstraint", [*names, *named, *options], column=8
            )
        if isinstance(constraint, sa.CheckConstraint):
            text = self._check_text(constraint.sqltext, table, constraint.name)
            return "check", call("sa.CheckConstraint", [text, *named], column=8)
        raise NotPortable(
            f"table {table!r} has a {type(constraint).__name__}, which only one "
            "engine knows",
            hint="state it with op.execute() in a revision for that engine",
        )

    def _check_text(self, element: Any, table: str, name: Any) -> str:
        where = f"check {name or ''} of {table}"
        return self._values.expression(element, where=where, wrap=None)

    def column(self, column: sa.Column[Any]) -> str:
        """Write a column without its keys, which are constraints of the table."""
        table = cast("sa.Table | None", column.table)
        where = "" if table is None else f"{table.name}.{column.name}"
        arguments = [
            literal(str(column.name)),
            self._types.render(column.type, where=where),
        ]
        positional = self._values.positional(column)
        if positional is not None:
            arguments.append(positional)
        default = self._values.default(column)
        if default is not None:
            arguments.append(f"server_default={default}")
        if column.autoincrement not in ("auto", None, "ignore_fk"):
            arguments.append(f"autoincrement={column.autoincrement!r}")
        arguments.append(f"nullable={bool(column.nullable)!r}")
        if column.comment is not None:
            arguments.append(f"comment={literal(column.comment)}")
        arguments += [f"{key}={value!r}" for key, value in column.kwargs.items()]
        return call("sa.Column", arguments, column=8)

    def drop_table(self, op: ops.DropTableOp) -> str:
        """Write a drop."""
        return f"op.drop_table({literal(str(op.table_name))})"

    def create_index(self, op: ops.CreateIndexOp) -> str:
        """Write an index with its expressions and conditions."""
        index = op.to_index()
        keys = [self._index_key(part, op) for part in index.expressions]
        arguments = [self._name(op.index_name), *self._table(op.table_name)]
        arguments += [sequence(keys), f"unique={bool(index.unique)!r}"]
        for key, value in index.dialect_kwargs.items():
            if value is not None and value != {} and value != []:
                arguments.append(f"{key}={self._dialect_value(key, value)}")
        return call(self._operation("create_index"), arguments)

    def _index_key(self, part: Any, op: ops.CreateIndexOp) -> str:
        if isinstance(part, sa.Column):
            return literal(str(cast("sa.Column[Any]", part).name))
        element: Any = part
        if not isinstance(part, ColumnClause) and hasattr(part, "self_group"):
            # PostgreSQL wants brackets around what is no plain function call.
            element = part.self_group()
        where = f"index {op.index_name} of {op.table_name}"
        return self._values.expression(element, where=where, wrap="sa.literal_column")

    def _dialect_value(self, key: str, value: Any) -> str:
        if isinstance(value, ClauseElement):
            dialect = _DIALECTS[key.partition("_")[0]]
            return f"sa.text({literal(expression_sql(dialect, value))})"
        if isinstance(value, list | tuple):
            items = cast("list[Any]", list(value))  # pyright: ignore[reportUnknownArgumentType]
            return repr([getattr(item, "name", item) for item in items])
        return repr(value)

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
        arguments += _deferral(constraint) + self._dialect_options(constraint)
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
        text = self._check_text(op.condition, op.table_name, op.constraint_name)
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
        arguments = [*self._table(op.table_name), self.column(op.column)]
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

    def _name_argument(self, name: Any) -> list[str]:
        return [f"name=op.f({literal(str(name))})"] if isinstance(name, str) else []

    def _dialect_options(self, item: Any) -> list[str]:
        return [
            f"{key}={self._dialect_value(key, value)}"
            for key, value in item.dialect_kwargs.items()
            if value
        ]


class Source:
    """A value that is written as this source, with the imports it needs."""

    def __init__(self, text: str, imports: Iterable[str] = ()) -> None:
        self.text = text
        self.imports = tuple(imports)

    def __repr__(self) -> str:
        return self.text


def _touch_arguments(op: CreateTouchTriggerOp | DropTouchTriggerOp) -> list[str]:
    arguments = [literal(op.table_name), literals(op.key)]
    if op.column != "updated_at":
        arguments.append(f"column={literal(op.column)}")
    return arguments


def _target(element: sa.ForeignKey) -> str:
    try:
        column = element.column
    except sa_exc.InvalidRequestError:
        return str(element.target_fullname)
    return f"{column.table.name}.{column.name}"


def _foreign_key_options(constraint: sa.ForeignKeyConstraint) -> list[str]:
    names = ("onupdate", "ondelete", "initially", "deferrable", "match")
    return [
        f"{name}={literal(getattr(constraint, name))}"
        for name in names
        if getattr(constraint, name)
    ]


def _deferral(constraint: sa.Constraint) -> list[str]:
    return [
        f"{name}={literal(getattr(constraint, name))}"
        for name in ("deferrable", "initially")
        if getattr(constraint, name)
    ]


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


def _register(
    kind: type[ops.MigrateOperation], method: Callable[..., str | list[str]]
) -> None:
    registry = alembic_render.renderers
    try:
        original: Callable[..., Any] | None = registry.dispatch(kind)
    except ValueError:
        original = None

    def render(context: AutogenContext, op: Any) -> list[str]:
        if context.opts.get(MARK) is None and original is not None:
            return cast("list[str]", original(context, op))
        written = method(OperationRenderer(context), op)
        return [written] if isinstance(written, str) else written

    registry.dispatch_for(kind, replace=True)(render)


for _kind, _method in _METHODS.items():
    _register(_kind, _method)

__all__ = ["MARK", "OperationRenderer", "Source"]
