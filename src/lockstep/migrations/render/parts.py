"""Parts of a table as source code: columns, constraints, the keys of an index.

Owns what stands inside of ``op.create_table`` and is an argument elsewhere. Must not
know: blocks, databases.
"""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy import exc as sa_exc
from sqlalchemy.sql.elements import ClauseElement, ColumnClause

from lockstep.errors import NotPortable
from lockstep.migrations.ddl import expression_sql, make_dialect
from lockstep.migrations.render.code import call, literal, literals
from lockstep.migrations.render.types import TypeRenderer
from lockstep.migrations.render.values import ValueRenderer

_DIALECTS = {name: make_dialect(name) for name in ("sqlite", "postgresql")}
_FOREIGN_KEY_OPTIONS = ("onupdate", "ondelete", "initially", "deferrable", "match")


class PartRenderer:
    """Writes parts of tables.

    Args:
        types: Writes the types of columns.
        values: Writes defaults and expressions.
    """

    def __init__(self, types: TypeRenderer, values: ValueRenderer) -> None:
        self._types = types
        self._values = values

    def constraints(self, table: sa.Table) -> list[str]:
        """Write a table's constraints, the primary key first."""
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
            options = stated(constraint, *_FOREIGN_KEY_OPTIONS)
            arguments = [literals(local), literals(remote), *named, *options]
            return "foreign_key", call("sa.ForeignKeyConstraint", arguments, column=8)
        if isinstance(constraint, sa.UniqueConstraint):
            names = [literal(str(column.name)) for column in constraint.columns]
            options = stated(
                constraint, "deferrable", "initially"
            ) + self.dialect_options(constraint)
            return "unique", call(
                "sa.UniqueConstraint", [*names, *named, *options], column=8
            )
        if isinstance(constraint, sa.CheckConstraint):
            text = self.check_text(constraint.sqltext, table, constraint.name)
            return "check", call("sa.CheckConstraint", [text, *named], column=8)
        raise NotPortable(
            f"table {table!r} has a {type(constraint).__name__}, which only one "
            "engine knows",
            hint="state it with op.execute() in a revision for that engine",
        )

    def check_text(self, element: Any, table: str, name: Any) -> str:
        """Write the condition of a check."""
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

    def index_key(self, part: Any, op: ops.CreateIndexOp) -> str:
        """Write a column or an expression that an index is of."""
        if isinstance(part, sa.Column):
            return literal(str(cast("sa.Column[Any]", part).name))
        element: Any = part
        if not isinstance(part, ColumnClause) and hasattr(part, "self_group"):
            # PostgreSQL wants brackets around what is no plain function call.
            element = part.self_group()
        where = f"index {op.index_name} of {op.table_name}"
        return self._values.expression(element, where=where, wrap="sa.literal_column")

    def dialect_value(self, key: str, value: Any) -> str:
        """Write what one engine's option is set to."""
        if isinstance(value, ClauseElement):
            dialect = _DIALECTS[key.partition("_")[0]]
            return f"sa.text({literal(expression_sql(dialect, value))})"
        if isinstance(value, list | tuple):
            items = cast("list[Any]", list(value))  # pyright: ignore[reportUnknownArgumentType]
            return repr([getattr(item, "name", item) for item in items])
        return repr(value)

    def _name_argument(self, name: Any) -> list[str]:
        return [f"name=op.f({literal(str(name))})"] if isinstance(name, str) else []

    def dialect_options(self, item: Any) -> list[str]:
        """Write the options that are for one engine."""
        return [
            f"{key}={self.dialect_value(key, value)}"
            for key, value in item.dialect_kwargs.items()
            if value
        ]


def stated(constraint: sa.Constraint, *names: str) -> list[str]:
    """Write those of the named options that a constraint states."""
    return [
        f"{name}={literal(getattr(constraint, name))}"
        for name in names
        if getattr(constraint, name)
    ]


def _target(element: sa.ForeignKey) -> str:
    try:
        column = element.column
    except sa_exc.InvalidRequestError:
        return str(element.target_fullname)
    return f"{column.table.name}.{column.name}"
