"""Writing rows: add and update.

Owns the guarantees of a write: a stale one never wins and never moves a version
backwards; a failed one changes nothing and leaves the transaction usable; the
returned instance shows what the database holds. Values go through the mapped
class, so validators, hybrids, composites and inheritance work as in plain
SQLAlchemy, and the UPDATE carries the version in its WHERE clause.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.exc import StaleDataError

from lockstep.errors import Duplicate, InvalidValue, LockstepError
from lockstep.repository.audit.trail import recorded
from lockstep.repository.facts import LAZY_QUERIES, unknown_attribute, written_names
from lockstep.repository.keys import identity_of
from lockstep.repository.loading import seal
from lockstep.repository.refreshing import (
    forget_moved,
    locked,
    refresh,
    refresh_many,
)
from lockstep.repository.transaction import atomic
from lockstep.repository.versions import check_expected, check_version, stale

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from sqlalchemy.orm import Session

    from lockstep.repository.facts import ModelFacts
    from lockstep.repository.keys import Identity, Key

M = TypeVar("M")

#: Rows flushed together; bounds memory, and is the same on every engine.
BATCH_ROWS = 500


def new_instance(facts: ModelFacts[M], item: M | Mapping[str, Any]) -> M:
    """Return an instance that is not stored yet.

    Raises:
        UnknownAttribute: A mapping names something the model does not have.
        InvalidValue: The item is of another class, or cannot be constructed.
        Duplicate: The instance is stored already.
    """
    if isinstance(item, Mapping):
        given = cast("Mapping[str, Any]", item)
        for name in given:
            if name not in facts.mapper.all_orm_descriptors:
                known = facts.mapper.all_orm_descriptors.keys()
                raise unknown_attribute(facts.name, name, known)
        try:
            return facts.model(**given)
        except TypeError as exc:
            raise InvalidValue(
                f"{facts.name} cannot be made from {', '.join(sorted(given))}: {exc}"
            ) from exc
    if not isinstance(item, facts.model):
        raise InvalidValue(
            f"a repository of {facts.name} stores {facts.name}, "
            f"not {type(item).__name__}"
        )
    state = cast("orm.InstanceState[Any]", sa.inspect(item))
    if state.key is not None:
        raise Duplicate(
            f"this {facts.name} is stored already", hint="use update() to change it"
        )
    return item


def _refuse_known(session: Session, instances: Iterable[object]) -> None:
    # SQLAlchemy only warns when two instances of one session have the same key.
    for instance in instances:
        mapper = cast("orm.Mapper[Any]", sa.inspect(type(instance)))
        key = mapper.identity_key_from_instance(instance)
        known = None if None in key[1] else session.identity_map.get(key)
        if known is not None and known is not instance:
            raise Duplicate(
                f"a {mapper.class_.__name__} with this key is there",
                hint="change that one with update()",
            )


def add(session: Session, facts: ModelFacts[M], item: M | Mapping[str, Any]) -> M:
    """Store one new row and return it as the database holds it."""
    instance = new_instance(facts, item)
    with _together(session, [instance]):
        _refuse_known(session, [instance])
        session.add(instance)
        stored = [*session.new]
        with recorded(session, instance):
            session.flush()
            refresh(session, instance)
        seal(stored)
    return instance


@contextmanager
def _together(session: Session, items: Iterable[object]) -> Generator[None]:
    """Do all of the block or nothing, links from stored rows to these included.

    ``Part(bin=a)`` has changed the collection ``a.parts``. Flushed before the part
    is in the session, ``a`` would be found to hold a stranger.
    """
    linked = list(_linked_only(session, items))
    try:
        with atomic(session, linked):
            yield
    except BaseException:
        for state in linked:
            _recover(session, state.obj())
        raise


def _linked_only(
    session: Session, items: Iterable[object]
) -> Iterator[orm.InstanceState[Any]]:
    for item in items:
        start = cast("orm.InstanceState[Any] | None", sa.inspect(item, raiseerr=False))
        if not isinstance(start, orm.InstanceState) or start.session is session:
            continue
        for _, mapper, state, _ in start.mapper.cascade_iterator("save-update", start):
            columns = {prop.key for prop in mapper.column_attrs}
            if state.session is session and not columns & {*state.committed_state}:
                yield state


def add_many(
    session: Session, facts: ModelFacts[M], items: Iterable[M | Mapping[str, Any]]
) -> Iterator[list[M]]:
    """Store new rows batch by batch; yield each batch. The caller is atomic."""
    for batch in batches(items):
        instances = [new_instance(facts, item) for item in batch]
        _refuse_known(session, instances)
        session.add_all(instances)
        stored = [*session.new]
        session.flush()
        seal(stored)
        yield instances


def add_all(
    session: Session, facts: ModelFacts[M], items: Iterable[M | Mapping[str, Any]]
) -> list[M]:
    """Store new rows, all or none, and return them as the database holds them."""
    added: list[M] = []
    with _together(session, _given(items)):
        for instances in add_many(session, facts, items):
            refresh_many(session, instances)
            added.extend(instances)
    return added


def add_counted(
    session: Session, facts: ModelFacts[M], items: Iterable[M | Mapping[str, Any]]
) -> int:
    """Store new rows, all or none, holding one batch at a time; return how many."""
    count = 0
    with _together(session, _given(items)):
        for instances in add_many(session, facts, items):
            count += len(instances)
    return count


def _given(items: Iterable[object]) -> Iterable[object]:
    # What is made on the way is linked on the way, inside the savepoint.
    return items if isinstance(items, list | tuple) else ()


def batches(items: Iterable[M], rows_max: int = BATCH_ROWS) -> Iterator[list[M]]:
    """Yield the items in lists of at most ``rows_max``, holding only one."""
    rest = iter(items)
    while batch := list(islice(rest, rows_max)):
        yield batch


def update(
    session: Session,
    facts: ModelFacts[M],
    key: Key,
    values: Mapping[str, Any],
    *,
    expected_version: int | None,
    any_version: bool,
) -> M:
    """Change one row, if nobody changed it since the expected version was read."""
    identity = identity_of(facts, key)
    check_expected(facts, expected_version, is_required=not any_version)
    _check_names(facts, values)
    instance: M | None = None
    try:
        with atomic(session):
            instance = locked(session, facts, identity, with_columns=values)
            check_version(facts, instance, expected_version)
            if values:
                write_values(session, instance, values)
    except (LockstepError, StaleDataError) as exc:
        _recover(session, instance)
        if isinstance(exc.__cause__, StaleDataError):
            raise _stale(session, facts, identity, expected_version) from exc
        raise
    except BaseException:
        _recover(session, instance)
        raise
    return instance


def write_values(session: Session, instance: Any, values: Mapping[str, Any]) -> None:
    """Set attributes, flush and refresh, as one recorded change."""
    with recorded(session, instance):
        with session.no_autoflush:
            for name, value in values.items():
                setattr(instance, name, value)
            # Also a value that is the same counts as a change: the caller decided.
            state = cast("orm.InstanceState[Any]", sa.inspect(instance))
            written = written_names(state.mapper)
            for name in (*values, *written):
                if name in state.dict and name in written:
                    flag_modified(instance, name)
                    break
        stored = [*session.new]
        session.flush()
        forget_moved(instance, values)
        refresh(session, instance)
        seal(stored)


def _recover(session: Session, instance: object | None) -> None:
    """Make an instance readable again that a failed write has expired."""
    if instance is None or not session.is_active:
        return
    state = cast("orm.InstanceState[Any]", sa.inspect(instance))
    if state.persistent and state.expired_attributes:
        refresh(session, instance)


def _check_names(facts: ModelFacts[Any], values: Mapping[str, Any]) -> None:
    mapper = facts.mapper
    kept = {*facts.key_names, facts.version_name, facts.deleted_name} - {None}
    for name in values:
        if name not in mapper.all_orm_descriptors:
            known = mapper.all_orm_descriptors.keys()
            raise unknown_attribute(facts.name, name, known)
        prop = mapper.attrs.get(name)
        if isinstance(prop, orm.SynonymProperty):
            # Another name for a protected attribute protects it no less.
            prop = mapper.attrs.get(prop.name)
        if name in kept or (prop is not None and prop.key in kept):
            raise InvalidValue(
                f"{facts.name}.{name} is not for update() to set",
                hint="the version counts by itself, a key stays what it is, and "
                "delete() and restore() mark rows",
            )
        if isinstance(prop, orm.RelationshipProperty) and (
            prop.uselist or prop.lazy in LAZY_QUERIES
        ):
            raise InvalidValue(
                f"{facts.name}.{name} is a collection: change its own rows"
            )


def _stale(
    session: Session,
    facts: ModelFacts[Any],
    identity: Identity,
    expected: int | None,
) -> LockstepError:
    """Return what a write that matched no row means, by reading the row again."""
    try:
        instance = locked(session, facts, identity)
    except LockstepError as exc:
        return exc
    actual = getattr(instance, facts.version_name or facts.key_names[0])
    return stale(facts, expected, actual)
