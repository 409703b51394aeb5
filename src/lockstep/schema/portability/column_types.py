"""Types that store, sort or limit differently per engine.

SQLAlchemy's own types keep SQLAlchemy's behaviour in a model; this is where one
learns what that behaviour is. Types whose values come back, compare and sort
alike everywhere (``Date``, ``LargeBinary``, ``Uuid``, ``PickleType``) are silent.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from lockstep.schema.portability.registry import (
    Finding,
    Findings,
    column_check,
    place,
)
from lockstep.schema.types.portable import PortableType
from lockstep.schema.types.text import Text

_REAL_DIGITS_MAX = 24
"""PostgreSQL's ``float(p)`` is 4 bytes up to this precision."""


class _Verdict(NamedTuple):
    code: str
    message: str
    reason: str
    fix: str


def _finding(column: sa.Column[Any], verdict: _Verdict) -> Finding:
    code, message, reason, fix = verdict
    return Finding(code, place(column), message, reason, fix)


_NUMERIC = _Verdict(
    "numeric",
    "Numeric loses digits on SQLite",
    "SQLite stores it as a 64-bit float: of 18 digits about 15 survive.",
    "Use lockstep.Decimal(precision, scale) or lockstep.Money().",
)
_REAL = _Verdict(
    "real",
    "REAL is a float of 4 bytes on PostgreSQL",
    "SQLite keeps 8 bytes: 89.99 comes back as 89.98999786376953 from PostgreSQL.",
    "Use lockstep.Float(), or lockstep.Money() for amounts.",
)
_INTEGER = _Verdict(
    "integer-32",
    "the integer has 32 bits or fewer on PostgreSQL",
    "SQLite stores 64 bits: what it accepts may not fit after a move.",
    "Use lockstep.BigInteger().",
)
_DATETIME = _Verdict(
    "naive-datetime",
    "the datetime has no zone",
    "A naive datetime does not say when; SQLite drops the zone that is given.",
    "Use lockstep.UtcDateTime().",
)
_ZONED = _Verdict(
    "zoned-datetime",
    "DateTime(timezone=True) loses its zone on SQLite",
    "PostgreSQL stores the moment, SQLite the wall clock without the zone.",
    "Use lockstep.UtcDateTime().",
)
_TIME = _Verdict(
    "zoned-time",
    "Time(timezone=True) loses its zone on SQLite",
    "PostgreSQL stores the zone, SQLite only the wall clock.",
    "Store a moment with lockstep.UtcDateTime(), or Time() without a zone.",
)
_INTERVAL = _Verdict(
    "interval",
    "Interval is a date near 1970 on SQLite",
    "PostgreSQL calculates with it and sorts it; SQLite stores a text.",
    "Store seconds or microseconds in lockstep.BigInteger().",
)
_JSON = _Verdict(
    "plain-json",
    "JSON compares and casts differently per engine",
    "PostgreSQL's json has no equality, and its casts raise where SQLite converts.",
    "Use lockstep.Json().",
)
_ENUM = _Verdict(
    "enum-without-check",
    "the Enum is not checked on SQLite",
    "PostgreSQL makes a type; SQLite accepts any text, and reading it then fails.",
    "Use lockstep.Enum(...): text with a named CHECK on every engine.",
)
_BOOLEAN = _Verdict(
    "boolean-without-check",
    "the Boolean is not checked on SQLite",
    "PostgreSQL refuses 2; SQLite stores it.",
    "Use lockstep.Boolean().",
)
_COLLATION = _Verdict(
    "collation",
    "text sorts differently per engine",
    "PostgreSQL sorts by the database's locale, SQLite by bytes: 'b' < 'C' or not.",
    "Use lockstep.Text(): byte order on every engine.",
)
_NAMED_COLLATION = _Verdict(
    "collation",
    "the collation exists on one engine only",
    "PostgreSQL and SQLite share no collation, and sort accordingly.",
    "Use lockstep.Text() and sort for people in the application.",
)
_LENGTH = _Verdict(
    "string-length",
    "the length is not checked on SQLite",
    "PostgreSQL refuses a longer text; SQLite stores it.",
    "Use lockstep.Text(length).",
)
_ENGINE_TYPE = _Verdict(
    "engine-type",
    "the type belongs to one engine",
    "The other engine has no such type, or stores something else under its name.",
    "Use a portable type, or with_variant() and a test of your own.",
)
_CUSTOM = _Verdict(
    "custom-type",
    "a type of your own is stored as each engine understands its name",
    "SQLite reads only parts of a type's name (INT, CHAR, BLOB, REAL).",
    "Build it as a TypeDecorator over a portable type.",
)


def _plain_verdicts(kind: TypeEngine[Any]) -> list[_Verdict]:
    """Return what is to be said of one of SQLAlchemy's own types."""
    if isinstance(kind, sa.ARRAY) or ".dialects." in type(kind).__module__:
        return [_ENGINE_TYPE]
    if isinstance(kind, sa.Enum):
        return [] if not kind.native_enum and kind.create_constraint else [_ENUM]
    if isinstance(kind, sa.String):
        return _string_verdicts(kind)
    if isinstance(kind, sa.Boolean):
        return [] if kind.create_constraint else [_BOOLEAN]
    if isinstance(kind, sa.BigInteger):
        return []
    if isinstance(kind, sa.Integer):
        return [_INTEGER]
    return _rarer_verdicts(kind)


def _rarer_verdicts(kind: TypeEngine[Any]) -> list[_Verdict]:
    if isinstance(kind, sa.Float):
        return [_REAL] if _is_four_bytes(kind) else []
    if isinstance(kind, sa.Numeric):
        return [_NUMERIC]
    if isinstance(kind, sa.DateTime):
        return [_ZONED if kind.timezone else _DATETIME]
    if isinstance(kind, sa.Time):
        return [_TIME] if kind.timezone else []
    if isinstance(kind, sa.Interval):
        return [_INTERVAL]
    if isinstance(kind, sa.JSON):
        return [_JSON]
    return [_CUSTOM] if isinstance(kind, UserDefinedType) else []


def _is_four_bytes(kind: sa.Float[Any]) -> bool:
    precision = kind.precision
    is_short = precision is not None and precision <= _REAL_DIGITS_MAX
    return isinstance(kind, sa.REAL) or is_short


def _string_verdicts(kind: sa.String) -> list[_Verdict]:
    found = [_NAMED_COLLATION if kind.collation else _COLLATION]
    if kind.length is not None:
        found.append(_LENGTH)
    return found


@column_check
def check_type(column: sa.Column[Any]) -> Findings:
    """Find types that mean something else on another engine."""
    kind = column.type
    if isinstance(kind, PortableType):
        if isinstance(kind, Text) and kind.collation is not None:
            yield _finding(column, _NAMED_COLLATION)
        return
    for verdict in _plain_verdicts(_bare(kind)):
        yield _finding(column, verdict)


def _bare(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return what a type of one's own is made of, PickleType and such included."""
    while isinstance(kind, TypeDecorator) and not isinstance(
        kind, PortableType | sa.Interval
    ):
        kind = kind.impl_instance
    return kind
