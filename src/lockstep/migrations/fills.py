"""What rows that exist already get in a column that must have a value.

Owns the choice: the model's own Python default on the way up; on the way back,
where the dropped values are gone for good, a neutral value of the type.
Must not know: databases.
"""

from __future__ import annotations

import datetime
import enum
import inspect
from typing import Any, cast

import sqlalchemy as sa

from lockstep import schema as ls
from lockstep.migrations.kinds import kind_of
from lockstep.migrations.render.code import Source, literal

_NEUTRAL: dict[str, Any] = {
    "boolean": False,
    "integer": 0,
    "decimal": Source("0"),
    "float": 0.0,
    "text": "",
    "json": Source("{}"),
    "array": Source("[]"),
    "blob": b"",
    "moment": Source(
        "datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)", ["import datetime"]
    ),
    "datetime": Source("datetime.datetime(1970, 1, 1)", ["import datetime"]),
    "date": Source("datetime.date(1970, 1, 1)", ["import datetime"]),
}


def value_of_model(column: sa.Column[Any]) -> Source | None:
    """Return what the model gives a new row in this column; None when nothing.

    A function of the application is not written into a revision: it will change
    or move. Clocks and UUIDs are recognised by what they return.
    """
    default: Any = column.default
    if default is None:
        return None
    argument = default.arg
    if isinstance(default, sa.ColumnDefault) and default.is_scalar:
        return _literal(argument)
    if default.is_callable:
        return _function(column, argument)
    return None


def _literal(value: Any) -> Source | None:
    if isinstance(value, enum.Enum):
        value = value.value if isinstance(value.value, str) else value.name
    if isinstance(value, bool | int | float | str | bytes):
        return Source(literal(value))
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return Source(repr(value), ["import datetime"])
    if type(value).__name__ == "Decimal":
        return Source(f"decimal.{value!r}", ["import decimal"])
    if type(value).__name__ == "UUID":
        return Source(f"uuid.{value!r}", ["import uuid"])
    if isinstance(value, dict | list) and not value:
        return Source(repr(cast("object", value)))
    return None


def _function(column: sa.Column[Any], function: Any) -> Source | None:
    kind = kind_of(column.type)
    if kind == "uuid":
        return Source("ls.uuid7")
    if kind == "moment":
        return Source("ls.utc_now()")
    plain = inspect.unwrap(function)
    if plain in (dict, list) or getattr(plain, "__name__", "") in ("dict", "list"):
        return Source("{}" if kind == "json" and plain is dict else "[]")
    return None


def neutral_value(column: sa.Column[Any]) -> Source | None:
    """Return a value that says nothing; None where every value would say something.

    A unique column and a foreign key have none.
    """
    if column.foreign_keys or _must_differ(column):
        return None
    values = getattr(column.type, "stored_values", None)
    values = values or getattr(column.type, "enums", None)
    if values:
        return Source(literal(values[0]))
    if isinstance(column.type, ls.Uuid) or kind_of(column.type) == "uuid":
        return Source("ls.uuid7")
    value = _NEUTRAL.get(kind_of(column.type))
    if value is None:
        return None
    return value if isinstance(value, Source) else Source(literal(value))


def _must_differ(column: sa.Column[Any]) -> bool:
    table: Any = column.table
    if table is None:
        return False
    unique = [c for c in table.constraints if isinstance(c, sa.UniqueConstraint)]
    indexes = [index for index in table.indexes if index.unique]
    return any(column.name in item.columns for item in (*unique, *indexes))
