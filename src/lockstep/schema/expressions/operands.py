"""What stands on the two sides of an operator, and how it is brought into line.

Owns the questions that the rules of this package ask of an expression: to which
family its values belong, and how many decimal places its SQLite integer has. It
decides nothing itself.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    BindParameter,
    ColumnElement,
    False_,
    Grouping,
    Label,
    Null,
    True_,
)
from sqlalchemy.types import TypeEngine

from lockstep.errors import NotPortable
from lockstep.schema.types.decimals import Decimal, is_integer
from lockstep.schema.types.portable import PortableType

Expression = ColumnElement[Any]
E = TypeVar("E")

COMPARISONS = frozenset(
    {
        operators.eq,
        operators.ne,
        operators.lt,
        operators.le,
        operators.gt,
        operators.ge,
        operators.is_,
        operators.is_not,
        operators.is_distinct_from,
        operators.is_not_distinct_from,
    }
)
MEMBERSHIPS = frozenset({operators.in_op, operators.not_in_op})
BETWEENS = frozenset({operators.between_op, operators.not_between_op})

_PLAIN_FAMILIES: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (sa.Boolean, "boolean"),
    (sa.Integer, "number"),
    (sa.Float, "number"),
    (sa.Numeric, "plain Numeric"),
    (sa.DateTime, "plain DateTime"),
    (sa.Date, "date"),
    (sa.Time, "plain Time"),
    (sa.Interval, "plain Interval"),
    (sa.JSON, "plain JSON"),
    (sa.Uuid, "plain Uuid"),
    (sa.LargeBinary, "blob"),
    (sa.String, "text"),
)


def not_portable(what: str, hint: str) -> NoReturn:
    """Refuse a statement because it would mean something else on SQLite."""
    raise NotPortable(f"{what} is not the same on SQLite and PostgreSQL", hint=hint)


def portable(expression: Any) -> PortableType[Any] | None:
    """Return the portable type of an expression, or None."""
    kind = getattr(expression, "type", None)
    return cast("PortableType[Any]", kind) if isinstance(kind, PortableType) else None


def family_of(expression: Any) -> str | None:
    """Return the family of an expression's values; None when unknown."""
    kind = portable(expression)
    if kind is not None:
        return kind.family
    plain: TypeEngine[Any] = expression.type
    if isinstance(plain, sa.types.TypeDecorator):
        return None
    return next((name for t, name in _PLAIN_FAMILIES if isinstance(plain, t)), None)


def unwrapped(expression: Any) -> Any:
    """Return an expression without its brackets and labels."""
    while isinstance(expression, Grouping | Label):
        expression = cast("Any", expression).element
    return expression


def is_constant(expression: Any) -> bool:
    """Tell whether an expression is NULL, true or false."""
    return isinstance(unwrapped(expression), Null | True_ | False_)


def decimal_type(expression: Any) -> Decimal | None:
    """Return the ``Decimal`` type of an expression, or None."""
    kind = getattr(expression, "type", None)
    return kind if isinstance(kind, Decimal) else None


def scale_of(expression: Any) -> int | None:
    """Return how many decimal places SQLite's integer for an expression counts.

    0 for an integer, None for what is no integer on SQLite.
    """
    kind = decimal_type(expression)
    if kind is not None:
        return kind.scale if kind.is_scaled else None
    return 0 if is_integer(expression.type) else None


def bound_as(expression: Any, kind: TypeEngine[Any]) -> Any:
    """Let a bound value be checked and stored by another type."""
    return sa.type_coerce(expression, kind)


def takes_type(expression: Any) -> bool:
    """Tell whether an expression is a bound value without a portable type."""
    bare = unwrapped(expression)
    return isinstance(bare, BindParameter) and portable(bare) is None


def copy_of(element: E, /, **changes: Any) -> E:
    """Return a copy of a SQL element with some of its parts replaced."""
    # SQLAlchemy offers no public way to rebuild an element; its own compilers
    # do the same (see ``SQLCompiler.visit_ilike_op_binary``).
    copy = cast("Any", element)._clone()
    copy.__dict__.update(changes)
    return cast("E", copy)
