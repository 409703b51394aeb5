"""Which rows, and in which order: what a compiled text depends on, and its values.

Owns the split of a read into a part that stands in the text (which attributes are
compared, which are NULL, how rows are sorted) and a part that is bound. The
conditions themselves are made by the same types and the same ``Ordering`` that
``Repository`` uses. What cannot be split this way (an expression of the caller's,
an order that is not made of attributes) is left to ``Repository``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy import orm

from lockstep.repository.compiled.statement import FloatSlot, Slot, slot
from lockstep.repository.kinds import python_type_of
from lockstep.repository.ordering import Ordering, ordering_of
from lockstep.repository.positions import may_be_refused
from lockstep.schema import Array, Json, PortableType

if TYPE_CHECKING:
    from lockstep.repository.compiled.plan import Plan
    from lockstep.repository.ordering import Position


@dataclass(frozen=True)
class Question:
    """Rows whose attributes equal these values.

    Attributes:
        key: All that the text depends on.
        values: What is bound, in the order of the slots.
    """

    plan: Plan[Any]
    key: tuple[Any, ...]
    values: list[Any]
    terms: Sequence[tuple[str, Any]]
    with_deleted: bool

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return the WHERE clause's parts, with slots for the values."""
        found: list[sa.ColumnElement[bool]] = []
        number = 0
        for name, value in self.terms:
            column = self.plan.columns[name]
            equal = cast("sa.BinaryExpression[bool]", column == value)
            if isinstance(equal.right, sa.BindParameter):
                # The type that a value of this kind is compared with.
                equal = column == slot(number, equal.right.type)
                number += 1
            found.append(equal)
        return [*found, *self.plan.hiding(with_deleted=self.with_deleted)]


def question_of(
    plan: Plan[Any],
    where: Iterable[Any],
    equal: Mapping[str, Any],
    *,
    with_deleted: bool,
) -> Question | None:
    """Return what is asked, or None if it is more than equality of attributes."""
    terms: list[tuple[str, Any]] = []
    for condition in where:
        if not isinstance(condition, Mapping):
            return None
        terms += cast("Mapping[str, Any]", condition).items()
    terms += equal.items()
    key: list[Any] = [with_deleted]
    values: list[Any] = []
    for name, value in terms:
        if value is None or value is True or value is False:
            key.append((name, value))  # IS NULL and IS true stand in the text
        else:
            key.append((name, type(value)))
            values.append(value)
        if not _is_plain(plan, name, value):
            return None
    return Question(plan, tuple(key), values, terms, with_deleted)


def _is_plain(plan: Plan[Any], name: str, value: Any) -> bool:
    column = plan.columns.get(name)
    if column is None or not plan.is_compared_plainly(name):
        return False
    if value is None:
        return True
    kind = column.type
    if not isinstance(kind, PortableType) or isinstance(kind, Json | Array):
        return False
    # Of another type, a value may be compared otherwise, or be refused.
    return type(value) is python_type_of(kind)


@dataclass(frozen=True, eq=False)
class Order:
    """A total order in both directions.

    Attributes:
        key: The attributes it is made of, as ``order_by`` names them.
        signature: What binds a cursor to it.
        may_be_refused: Whether the database itself must judge a cursor's values.
    """

    key: tuple[str, ...]
    forward: Ordering
    backward: Ordering
    signature: bytes
    may_be_refused: bool


def order_of(plan: Plan[Any], order_by: Any) -> Order | None:
    """Return the order by these attributes; None if it is not made of attributes.

    Raises:
        UnknownAttribute: A name is no attribute of the model.
        InvalidValue: An attribute has no portable order.
    """
    key = _order_key(plan, order_by)
    if key is None:
        return None
    return plan.kept.of(("order", key), lambda: _order(plan, key))


def _order(plan: Plan[Any], key: tuple[str, ...]) -> Order:
    forward = ordering_of(plan.facts, key)
    return Order(
        key,
        forward,
        forward.reversed(),
        forward.signature(plan.facts, plan.dialect),
        may_be_refused(plan.dialect, forward),
    )


def _order_key(plan: Plan[Any], order_by: Any) -> tuple[str, ...] | None:
    if order_by is None:
        return ()
    asked = cast(
        "Sequence[Any]",
        order_by if isinstance(order_by, list | tuple) else (order_by,),
    )
    names: list[str] = []
    for item in asked:
        name: Any = item
        if isinstance(item, orm.InstrumentedAttribute):
            attribute = cast("orm.InstrumentedAttribute[Any]", item)
            name = attribute.key if attribute.parent is plan.facts.mapper else None
        if not isinstance(name, str) or name.removeprefix("-") not in plan.columns:
            return None
        names.append(name)
    return tuple(names)


def slots_of(position: Position, first: int) -> tuple[tuple[Any, ...], Position]:
    """Return what a text depends on in a position, and slots in its place."""
    slots: list[Any] = []
    for number, value in enumerate(position, first):
        if value is None:
            slots.append(None)
        elif isinstance(value, float):
            slots.append(FloatSlot(number))
        else:
            slots.append(Slot(number))
    return tuple(map(type, slots)), tuple(slots)
