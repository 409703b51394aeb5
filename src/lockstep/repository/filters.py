"""Which rows a read means: conditions, equalities, hidden rows.

Owns the reading of ``where`` arguments: SQLAlchemy expressions, mappings of
attribute names to values, and keyword equality. Unknown names are refused with
the nearest right one. Rows that were soft-deleted are hidden here, in one place,
in the model itself and in everything loaded or asked about through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.exc import ArgumentError

from lockstep.errors import InvalidValue
from lockstep.schema import SoftDelete

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm.interfaces import ORMOption

    from lockstep.repository.facts import ModelFacts

#: A SQL condition, or a mapping of attribute names to the values they must equal.
Where: TypeAlias = "sa.ColumnElement[bool] | Mapping[str, Any]"


def conditions_of(
    facts: ModelFacts[Any], where: Iterable[Where], equal: Mapping[str, Any]
) -> list[sa.ColumnElement[bool]]:
    """Return all conditions of a read as SQL expressions.

    ``None`` as a value means IS NULL.

    Raises:
        UnknownAttribute: A name is no attribute of the model.
        InvalidValue: Something is neither an expression nor a mapping.
    """
    found: list[sa.ColumnElement[bool]] = []
    for condition in where:
        if isinstance(condition, Mapping):
            found.extend(_equalities(facts, condition))
        elif isinstance(cast("object", condition), sa.ColumnElement):
            found.append(condition)
        elif hasattr(condition, "__clause_element__"):
            found.append(cast("Any", condition).__clause_element__())
        else:
            raise InvalidValue(
                f"a condition must be a SQL expression, not {condition!r}",
                hint=f"write {facts.name}.column == value, or column=value",
            )
    found.extend(_equalities(facts, equal))
    return found


def _equalities(
    facts: ModelFacts[Any], equal: Mapping[str, Any]
) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    for name, value in equal.items():
        try:
            found.append(facts.attribute(name) == value)
        except ArgumentError as exc:
            raise InvalidValue(
                f"{facts.name}.{name} cannot be compared with {type(value).__name__}",
                hint="compare with a value of the column's type",
            ) from exc
    return found


def visible(
    facts: ModelFacts[Any], *, with_deleted: bool
) -> Sequence[sa.ColumnElement[bool]]:
    """Return the condition that hides the model's soft-deleted rows, if any."""
    if with_deleted or facts.deleted_name is None:
        return ()
    return (facts.attribute(facts.deleted_name).is_(None),)


def hiding_options(*, with_deleted: bool) -> Sequence[ORMOption]:
    """Return the options that hide soft-deleted rows of every model in a query."""
    return () if with_deleted else (_HIDE_DELETED,)


def _is_visible(model: type[SoftDelete]) -> sa.ColumnElement[bool]:
    # A function with a name, because instances carry it and may be pickled.
    return model.deleted_at.is_(None)


_HIDE_DELETED = orm.with_loader_criteria(SoftDelete, _is_visible, include_aliases=True)
