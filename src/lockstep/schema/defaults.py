"""Server defaults that are written once and stored right on every engine.

A string given as ``server_default`` of a portable column is the *value's* text:
``"12.50"``, ``"true"``, ``"2026-01-01T00:00:00+00:00"``, ``"[]"``. SQLAlchemy alone
would put that text into the DDL, where SQLite makes 12 units of 10⁻² of ``'12'``
and a text of ``'true'``.

Owns the element that takes such a string's place. It keeps the string, so a
migration can write it down again as it was.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement

from lockstep.errors import InvalidValue
from lockstep.schema.types.portable import PortableType


class StoredDefault(ColumnElement[Any]):
    """A default written as the literal that each engine stores.

    Attributes:
        text: The string that the model gave.
        type: The column's portable type.
    """

    __visit_name__ = "lockstep_stored_default"
    inherit_cache = False

    def __init__(self, text: str, kind: PortableType[Any]) -> None:
        self.text = text
        self.type = kind
        self.value = _value(text, kind)

    def __repr__(self) -> str:
        return repr(self.text)


def _value(text: str, kind: PortableType[Any]) -> Any:
    try:
        return kind.checked(kind.from_text(text))
    except InvalidValue:
        raise
    except (ValueError, ArithmeticError, KeyError) as error:
        raise InvalidValue(
            f"{text!r} is no server default for {kind!r}",
            hint="write the value as text, or an expression such as sa.text('...')",
        ) from error


@compiles(StoredDefault)
def _write(element: StoredDefault, compiler: SQLCompiler, **_: Any) -> str:
    kind = element.type
    assert isinstance(kind, PortableType)
    return kind.literal_processor(compiler.dialect)(element.value)


@event.listens_for(sa.Column, "after_parent_attach")
def _store_default(column: sa.Column[Any], table: object) -> None:
    default = column.server_default
    if not isinstance(column.type, PortableType):
        return
    if isinstance(default, sa.DefaultClause) and isinstance(default.arg, str):
        column.server_default = sa.DefaultClause(
            StoredDefault(default.arg, column.type)
        )
