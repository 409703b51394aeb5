"""What a column type holds, seen as a Python value.

Owns the families between which a type change is exact, and the bridge of one
Python value into another family. PostgreSQL converts with SQL of its own
(``postgresql/conversion.py``); both refuse the same changes.
Must not know: connections.

Invariant: a value crosses the bridge unchanged in meaning, or ``InvalidValue``
is raised. Nothing is rounded, cut or guessed.
"""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Callable
from typing import Any, Literal, NoReturn

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, TypeEngine

from lockstep.errors import InvalidValue
from lockstep.schema import (
    Array,
    BigInteger,
    Blob,
    Boolean,
    Date,
    Decimal,
    Enum,
    Float,
    Json,
    Text,
    UtcDateTime,
    Uuid,
)

Kind = Literal[
    "boolean",
    "integer",
    "decimal",
    "float",
    "text",
    "uuid",
    "moment",
    "datetime",
    "date",
    "time",
    "json",
    "array",
    "blob",
    "other",
]

_PORTABLE: list[tuple[type[TypeEngine[Any]], Kind]] = [
    (Boolean, "boolean"),
    (BigInteger, "integer"),
    (Decimal, "decimal"),
    (Float, "float"),
    (Text, "text"),
    (Enum, "text"),
    (Uuid, "uuid"),
    (UtcDateTime, "moment"),
    (Date, "date"),
    (Json, "json"),
    (Array, "array"),
    (Blob, "blob"),
]
_PLAIN: list[tuple[type[TypeEngine[Any]], Kind]] = [
    (sa.Enum, "text"),
    (sa.Boolean, "boolean"),
    (sa.Integer, "integer"),
    (sa.Float, "float"),
    (sa.Numeric, "decimal"),
    (sa.String, "text"),
    (sa.Uuid, "uuid"),
    (sa.DateTime, "datetime"),
    (sa.Date, "date"),
    (sa.Time, "time"),
    (sa.JSON, "json"),
    (sa.LargeBinary, "blob"),
]

# From a family, the families a value can always be tried in; the same family is
# always possible. What is not here needs a new column and a data migration.
CHANGES: dict[Kind, frozenset[Kind]] = {
    "boolean": frozenset[Kind]({"integer", "text", "json"}),
    "integer": frozenset[Kind]({"boolean", "decimal", "float", "text", "json"}),
    "decimal": frozenset[Kind]({"integer", "float", "text"}),
    "float": frozenset[Kind]({"integer", "decimal", "text"}),
    "text": frozenset[Kind](
        {
            "integer",
            "decimal",
            "float",
            "boolean",
            "uuid",
            "moment",
            "datetime",
            "date",
            "json",
            "blob",
        }
    ),
    "uuid": frozenset[Kind]({"text"}),
    "moment": frozenset[Kind]({"datetime", "date", "text"}),
    "datetime": frozenset[Kind]({"moment", "date", "text"}),
    "date": frozenset[Kind]({"moment", "datetime", "text"}),
    "json": frozenset[Kind]({"text"}),
    "array": frozenset[Kind]({"json"}),
    "blob": frozenset[Kind]({"text"}),
}


def kind_of(type_: TypeEngine[Any]) -> Kind:
    """Return the family of a type; ``other`` when it is nobody's."""
    for class_, kind in _PORTABLE:
        if isinstance(type_, class_):
            return kind
    while isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    for class_, kind in _PLAIN:
        if isinstance(type_, class_):
            if kind == "datetime" and getattr(type_, "timezone", False):
                return "moment"
            return kind
    return "other"


def can_change(old: Kind, new: Kind) -> bool:
    """Whether values of one family may be tried in another."""
    return old == new or new in CHANGES.get(old, frozenset())


def bridge(value: Any, kind: Kind) -> Any:
    """Return a value in another family.

    Raises:
        InvalidValue: It has no equal there. The message does not show it.
    """
    try:
        return _BRIDGES[kind](value)
    except InvalidValue:
        raise
    except (ValueError, ArithmeticError, TypeError, LookupError):
        _refuse(value, kind)


def _refuse(value: Any, kind: str) -> NoReturn:
    raise InvalidValue(f"a {type(value).__name__} value is no {kind}")


def _boolean(value: Any) -> bool:
    words = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    if isinstance(value, str):
        return words[value.lower()]
    if value in (0, 1):
        return bool(value)
    _refuse(value, "boolean")


def _integer(value: Any) -> int:
    if isinstance(value, str):
        if str(int(value)) != value:
            _refuse(value, "integer")
        return int(value)
    if int(value) != value or (isinstance(value, float) and abs(value) >= 2**53):
        _refuse(value, "integer")
    return int(value)


def _decimal(value: Any) -> decimal.Decimal:
    made = decimal.Decimal(repr(value) if isinstance(value, float) else value)
    if not made.is_finite():
        _refuse(value, "decimal")
    return made


def _float(value: Any) -> float:
    made = float(value)
    if isinstance(value, int | decimal.Decimal) and _decimal(made) != value:
        _refuse(value, "float")
    return made


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | uuid.UUID():
            return str(value)
        case decimal.Decimal():
            return format(value, "f")
        case float():
            return repr(value).removesuffix(".0")
        case datetime.datetime():
            return _moment_text(value)
        case datetime.date():
            return value.isoformat()
        case bytes():
            return value.decode("utf-8")
        case _:
            return json.dumps(value, ensure_ascii=False)


def _moment_text(value: datetime.datetime) -> str:
    aware = value.utcoffset() is not None
    moment = value.astimezone(datetime.UTC).replace(tzinfo=None) if aware else value
    return moment.isoformat(timespec="microseconds") + ("Z" if aware else "")


def _uuid(value: Any) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def _moment(value: Any) -> datetime.datetime:
    made = _any_datetime(value)
    # Connections speak UTC on PostgreSQL, so a moment without a zone is UTC there.
    return made if made.utcoffset() is not None else made.replace(tzinfo=datetime.UTC)


def _naive(value: Any) -> datetime.datetime:
    made = _any_datetime(value)
    if made.utcoffset() is None:
        return made
    return made.astimezone(datetime.UTC).replace(tzinfo=None)


def _any_datetime(value: Any) -> datetime.datetime:
    if isinstance(value, str):
        return datetime.datetime.fromisoformat(value)
    if isinstance(value, datetime.datetime):
        return value
    if isinstance(value, datetime.date):
        return datetime.datetime.combine(value, datetime.time())
    _refuse(value, "moment")


def _date(value: Any) -> datetime.date:
    if isinstance(value, str):
        return datetime.date.fromisoformat(value)
    if isinstance(value, datetime.datetime):
        naive = _naive(value)
        if naive.time() != datetime.time():
            _refuse(value, "date")
        return naive.date()
    if isinstance(value, datetime.date):
        return value
    _refuse(value, "date")


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _blob(value: Any) -> bytes:
    return value.encode("utf-8") if isinstance(value, str) else bytes(value)


def _same(value: Any) -> Any:
    return value


_BRIDGES: dict[Kind, Callable[[Any], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "decimal": _decimal,
    "float": _float,
    "text": _text,
    "uuid": _uuid,
    "moment": _moment,
    "datetime": _naive,
    "date": _date,
    "time": _same,
    "json": _json,
    "array": _same,
    "blob": _blob,
    "other": _same,
}
