"""STRICT tables on SQLite, also with columns of plain SQLAlchemy types.

Owns which tables are STRICT and under which name a column's type appears in one.
A table of a portable metadata is STRICT unless it says ``sqlite_strict=False``.

Invariant: a column in a STRICT table is declared INTEGER, REAL, TEXT, BLOB or
ANY, whatever its SQLAlchemy type calls itself.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.types import TypeEngine

from lockstep.schema.affinity import Affinity, affinity_of

PORTABLE = "lockstep.portable"
"""Key in ``MetaData.info`` that marks a portable metadata."""

STRICT_TYPES = frozenset({"INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY"})

_STORAGE: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (sa.Enum, "TEXT"),
    (sa.Boolean, "INTEGER"),
    (sa.Integer, "INTEGER"),
    # SQLAlchemy binds a Decimal to SQLite as a float.
    (sa.Numeric, "REAL"),
    (sa.Float, "REAL"),
    (sa.DateTime, "TEXT"),
    (sa.Date, "TEXT"),
    (sa.Time, "TEXT"),
    (sa.JSON, "TEXT"),
    (sa.Uuid, "TEXT"),
    (sa.String, "TEXT"),
    (sa.LargeBinary, "BLOB"),
    (sa.BINARY, "BLOB"),
    (sa.VARBINARY, "BLOB"),
)
_OF_AFFINITY: dict[Affinity, str] = {
    "integer": "INTEGER",
    "text": "TEXT",
    "blob": "BLOB",
    "real": "REAL",
    # No strict type keeps whatever number or text it is given, but this one.
    "numeric": "ANY",
}


def strict_type_name(column_type: TypeEngine[Any], dialect: sa.Dialect) -> str:
    """Return the name under which a STRICT table declares a column of this type."""
    implementation = column_type.dialect_impl(dialect)
    while isinstance(implementation, sa.types.TypeDecorator):
        implementation = implementation.impl_instance
    declared = dialect.type_compiler_instance.process(column_type)
    if declared.upper() in STRICT_TYPES:
        return declared.upper()
    for python_type, storage in _STORAGE:
        if isinstance(implementation, python_type):
            return storage
    return _OF_AFFINITY[affinity_of(declared)] if declared.strip() else "ANY"


def is_strict(table: sa.Table) -> bool:
    """Tell whether SQLite is to create this table STRICT."""
    return bool(table.dialect_options["sqlite"]["strict"])


@event.listens_for(sa.Table, "after_parent_attach")
def _make_strict(table: sa.Table, metadata: object) -> None:
    if not isinstance(metadata, sa.MetaData) or not metadata.info.get(PORTABLE):
        return
    # A view's own "in" finds defaults too; only iterating lists what was given.
    if "sqlite_strict" not in list(table.dialect_kwargs):
        table.dialect_kwargs["sqlite_strict"] = True


@compiles(CreateColumn, "sqlite")
def _create_strict_column(create: CreateColumn, compiler: Any, **kw: Any) -> str | None:
    column = create.element
    text: str | None = compiler.visit_create_column(create, **kw)
    if text is None or not is_strict(column.table):
        return text
    return strict_column(column, text, compiler)


def strict_column(column: sa.Column[Any], text: str, compiler: DDLCompiler) -> str:
    """Return a column's DDL with the type's name replaced by a STRICT one.

    Args:
        column: The column the DDL was written for.
        text: ``name TYPE …`` as SQLAlchemy's compiler wrote it.
        compiler: The compiler that wrote it.
    """
    declared = compiler.dialect.type_compiler_instance.process(
        column.type, type_expression=column
    )
    name = compiler.preparer.format_column(column)
    written = f"{name} {declared}"
    assert text.startswith(written), "SQLAlchemy writes a column's name and type first"
    storage = strict_type_name(column.type, compiler.dialect)
    return f"{name} {storage}{text[len(written) :]}"
