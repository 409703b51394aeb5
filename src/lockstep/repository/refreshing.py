"""Instances brought up to what the database holds.

Owns the re-reading of columns after a write: values the database made (defaults,
triggers, expressions) are on the instance before a caller sees it. Relationships
that were loaded stay loaded, unless the key they follow has changed. Reading locks
the row where a write depends on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import attributes

from lockstep.errors import NotFound
from lockstep.repository.facts import facts_of
from lockstep.repository.keys import conditions, matches
from lockstep.repository.loading import load_plan, seal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

    from lockstep.repository.facts import ModelFacts
    from lockstep.repository.keys import Identity

M = TypeVar("M")


def not_found(facts: ModelFacts[Any], identity: Identity) -> NotFound:
    """Return the error for a key that no row has."""
    shown = ", ".join(
        f"{name}={'***' if column.info.get('lockstep.secret') else value}"
        for name, column, value in zip(
            facts.key_names, facts.key_columns, identity, strict=True
        )
    )
    return NotFound(
        f"there is no {facts.name} with {shown}",
        detail={"model": facts.name, "key": shown},
    )


def present(session: Session, facts: ModelFacts[M], identity: Identity) -> M | None:
    """Return the session's own instance of a row, if it has one; asks nobody."""
    key = facts.mapper.identity_key_from_primary_key(identity)
    found = session.identity_map.get(key)
    return found if isinstance(found, facts.model) else None


def locked(
    session: Session,
    facts: ModelFacts[M],
    identity: Identity,
    *,
    with_deleted: bool = False,
    with_columns: Iterable[str] = (),
    for_delete: bool = False,
) -> M:
    """Return the row as it is now, locked until the transaction ends.

    SQLite: a write session holds the write lock since it began.

    Args:
        session: The session to read in.
        facts: The model.
        identity: The checked key.
        with_deleted: Whether a soft-deleted row counts.
        with_columns: Deferred columns to read as well.
        for_delete: Lock against new references too.

    Raises:
        NotFound: No such row, or it is soft-deleted.
    """
    lock: dict[str, Any] = {"of": facts.key_table, "key_share": not for_delete}
    found = present(session, facts, identity)
    if found is not None:
        refresh(session, found, with_columns, lock=lock)
    else:
        plan = load_plan(
            facts,
            [
                getattr(facts.model, name)
                for name in with_columns
                if name in facts.deferred_names
            ],
        )
        statement = (
            sa.select(facts.model)
            .where(matches(facts.key_attributes, identity))
            .options(*plan.options)
            .with_for_update(**lock)
        )
        found = session.execute(statement).unique().scalar_one_or_none()
    if found is None or (
        not with_deleted
        and facts.deleted_name is not None
        and getattr(found, facts.deleted_name) is not None
    ):
        raise not_found(facts, identity)
    seal([found])
    return found


def refresh(
    session: Session,
    instance: object,
    with_columns: Iterable[str] = (),
    *,
    lock: dict[str, Any] | None = None,
) -> None:
    """Read an instance's columns again and seal what is not loaded.

    Raises:
        NotFound: The row is gone; the instance leaves the session.
    """
    state = cast("orm.InstanceState[Any]", sa.inspect(instance))
    facts = facts_of(type(instance))
    names = _names(facts, state, with_columns)
    try:
        session.refresh(instance, names, with_for_update=cast("Any", lock))
    except InvalidRequestError as exc:
        identity = tuple(state.identity or ())
        session.expunge(instance)
        raise not_found(facts, identity) from exc
    seal([instance])


def _names(
    facts: ModelFacts[Any], state: orm.InstanceState[Any], more: Iterable[str]
) -> list[str]:
    wanted = {*more, *state.dict}
    deferred = [name for name in facts.deferred_names if name in wanted]
    return [*facts.column_names, *deferred]


def refresh_many(
    session: Session, instances: Sequence[Any], with_columns: Sequence[str] = ()
) -> None:
    """Read the columns of many instances again, one query per class and batch.

    Args:
        session: The instances' session.
        instances: Persistent instances.
        with_columns: Deferred columns to read as well.

    Instances whose row is gone keep what they held.
    """
    groups: dict[type[Any], list[Any]] = {}
    for instance in instances:
        groups.setdefault(cast("type[Any]", type(instance)), []).append(instance)
    for model, members in groups.items():
        _refresh_class(session, facts_of(model), members, with_columns)
    seal(instances)


def _refresh_class(
    session: Session,
    facts: ModelFacts[Any],
    members: Sequence[Any],
    with_columns: Sequence[str],
) -> None:
    states = [cast("orm.InstanceState[Any]", sa.inspect(each)) for each in members]
    by_key = {tuple(state.identity or ()): state for state in states}
    names = [*facts.column_names]
    names += [name for name in facts.deferred_names if name in with_columns]
    wanted = [getattr(facts.model, name) for name in names]
    statement = sa.select(*wanted, *facts.key_attributes)
    for condition in conditions(session, facts.key_attributes, list(by_key)):
        for row in session.execute(statement.where(condition)):
            state = by_key.get(tuple(row[len(names) :]))
            if state is None:
                continue
            instance = state.obj()
            for name, value in zip(names, row, strict=False):
                attributes.set_committed_value(instance, name, value)
            # Composites and mutable values hang on to what was read before.
            for prop in facts.mapper.composites:
                state.dict.pop(prop.key, None)
            cast("Any", state.manager).dispatch.refresh(state, None, names)


def forget_moved(instance: object, changed: Iterable[str]) -> None:
    """Forget loaded relationships whose foreign key was given a new value."""
    state = cast("orm.InstanceState[Any]", sa.inspect(instance))
    mapper = state.mapper
    names = set(changed)
    for prop in mapper.relationships:
        if prop.key in names or prop.key not in state.dict:
            continue
        follows = {
            mapper.get_property_by_column(column).key
            for column in prop.local_columns
            if column in mapper.columns.values()
        }
        if follows & names and prop.direction is orm.MANYTOONE:
            session = orm.object_session(instance)
            if session is not None:
                session.expire(instance, [prop.key])
