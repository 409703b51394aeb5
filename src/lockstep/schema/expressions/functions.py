"""Functions and CASE whose answer must be the same on both engines.

Two rules. A bound value beside a portable column inside ``coalesce()``, ``CASE``
and their like is stored as the column's type stores it. And a function that
returns what it was given must carry that type, or its result would arrive as the
engine's raw storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import Case, Cast
from sqlalchemy.sql.functions import Function

from lockstep.schema.expressions.operands import (
    bound_as,
    copy_of,
    decimal_type,
    family_of,
    is_constant,
    not_portable,
    portable,
    scale_of,
    takes_type,
    unwrapped,
)
from lockstep.schema.expressions.scales import IN_PYTHON, Rescaled, at_scale
from lockstep.schema.types.numbers import BigInteger, Float

_SAME_TYPE = frozenset({"coalesce", "ifnull", "nullif"})
"""Functions whose arguments and result are of one type."""

_FIRST_TYPE = frozenset(
    {"abs", "first_value", "lag", "last_value", "lead", "nth_value"}
)
"""Functions that return what their first argument is."""

_EXTREMES = frozenset({"min", "max"})
_COUNTS = frozenset({"count"})
_EXTREME_FAMILIES = frozenset({"number", "text", "moment", "date", None})
_ORDER_OF_DEFAULT = 2
"""Position of the default among the arguments of ``lag`` and ``lead``."""


def function(element: Function[Any], dialect_name: str) -> Function[Any]:
    """Return a function call that means the same on the dialect, or refuse it."""
    arguments = list(element.clauses)
    if not any(portable(argument) for argument in arguments):
        return element
    name = element.name.lower()
    if name in _SAME_TYPE:
        typed = _bound_alike(arguments)
    elif name in ("lag", "lead"):
        typed = _default_bound(arguments)
    else:
        typed = arguments
    if name == "avg" and dialect_name == "postgresql":
        typed = _average_arguments(element, typed)
    if dialect_name == "sqlite":
        typed = _sqlite_arguments(element, name, typed)
    changed = any(new is not old for new, old in zip(typed, arguments, strict=True))
    return _called_with(element, typed) if changed else element


def _called_with(element: Function[Any], arguments: Sequence[Any]) -> Function[Any]:
    brackets = element.clause_expr
    inside = copy_of(brackets.element, clauses=list(arguments))
    return copy_of(element, clause_expr=copy_of(brackets, element=inside))


def _bound_alike(arguments: Sequence[Any]) -> list[Any]:
    kind = next(k for k in map(portable, arguments) if k is not None)
    return [
        bound_as(unwrapped(a), kind.beside()) if takes_type(a) else a for a in arguments
    ]


def _default_bound(arguments: Sequence[Any]) -> list[Any]:
    typed = list(arguments)
    if len(typed) > _ORDER_OF_DEFAULT:
        ends = _bound_alike((typed[0], typed[_ORDER_OF_DEFAULT]))
        typed[0], typed[_ORDER_OF_DEFAULT] = ends
    return typed


def _average_arguments(element: Function[Any], arguments: list[Any]) -> list[Any]:
    """Average integers as doubles on PostgreSQL too, as SQLite does."""
    if isinstance(element.type, Float) and isinstance(arguments[0].type, BigInteger):
        return [sa.cast(arguments[0], Float())]
    return arguments


def _sqlite_arguments(
    element: Function[Any], name: str, arguments: list[Any]
) -> list[Any]:
    if name in _COUNTS:
        return arguments
    if name in _EXTREMES or name == "sum":
        _check_aggregate(element, name, arguments)
    elif name == "avg":
        _check_average(element, arguments[0])
    elif name in _SAME_TYPE or name in _FIRST_TYPE:
        _check_result(element, name, arguments[0])
        if decimal_type(element) is not None:
            return _scaled_arguments(element, name, arguments)
    elif any(decimal_type(argument) is not None for argument in arguments):
        not_portable(f"{name}() of a Decimal", IN_PYTHON)
    return arguments


def _check_aggregate(element: Function[Any], name: str, arguments: list[Any]) -> None:
    argument = arguments[0]
    if len(arguments) != 1:
        not_portable(f"{name}() of several arguments", "use CASE")
    allowed = _EXTREME_FAMILIES if name in _EXTREMES else {"number", None}
    if family_of(argument) not in allowed:
        not_portable(f"{name}() of {argument.type!r}", "PostgreSQL has none")
    kind = decimal_type(argument)
    if kind is not None and name == "sum" and not kind.is_scaled:
        not_portable("sum() of Decimals with more than 18 digits", IN_PYTHON)
    _check_result(element, name, argument)


def _check_average(element: Function[Any], argument: Any) -> None:
    if decimal_type(argument) is not None:
        not_portable(
            "avg() of a Decimal", "select func.sum() and func.count(), then divide"
        )
    if isinstance(argument.type, BigInteger) and not isinstance(element.type, Float):
        not_portable("avg() of an integer", "func.avg(column, type_=lockstep.Float())")


def _check_result(element: Function[Any], name: str, argument: Any) -> None:
    kind = portable(argument)
    result = portable(element)
    if kind is None and not any(portable(a) for a in element.clauses):
        return
    if result is None:
        not_portable(
            f"the result of {name}() without a type",
            f"func.{name}(..., type_={(kind or element.type)!r})",
        )
    decimals = any(decimal_type(part) is not None for part in element.clauses)
    if decimals and decimal_type(element) is None:
        not_portable(
            f"{name}() with a Decimal, typed {element.type!r}",
            "put the Decimal with the most places first",
        )
    if decimal_type(argument) is not None and scale_of(argument) != scale_of(element):
        not_portable(
            f"{name}() of {argument.type!r} typed {element.type!r}",
            "put the Decimal with the most places first",
        )


def _scaled_arguments(
    element: Function[Any], name: str, arguments: list[Any]
) -> list[Any]:
    kind = decimal_type(element)
    assert kind is not None, "the caller asked"
    if not kind.is_scaled:
        return arguments
    what = f"{name}()"
    if name in _SAME_TYPE:
        return [at_scale(argument, kind.scale, what) for argument in arguments]
    first = at_scale(arguments[0], kind.scale, what)
    rest = list(arguments[1:])
    if len(arguments) > _ORDER_OF_DEFAULT and name in ("lag", "lead"):
        rest[-1] = at_scale(rest[-1], kind.scale, what)
    return [first, *rest]


def case(element: Case[Any], dialect_name: str) -> Case[Any]:
    """Return a CASE whose branches are all of the portable type of one."""
    branches = [branch for _, branch in element.whens]
    if element.else_ is not None:
        branches.append(element.else_)
    if not any(portable(branch) for branch in branches):
        return element
    branches = _bound_alike(branches)
    if dialect_name == "sqlite":
        branches = _sqlite_branches(element, branches)
    whens = [
        (condition, branch)
        for (condition, _), branch in zip(element.whens, branches, strict=False)
    ]
    otherwise = None if element.else_ is None else branches[-1]
    return copy_of(element, whens=whens, else_=otherwise)


def _sqlite_branches(element: Case[Any], branches: list[Any]) -> list[Any]:
    if not any(decimal_type(branch) is not None for branch in branches):
        return branches
    kind = decimal_type(element)
    if kind is None:
        not_portable(
            f"CASE of a Decimal typed {element.type!r}",
            "give the last WHEN a Decimal: sa.literal(0, lockstep.Money())",
        )
    if kind.is_scaled:
        return [at_scale(branch, kind.scale, "CASE") for branch in branches]
    for branch in branches:
        other = decimal_type(branch)
        if not is_constant(branch) and (
            other is None
            or (other.precision, other.scale) != (kind.precision, kind.scale)
        ):
            not_portable("CASE of different Decimals", "give all branches one type")
    return branches


def cast(element: Cast[Any]) -> Cast[Any]:
    """Return a CAST to or from a Decimal that is exact on SQLite, or refuse it."""
    target, source = decimal_type(element), decimal_type(element.clause)
    if target is None and source is None:
        return element
    clause = element.clause
    if target is None:
        not_portable(f"casting a Decimal to {element.type!r}", IN_PYTHON)
    if is_constant(clause) or takes_bound(clause):
        return element
    if not target.is_scaled:
        if source is not None and (source.precision, source.scale) == (
            target.precision,
            target.scale,
        ):
            return element
        not_portable("casting to a Decimal of more than 18 digits", IN_PYTHON)
    scaled = at_scale(clause, target.scale, "a cast")
    return copy_of(element, clause=scaled) if isinstance(scaled, Rescaled) else element


def takes_bound(clause: Any) -> bool:
    """Tell whether a cast's operand is a value bound as the target type."""
    bare = unwrapped(clause)
    return isinstance(bare, sa.BindParameter) and decimal_type(bare) is not None
