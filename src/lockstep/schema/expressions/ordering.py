"""Where NULLs stand in an order.

PostgreSQL takes NULL for larger than every value, SQLite for smaller. Over
portable types SQLite is told to sort as PostgreSQL does: ``NULLS LAST`` when
ascending, ``NULLS FIRST`` when descending, unless the statement says otherwise.
SQLite's indexes serve both; a column that cannot be NULL is left as it is.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import Over, UnaryExpression

from lockstep.schema.expressions.operands import copy_of, portable

_NULLS = frozenset({operators.nulls_first_op, operators.nulls_last_op})


def statement(element: Any) -> Any:
    """Return a SELECT or UNION whose NULLs stand where PostgreSQL puts them."""
    clauses: tuple[Any, ...] = element._order_by_clauses
    if not clauses:
        return element
    sure = not _has_outer_join(element)
    placed = [_placed(clause, element, sure=sure) for clause in clauses]
    if all(new is old for new, old in zip(placed, clauses, strict=True)):
        return element
    return element.order_by(None).order_by(*placed)


def window(element: Over[Any]) -> Over[Any]:
    """Return an OVER whose NULLs stand where PostgreSQL puts them."""
    order = element.order_by
    if order is None:
        return element
    placed = [_placed(clause, None, sure=False) for clause in order.clauses]
    return copy_of(element, order_by=copy_of(order, clauses=placed))


def _placed(clause: Any, select: Any, *, sure: bool) -> Any:
    """Return an ORDER BY clause that says where its NULLs stand."""
    inner, descending = clause, False
    while True:
        if inner.__visit_name__ == "label_reference":
            inner = inner.element
        elif isinstance(inner, UnaryExpression) and inner.modifier is not None:
            if inner.modifier in _NULLS:
                return clause
            descending = descending or inner.modifier is operators.desc_op
            inner = inner.element
        else:
            break
    if inner.__visit_name__ == "textual_label_reference":
        inner = None if select is None else select.selected_columns.get(inner.element)
    if portable(inner) is None or (sure and _is_never_null(inner)):
        return clause
    return sa.nulls_first(clause) if descending else sa.nulls_last(clause)


def _is_never_null(expression: Any) -> bool:
    return isinstance(expression, sa.Column) and not expression.nullable


def _has_outer_join(element: Any) -> bool:
    """Tell whether a statement may fill a row's columns with NULLs."""
    for join in getattr(element, "_setup_joins", ()):
        if join[-1].get("isouter") or join[-1].get("full"):
            return True
    return any(
        isinstance(part, sa.Join) and (part.isouter or part.full)
        for part in visitors.iterate(element)
    )
