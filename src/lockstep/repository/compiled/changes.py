"""Changes of one row: update, delete, adjust, as compiled texts.

Owns what these statements set and what stands in their WHERE clause: the key, the
version that was read, and that the row is not soft-deleted. Version, time and name
follow as in ``stamps``, defaults for changed rows as SQLAlchemy's flush has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa

from lockstep.errors import NotPortable
from lockstep.repository.adjust import adding_statement
from lockstep.repository.compiled.inserts import NO_CONTEXT
from lockstep.repository.compiled.statement import Slot, Statement, slot
from lockstep.repository.keys import matches
from lockstep.repository.stamps import next_version
from lockstep.schema import Audited, Timestamped

if TYPE_CHECKING:
    from lockstep.repository.compiled.place import InSession, InUnit
    from lockstep.repository.compiled.plan import Plan

#: What the mixins set by themselves; given by a caller, it is left to the ORM.
_STAMPED: Final = frozenset({"created_at", "updated_at", "created_by", "updated_by"})


@dataclass(frozen=True, eq=False)
class Alteration:
    """One compiled statement that changes one row.

    Its values are those that the caller gives, and after them what ``stamps``
    gives for a moment and an actor.
    """

    statement: Statement
    stamps: tuple[Callable[[InSession | InUnit], Any], ...]

    def run(self, driver: Any, place: InSession | InUnit, values: Sequence[Any]) -> Any:
        """Execute; return the driver's cursor."""
        if self.stamps:
            values = [*values, *(stamp(place) for stamp in self.stamps)]
        return self.statement.run(driver, values)


def update_of(
    plan: Plan[Any], names: tuple[str, ...], *, with_version: bool, with_actor: bool
) -> Alteration | None:
    """Return the UPDATE that sets these attributes.

    Values: the attributes, the key, and the version if it is asked for.

    Returns:
        None if an attribute is none that can be set here.
    """
    facts = plan.facts
    kept = {*facts.key_names, facts.version_name, facts.deleted_name} | _STAMPED
    if any(name in kept for name in names):
        return None
    values = {
        plan.columns[name]: slot(number, plan.columns[name].type)
        for number, name in enumerate(names)
    }
    return _change(plan, values, with_version=with_version, with_actor=with_actor)


def mark_of(
    plan: Plan[Any], _: tuple[str, ...], *, with_version: bool, with_actor: bool
) -> Alteration:
    """Return the UPDATE that marks a row as deleted.

    Values: the moment, the key, and the version if it is asked for.
    """
    column = plan.columns[cast("str", plan.facts.deleted_name)]
    values = {column: slot(0, column.type)}
    return _change(plan, values, with_version=with_version, with_actor=with_actor)


def removal_of(plan: Plan[Any], *, with_version: bool) -> Alteration:
    """Return the DELETE of a row.

    Values: the key, and the version if it is asked for.
    """
    where = _where(plan, 0, with_version=with_version)
    return Alteration(Statement(sa.delete(plan.table).where(*where), plan.dialect), ())


def addition_of(
    plan: Plan[Any], column: sa.Column[Any], guard: str | None, *, with_actor: bool
) -> Alteration | None:
    """Return the UPDATE that adds to a number and gives the new one.

    Values: the key, what is added, and the guard's bound if there is a guard.

    Returns:
        None if the database cannot add to this column.
    """
    width = len(plan.keys)
    first = width + (1 if guard is None else 2)
    changed, stamps = _stamps(plan, {column}, first, with_actor=with_actor)
    try:
        statement = adding_statement(
            plan.facts,
            tuple(cast("Any", Slot(number)) for number in range(width)),
            column,
            Slot(width),
            None if guard is None else (guard, Slot(width + 1)),
            changed,
        )
        return Alteration(Statement(statement, plan.dialect), stamps)
    except NotPortable:
        return None


def _change(
    plan: Plan[Any],
    values: dict[sa.Column[Any], Any],
    *,
    with_version: bool,
    with_actor: bool,
) -> Alteration:
    number = len(values)
    where = _where(plan, number, with_version=with_version)
    number += len(plan.keys) + with_version
    changed, stamps = _stamps(plan, values, number, with_actor=with_actor)
    statement = (
        sa.update(plan.table)
        .where(*where, *plan.hiding(with_deleted=False))
        .values({**changed, **values})
    )
    return Alteration(Statement(statement, plan.dialect), stamps)


def _where(
    plan: Plan[Any], first: int, *, with_version: bool
) -> list[sa.ColumnElement[bool]]:
    slots = [cast("Any", Slot(first + place)) for place in range(len(plan.keys))]
    found = [matches(plan.keys, slots)]
    if with_version:
        column = plan.columns[cast("str", plan.facts.version_name)]
        found.append(column == slot(first + len(slots), column.type))
    return found


def _stamps(
    plan: Plan[Any], given: Any, first: int, *, with_actor: bool
) -> tuple[dict[sa.Column[Any], Any], tuple[Callable[[Any], Any], ...]]:
    """Return what a change sets beside the given columns, and their values."""
    model, columns = plan.facts.model, plan.columns
    found: dict[sa.Column[Any], Any] = dict(next_version(plan.facts))
    sources: list[tuple[sa.Column[Any], Callable[[Any], Any]]] = []
    if issubclass(model, Timestamped):
        sources.append((columns["updated_at"], lambda place: place.now()))
    if issubclass(model, Audited) and with_actor:
        sources.append((columns["updated_by"], lambda place: place.actor))
    set_already = {*given, *found, *(column for column, _ in sources)}
    sources += [
        (column, _onupdate(column.onupdate))
        for column in columns.values()
        if column.onupdate is not None and column not in set_already
    ]
    for number, (column, _) in enumerate(sources, first):
        found[column] = slot(number, column.type)
    return found, tuple(source for _, source in sources)


def _onupdate(default: Any) -> Callable[[Any], Any]:
    if default.is_scalar:
        return lambda _: default.arg
    return lambda _: default.arg(NO_CONTEXT)
