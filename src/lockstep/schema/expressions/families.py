"""Which values may meet in one expression.

SQLite compares a text with an integer without a word: ``>`` finds nothing, ``<``
everything. It subtracts two dates as the numbers their texts begin with. What
PostgreSQL answers otherwise, or not at all, is refused here.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, ExpressionClauseList

from lockstep.schema.expressions.operands import (
    BETWEENS,
    COMPARISONS,
    MEMBERSHIPS,
    bound_as,
    copy_of,
    family_of,
    is_constant,
    not_portable,
    portable,
    takes_type,
    unwrapped,
)
from lockstep.schema.types.numbers import BigInteger

_ARITHMETIC = frozenset(
    {
        operators.add,
        operators.sub,
        operators.mul,
        operators.truediv,
        operators.floordiv,
        operators.mod,
        operators.bitwise_and_op,
        operators.bitwise_or_op,
        operators.bitwise_xor_op,
        operators.bitwise_lshift_op,
        operators.bitwise_rshift_op,
    }
)
_HINTS = {
    "plain Numeric": "SQLite calculates it as a float: use lockstep.Decimal",
    "plain DateTime": "use lockstep.utc_now() instead of func.now()",
    "moment": "calculate the bound in Python: column > now - timedelta(days=1)",
    "date": "calculate in Python and bind the result",
}
_ORDERED = frozenset({operators.lt, operators.le, operators.gt, operators.ge})


def bind_sides(element: BinaryExpression[Any]) -> BinaryExpression[Any]:
    """Let a bound value be checked by the portable type on the other side."""
    left, right = element.left, element.right
    if element.operator not in COMPARISONS:
        return element
    for mine, other, name in ((left, right, "left"), (right, left, "right")):
        kind = portable(other)
        if kind is not None and takes_type(mine):
            kind = kind.coerce_compared_value(element.operator, None)
            return copy_of(element, **{name: bound_as(unwrapped(mine), kind)})
    return element


def check(element: BinaryExpression[Any]) -> None:
    """Refuse an operator between values that SQLite would mix up."""
    operator = element.operator
    if operator in BETWEENS and isinstance(element.right, ExpressionClauseList):
        for bound in element.right.clauses:
            _check_comparison(element.left, bound)
    elif operator in COMPARISONS:
        _check_comparison(element.left, element.right)
        if operator in _ORDERED:
            _check_order(element)
    elif operator in MEMBERSHIPS:
        for item in _members(element.right):
            _check_comparison(element.left, item)
    elif operator in _ARITHMETIC:
        _check_arithmetic(element)


def _members(right: Any) -> list[Any]:
    bare = unwrapped(right)
    if hasattr(bare, "clauses"):
        return list(bare.clauses)
    return [right] if family_of(right) else []


def _check_comparison(left: Any, right: Any) -> None:
    if is_constant(left) or is_constant(right):
        return
    first, second = family_of(left), family_of(right)
    if first is None or second is None or first == second:
        return
    hint = _HINTS.get(second) or _HINTS.get(first) or "compare values of one kind"
    not_portable(f"comparing {left.type!r} with {right.type!r}", hint)


def _check_order(element: BinaryExpression[Any]) -> None:
    family = family_of(element.left)
    if family in ("array", "json", "boolean"):
        not_portable(f"the order of {element.left.type!r}", "compare for equality")


def _check_arithmetic(element: BinaryExpression[Any]) -> None:
    for side in (element.left, element.right):
        family = family_of(side)
        if family == "plain Numeric":
            not_portable("arithmetic with SQLAlchemy's Numeric", _HINTS[family])
        if portable(side) is not None and family not in ("number", None):
            hint = _HINTS.get(family or "", "calculate in Python")
            not_portable(f"arithmetic with {side.type!r}", hint)
    if element.operator is operators.truediv:
        _check_quotient(element)


def _check_quotient(element: BinaryExpression[Any]) -> None:
    sides = (element.left, element.right)
    if any(isinstance(side.type, BigInteger) for side in sides) and all(
        isinstance(side.type, BigInteger | sa.Integer) for side in sides
    ):
        not_portable(
            "the quotient of two integers",
            "divide floats: sa.cast(column, lockstep.Float()) / other; "
            "or whole numbers: column // other",
        )
