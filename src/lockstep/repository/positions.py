"""Positions that a caller may have made up, judged before a database sees them.

Owns which driver values a sort key can have on each engine. A cursor is no secret,
so its values may be of any type; a database given the wrong one answers with an
error, and PostgreSQL ends the transaction.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from lockstep.errors import InvalidCursor
from lockstep.schema import PortableType

if TYPE_CHECKING:
    from lockstep.repository.ordering import Ordering, Position, Term

#: What PostgreSQL's driver gives for a column, by the name of its type.
_POSTGRESQL_KINDS: Final[dict[str, tuple[type[Any], ...]]] = {
    "SMALLINT": (int,),
    "INTEGER": (int,),
    "BIGINT": (int,),
    "SMALLSERIAL": (int,),
    "SERIAL": (int,),
    "BIGSERIAL": (int,),
    "NUMERIC": (decimal.Decimal, int),
    "DECIMAL": (decimal.Decimal, int),
    "REAL": (float,),
    "FLOAT": (float,),
    "DOUBLE": (float,),
    "BOOLEAN": (bool,),
    "VARCHAR": (str,),
    "CHAR": (str,),
    "TEXT": (str,),
    "UUID": (uuid.UUID,),
    "TIMESTAMP": (dt.datetime,),
    "DATE": (dt.date,),
    "TIME": (dt.time,),
    "INTERVAL": (dt.timedelta,),
    "BYTEA": (bytes,),
}
#: What a STRICT table holds, by the name of the column's type.
_SQLITE_KINDS: Final[dict[str, tuple[type[Any], ...]]] = {
    "INTEGER": (int,),
    "REAL": (int, float),
    "TEXT": (str,),
    "BLOB": (bytes,),
}
_SQLITE_ANY: Final = (int, float, str, bytes)


def check_position(dialect: sa.Dialect, ordering: Ordering, position: Position) -> None:
    """Refuse a forged position before a database has to.

    Raises:
        InvalidCursor: A value is none that its sort key can have.
    """
    for term, value in zip(ordering.terms, position, strict=True):
        fits = term.nullable if value is None else _fits(term, value, dialect)
        if not fits:
            raise InvalidCursor("this page cursor belongs to another query")


def _fits(term: Term, value: Any, dialect: sa.Dialect) -> bool:
    kinds = _kinds(term, dialect)
    if dialect.name == "postgresql" and isinstance(value, str) and "\x00" in value:
        return False
    if kinds is None:
        return dialect.name == "postgresql" or type(value) in _SQLITE_ANY
    if isinstance(value, bool | dt.datetime):
        return type(value) in kinds
    return isinstance(value, kinds)


def _kinds(term: Term, dialect: sa.Dialect) -> tuple[type[Any], ...] | None:
    # Only a column's type says what the database returns; an expression's may err.
    if not isinstance(term.expression, sa.Column):
        return None
    name = str(term.expression.type.compile(dialect=dialect))
    if dialect.name == "sqlite":
        # Tables that are not STRICT hold values of any type in any column.
        is_strict = isinstance(term.expression.type, PortableType)
        return _SQLITE_KINDS.get(name) if is_strict else None
    return _POSTGRESQL_KINDS.get(name.split("(")[0].split(" ")[0])


def may_be_refused(dialect: sa.Dialect, ordering: Ordering) -> bool:
    """Return whether the database itself must judge a cursor's values.

    PostgreSQL ends the transaction when it refuses one, so that read then runs in
    a savepoint. SQLite compares values of any type.
    """
    return dialect.name == "postgresql" and any(
        _kinds(term, dialect) is None for term in ordering.terms
    )
