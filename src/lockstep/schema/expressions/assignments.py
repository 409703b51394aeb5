"""Expressions written into columns, and queries put on top of each other.

A column takes what an expression of its own storage gives it. On SQLite nobody
would notice that an integer of cents was stored as an integer of euros, or that
``CURRENT_TIMESTAMP`` wrote a moment in another format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.sql.elements import BindParameter, ClauseElement

from lockstep.schema.expressions.operands import (
    decimal_type,
    family_of,
    is_constant,
    not_portable,
    portable,
    scale_of,
    unwrapped,
)


def check_statement(statement: Any) -> None:
    """Refuse an INSERT or UPDATE that stores what a column does not mean."""
    for column, value in _assignments(statement):
        _check_assignment(column, value)


def check_compound(statement: sa.CompoundSelect[Any]) -> None:
    """Refuse a UNION whose columns hold different units or kinds."""
    for position in zip(
        *(_exported(select) for select in statement.selects), strict=False
    ):
        first = next((column for column in position if portable(column)), None)
        if first is None:
            continue
        for other in position:
            _check_same(first, other, "a UNION")
        if portable(position[0]) is None:
            not_portable(
                f"a UNION that begins with {position[0].type!r}",
                "let the first SELECT give the portable type",
            )


def _exported(select: Any) -> list[Any]:
    return list(select.exported_columns)


def _assignments(statement: Any) -> Iterator[tuple[Any, Any]]:
    table = statement.table
    for values in _all_values(statement):
        for key, value in values:
            column = _column(table, key)
            if column is not None and isinstance(value, ClauseElement):
                yield column, value
    select = getattr(statement, "select", None)
    if select is not None and not callable(select):
        names = cast("Iterable[Any]", statement._select_names)
        for name, value in zip(names, _exported(select), strict=False):
            column = _column(table, name)
            if column is not None:
                yield column, value


def _all_values(statement: Any) -> Iterator[Iterable[tuple[Any, Any]]]:
    if statement._values:
        yield statement._values.items()
    for group in getattr(statement, "_multi_values", None) or ():
        for row in group:
            if hasattr(row, "items"):
                yield row.items()
    ordered = getattr(statement, "_ordered_values", None)
    if ordered:
        yield ordered
    on_conflict = getattr(statement, "_post_values_clause", None)
    changes = getattr(on_conflict, "update_values_to_set", None)
    if changes:
        yield changes.items() if hasattr(changes, "items") else changes


def _column(table: Any, key: Any) -> Any:
    if hasattr(key, "__clause_element__"):
        key = key.__clause_element__()
    if isinstance(key, str):
        return table.c.get(key)
    return cast("Any", key) if isinstance(key, sa.Column) else None


def _check_assignment(column: Any, value: Any) -> None:
    if portable(column) is None and decimal_type(value) is None:
        return
    bare = unwrapped(value)
    if isinstance(bare, BindParameter) or is_constant(value):
        return
    _check_same(column, value, f"storing an expression in {column.name}")


def _check_same(column: Any, value: Any, what: str) -> None:
    if is_constant(value) or isinstance(unwrapped(value), BindParameter):
        return
    mine, other = decimal_type(column), decimal_type(value)
    if mine is not None or other is not None:
        same = (
            scale_of(column) == scale_of(value) is not None
            if mine is None or mine.is_scaled
            else other is not None
            and (mine.precision, mine.scale) == (other.precision, other.scale)
        )
        if not same:
            not_portable(
                f"{what}, {column.type!r} and {value.type!r},",
                f"cast the expression: sa.cast(expression, {column.type!r})",
            )
        return
    first, second = family_of(column), family_of(value)
    if second is not None and first != second:
        hint = "use lockstep.utc_now()" if first == "moment" else "convert it first"
        not_portable(f"{what}, {column.type!r} and {value.type!r},", hint)
