"""Deleting rows, for good or with a mark, and restoring marked ones.

Owns what goes with a deleted row: what the mapping declares with a delete cascade,
and its lines in association tables. Everything else that points at the row makes
the database refuse (``ForeignKeyMissing``), on every engine, instead of being set
to NULL as the unit of work would do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm.exc import StaleDataError

from lockstep.errors import InvalidValue
from lockstep.repository.audit.trail import recorded
from lockstep.repository.keys import identity_of, matches
from lockstep.repository.refreshing import locked, refresh, refresh_many
from lockstep.repository.transaction import atomic, now
from lockstep.repository.tree import key_in, tables_of
from lockstep.repository.versions import check_expected, check_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.orm import Session

    from lockstep.repository.facts import ModelFacts
    from lockstep.repository.keys import Key

M = TypeVar("M")

#: Parents whose children are looked up together.
PARENTS_PER_STATEMENT: Final = 100


def delete(
    session: Session,
    facts: ModelFacts[Any],
    key: Key,
    *,
    expected_version: int | None,
    hard: bool,
) -> None:
    """Remove a row, or mark it if the model is ``SoftDelete`` and not ``hard``."""
    identity = identity_of(facts, key)
    check_expected(facts, expected_version, is_required=False)
    is_soft = facts.deleted_name is not None and not hard
    with atomic(session):
        instance = locked(
            session, facts, identity, with_deleted=hard, for_delete=not is_soft
        )
        check_version(facts, instance, expected_version)
        if is_soft:
            mark(session, facts, instance, now(session))
        else:
            _remove_with_cascades(session, instance)


def restore(session: Session, facts: ModelFacts[M], key: Key) -> M:
    """Take the deletion mark off a row; a row without one stays as it is."""
    if facts.deleted_name is None:
        raise InvalidValue(
            f"{facts.name} rows are deleted for good, not marked",
            hint="add the SoftDelete mixin",
        )
    identity = identity_of(facts, key)
    with atomic(session):
        instance = locked(session, facts, identity, with_deleted=True)
        if getattr(instance, facts.deleted_name) is not None:
            mark(session, facts, instance, None)
    return instance


def mark(
    session: Session, facts: ModelFacts[Any], instance: object, moment: Any
) -> None:
    """Set or clear the deletion mark, as one recorded change."""
    with recorded(session, instance):
        setattr(instance, cast("str", facts.deleted_name), moment)
        session.flush()
        refresh(session, instance)


def _remove_with_cascades(session: Session, instance: Any) -> None:
    # Parents come before their children; rows are removed the other way round.
    # What they hold is about to be recorded: as it is, not as it was once read.
    below = _below(session, instance)
    refresh_many(session, below)
    for each in (*reversed(below), instance):
        _remove(session, each)


def _below(session: Session, instance: object) -> list[Any]:
    """Return what the mapping deletes along with an instance, level by level.

    Asks the database and not the instance: a collection may be old, or hide rows
    that are marked as deleted and still point at their parent.
    """
    found: dict[orm.InstanceState[Any], Any] = {}
    level: list[Any] = [instance]
    while level:
        groups: dict[orm.RelationshipProperty[Any], list[Any]] = {}
        for parent in level:
            state = cast("orm.InstanceState[Any]", sa.inspect(parent))
            for prop in state.mapper.relationships:
                if prop.cascade.delete and not (prop.passive_deletes or prop.viewonly):
                    groups.setdefault(prop, []).append(parent)
        level = []
        for prop, parents in groups.items():
            for child in _children(session, prop, parents):
                state = cast("orm.InstanceState[Any]", sa.inspect(child))
                if state not in found and child is not instance:
                    found[state] = child
                    level.append(child)
    return list(found.values())


def _children(
    session: Session, prop: orm.RelationshipProperty[Any], parents: Sequence[Any]
) -> Iterator[Any]:
    attribute = getattr(prop.parent.class_, prop.key)
    for start in range(0, len(parents), PARENTS_PER_STATEMENT):
        some = parents[start : start + PARENTS_PER_STATEMENT]
        condition = sa.or_(*(orm.with_parent(parent, attribute) for parent in some))
        statement = sa.select(prop.mapper.class_).where(condition)
        yield from session.execute(statement).unique().scalars().all()


def _remove(session: Session, instance: object) -> None:
    state = cast("orm.InstanceState[Any]", sa.inspect(instance))
    mapper = state.mapper
    identity = tuple(cast("tuple[Any, ...]", state.identity))
    with recorded(session, instance):
        for prop in mapper.relationships:
            _remove_association(session, prop, instance)
        for table in reversed(tables_of(mapper)):
            columns = key_in(mapper, table)
            statement = sa.delete(table).where(matches(columns, identity))
            version = mapper.version_id_col
            if version is not None and version.table is table:
                current = getattr(instance, mapper.get_property_by_column(version).key)
                statement = statement.where(version == current)
            result = cast("sa.CursorResult[Any]", session.execute(statement))
            if result.rowcount == 0:
                raise StaleDataError("the row was changed or deleted meanwhile")
        session.expunge(instance)


def _remove_association(
    session: Session, prop: orm.RelationshipProperty[Any], instance: object
) -> None:
    if prop.secondary is None or prop.viewonly or prop.passive_deletes:
        return
    mapper = prop.parent
    conditions = [
        remote == getattr(instance, mapper.get_property_by_column(local).key)
        for local, remote in prop.synchronize_pairs
    ]
    session.execute(sa.delete(cast("sa.Table", prop.secondary)).where(*conditions))
