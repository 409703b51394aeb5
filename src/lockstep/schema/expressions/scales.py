"""Arithmetic with decimals that SQLite holds as scaled integers.

Owns the algebra of scales. Two integers may be added or compared only when they
count the same unit, so the coarser one is multiplied; a product's scale is the
sum of both, as PostgreSQL's ``numeric`` has it. What has no exact integer answer
(division, a float, a function this module does not know) is refused when the
statement is compiled.

Invariant: an expression that SQLAlchemy calls ``Decimal(p, s)`` is, on SQLite, an
integer counting units of 10⁻ˢ. No statement compiles that would break this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    ColumnElement,
    ExpressionClauseList,
    Tuple,
)

from lockstep.schema.expressions.operands import (
    BETWEENS,
    COMPARISONS,
    MEMBERSHIPS,
    bound_as,
    copy_of,
    decimal_type,
    is_constant,
    not_portable,
    scale_of,
    unwrapped,
)
from lockstep.schema.types.decimals import (
    SCALED_DIGITS_MAX,
    Comparand,
    Decimal,
)

IN_PYTHON = (
    "read the values and calculate in Python, or use +, -, * and comparisons; "
    "sa.type_coerce(column, sa.Integer) gives the raw units"
)
SAME_SCALE = "cast the finer side, or give both columns the same scale"


class Rescaled(ColumnElement[Any]):
    """An operand counted in a smaller unit; made while compiling for SQLite."""

    __visit_name__ = "lockstep_rescaled"
    inherit_cache = False

    def __init__(self, operand: Any, scale: int, factor: int) -> None:
        self.operand = operand
        self.factor = factor
        self.type = Decimal(SCALED_DIGITS_MAX, scale)


@compiles(Rescaled)
def _write_rescaled(element: Rescaled, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({compiler.process(element.operand, **kw)} * {element.factor})"


def at_scale(operand: Any, scale: int, what: str) -> Any:
    """Return an operand counted in units of 10⁻ˢᶜᵃˡᵉ, or refuse."""
    if is_constant(operand):
        return operand
    bare = unwrapped(operand)
    if isinstance(bare, BindParameter):
        return _bound_at_scale(cast("BindParameter[Any]", bare), scale)
    own = scale_of(operand)
    if own is None:
        not_portable(f"{what} with {operand.type!r} beside a Decimal", IN_PYTHON)
    if own > scale:
        not_portable(f"{what} of Decimals with {own} and {scale} places", SAME_SCALE)
    if own == scale:
        return operand
    return Rescaled(operand.self_group(operators.mul), scale, 10 ** (scale - own))


def _bound_at_scale(bound: BindParameter[Any], scale: int) -> Any:
    kind = bound.type
    if isinstance(kind, Comparand):
        return bound_as(bound, Comparand(SCALED_DIGITS_MAX, scale))
    return bound_as(bound, Decimal(SCALED_DIGITS_MAX, scale))


def involves_decimal(*expressions: Any) -> bool:
    """Tell whether one of the expressions is a Decimal."""
    return any(decimal_type(expression) is not None for expression in expressions)


def binary(element: BinaryExpression[Any]) -> BinaryExpression[Any]:
    """Return a binary expression over Decimals that SQLite calculates exactly."""
    left, right, operator = element.left, element.right, element.operator
    if operator in COMPARISONS:
        if is_constant(left) or is_constant(right):
            return element
        return copy_of(element, **_compared(left, right))
    if operator in BETWEENS:
        return _between(element)
    if operator in MEMBERSHIPS:
        return _member(element)
    if operator in (operators.add, operators.sub):
        left, right = _aligned((left, right), element, "a sum")
        return copy_of(element, left=left, right=right)
    if operator is operators.mul:
        _check_product((left, right), element)
        return element
    name = getattr(operator, "opstring", None) or operator.__name__
    not_portable(f"the operator {name} on a Decimal", IN_PYTHON)


def clause_list(element: ExpressionClauseList[Any]) -> ExpressionClauseList[Any]:
    """Return a chain ``a + b + c`` or ``a * b * c`` that SQLite calculates exactly."""
    operands = tuple(element.clauses)
    if element.operator is operators.add:
        return copy_of(element, clauses=_aligned(operands, element, "a sum"))
    if element.operator is operators.mul:
        _check_product(operands, element)
    return element


def _compared(left: Any, right: Any) -> dict[str, Any]:
    if _same_text(left, right):
        return {}
    scale = max(_scale_or_zero(left), _scale_or_zero(right))
    return {
        "left": at_scale(_comparand(left, right), scale, "a comparison"),
        "right": at_scale(_comparand(right, left), scale, "a comparison"),
    }


def _comparand(operand: Any, other: Any) -> Any:
    """Give a bare bound value the looser checks of a comparison."""
    kind = decimal_type(other)
    if kind is None or not isinstance(unwrapped(operand), BindParameter):
        return operand
    if decimal_type(operand) is not None:
        return operand
    return bound_as(unwrapped(operand), Comparand(kind.precision, kind.scale))


def _same_text(left: Any, right: Any) -> bool:
    """Tell whether both sides are sorting texts of one type."""
    first, second = decimal_type(left), decimal_type(right)
    kinds = {(k.precision, k.scale) for k in (first, second) if k is not None}
    wide = [k for k in (first, second) if k is not None and not k.is_scaled]
    if not wide:
        return False
    if first is not None and second is not None and len(kinds) == 1:
        return True
    not_portable(
        "a Decimal of more than 18 digits beside another type",
        "compare it with a Python value or a column of the same type",
    )


def _scale_or_zero(operand: Any) -> int:
    if isinstance(unwrapped(operand), BindParameter):
        kind = decimal_type(operand)
        return kind.scale if kind is not None else 0
    return scale_of(operand) or 0


def _between(element: BinaryExpression[Any]) -> BinaryExpression[Any]:
    bounds = cast("ExpressionClauseList[Any]", element.right)
    low, high = (_comparand(bound, element.left) for bound in bounds.clauses)
    if _same_text(element.left, low) | _same_text(element.left, high):
        return element
    parts = (element.left, low, high)
    scale = max(_scale_or_zero(part) for part in parts)
    left, low, high = (at_scale(part, scale, "BETWEEN") for part in parts)
    return copy_of(element, left=left, right=copy_of(bounds, clauses=(low, high)))


def _member(element: BinaryExpression[Any]) -> BinaryExpression[Any]:
    right = unwrapped(element.right)
    if isinstance(right, BindParameter):
        return element
    clauses = getattr(right, "clauses", None)
    if clauses is None:
        check_same_scale((element.left, element.right), "IN with a subquery")
        return element
    for clause in clauses:
        if not isinstance(unwrapped(clause), BindParameter):
            check_same_scale((element.left, clause), "IN")
    return element


def tuples(element: BinaryExpression[Any]) -> None:
    """Refuse a comparison of row values whose scales differ."""
    left, right = unwrapped(element.left), unwrapped(element.right)
    if not (isinstance(left, Tuple) and isinstance(right, Tuple)):
        return
    for first, second in zip(left.clauses, right.clauses, strict=False):
        bound = isinstance(first, BindParameter) or isinstance(second, BindParameter)
        if not bound and involves_decimal(first, second):
            check_same_scale((first, second), "a comparison of row values")


def check_same_scale(expressions: Sequence[Any], what: str) -> None:
    """Refuse expressions that count different units."""
    scales: set[Any] = set()
    for expression in expressions:
        if is_constant(expression):
            continue
        kind = decimal_type(expression)
        if kind is not None and not kind.is_scaled:
            scales.add((kind.precision, kind.scale))
        else:
            scales.add(scale_of(expression))
    if len(scales) > 1:
        not_portable(f"{what} of Decimals with different places", SAME_SCALE)


def _aligned(operands: Sequence[Any], element: Any, what: str) -> tuple[Any, ...]:
    kind = _scaled_result(element, what)
    return tuple(at_scale(operand, kind.scale, what) for operand in operands)


def _check_product(operands: Sequence[Any], element: Any) -> None:
    kind = _scaled_result(element, "a product")
    scales = [scale_of(operand) for operand in operands]
    if None in scales:
        other = operands[scales.index(None)]
        not_portable(f"a Decimal multiplied by {other.type!r}", IN_PYTHON)
    if sum(scale or 0 for scale in scales) != kind.scale:
        hint = "give every column its type before the expression is built"
        not_portable(f"a product of unknown places typed {kind!r}", hint)


def _scaled_result(element: Any, what: str) -> Decimal:
    kind = decimal_type(element)
    if kind is None:
        not_portable(f"{what} of a Decimal and {element.type!r}", IN_PYTHON)
    if not kind.is_scaled:
        not_portable(f"{what} of Decimals with more than 18 digits", IN_PYTHON)
    return kind
