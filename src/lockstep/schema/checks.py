"""The CHECK constraints that portable types bring with them.

Owns how a type's CHECK reaches the DDL. The constraint hangs on the *column*, so
that ``CREATE TABLE`` and ``ALTER TABLE … ADD COLUMN`` both carry it (SQLite can
add none later), and it is made anew wherever a column meets a table: from the
type alone, in a model as in a plain ``op.create_table`` of a revision.

Invariant: a type's CHECK is called ``ck_<table>_<column>_<kind>``.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.sql.elements import conv

from lockstep.schema.names import constraint_name
from lockstep.schema.types.portable import PortableType, for_driver


class TypeCheck(sa.CheckConstraint):
    """A CHECK that belongs to a column's type; empty where none is needed."""

    def __init__(self, column: sa.Column[Any], table_name: str) -> None:
        column_type = column.type
        assert isinstance(column_type, PortableType)
        name = constraint_name("ck", table_name, column.name, column_type.check_kind)
        super().__init__(
            sa.text(""),
            name=conv(name),
            _type_bound=True,
            _autoattach=False,
        )
        self.column = column

    def __repr__(self) -> str:
        # SQLAlchemy's own would write the column, which writes its checks again.
        return f"TypeCheck({self.name!r})"


def type_check_name(table_name: str, column: sa.Column[Any]) -> str | None:
    """Return the name of the CHECK a column's type brings, or None."""
    if isinstance(column.type, PortableType) and column.type.check_kind:
        return constraint_name("ck", table_name, column.name, column.type.check_kind)
    return None


def type_check_sql(column: sa.Column[Any], dialect: sa.Dialect) -> str | None:
    """Return the condition of the CHECK a column's type brings on a dialect."""
    if not isinstance(column.type, PortableType):
        return None
    name = dialect.identifier_preparer.quote(column.name)
    if for_driver("%", dialect) != "%":
        name = name.replace("%%", "%")
    return column.type.check_sql(name, dialect.name)


@compiles(TypeCheck)
def _write_type_check(check: TypeCheck, compiler: DDLCompiler, **_: Any) -> str:
    condition = type_check_sql(check.column, compiler.dialect)
    if condition is None:
        return ""
    name = compiler.preparer.format_constraint(check)
    return f"CONSTRAINT {name} CHECK ({for_driver(condition, compiler.dialect)})"


@event.listens_for(sa.Column, "after_parent_attach")
def _attach_type_check(column: sa.Column[Any], table: object) -> None:
    if not isinstance(table, sa.Table) or not isinstance(column.type, PortableType):
        return
    if not column.type.check_kind:
        return
    stale = {check for check in column.constraints if isinstance(check, TypeCheck)}
    column.constraints -= stale
    check = TypeCheck(column, table.name)
    # Column() takes constraints only when it is made; this is what it does then.
    check._set_parent_with_dispatch(column)  # pyright: ignore[reportPrivateUsage]
