"""The audit table: which models it covers, how entries get in and out.

Owns the rule that a model is recorded when its registry has a model with the
``AuditTrail`` mixin, unless the model says ``__audit__ = False``; the writing of
entries on the transaction's own connection; and the refusal to change an entry.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.sql import operators

from lockstep.errors import AppendOnly, SchemaError, UnsupportedCapability
from lockstep.repository.audit.images import (
    Change,
    fetch_images,
    image_in,
    key_text,
    shape_of,
)
from lockstep.repository.keys import identity_of
from lockstep.repository.transaction import actor, now
from lockstep.schema import AuditTrail

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from sqlalchemy.orm import Session

    from lockstep.repository.audit.images import Image
    from lockstep.repository.facts import ModelFacts
    from lockstep.repository.keys import Key

#: ``session.info`` keys of this package.
WATCHED = "lockstep.audit.watched"
BY_HAND = "lockstep.audit.by_hand"


#: The audit model of each mapper asked about, until one more is mapped.
_KNOWN: WeakKeyDictionary[orm.Mapper[Any], type[AuditTrail] | None] = (
    WeakKeyDictionary()
)
#: Stands for a mapper that was not asked about.
_UNKNOWN: Any = object()


@event.listens_for(AuditTrail, "after_mapper_constructed", propagate=True)
def _forget_known(_: orm.Mapper[Any], __: type[Any]) -> None:
    _KNOWN.clear()


def trail_of(mapper: orm.Mapper[Any]) -> type[AuditTrail] | None:
    """Return the audit model that covers a mapped class, or None.

    Raises:
        SchemaError: The class's registry has more than one audit model.
    """
    model = mapper.class_
    if getattr(model, "__audit__", True) is False:
        return None
    known = _KNOWN.get(mapper, _UNKNOWN)
    if known is _UNKNOWN:
        known = _KNOWN[mapper] = _trail_of(mapper)
    return known


def _trail_of(mapper: orm.Mapper[Any]) -> type[AuditTrail] | None:
    if issubclass(mapper.class_, AuditTrail):
        return None
    found = [
        candidate
        for candidate in _mapped_trails(AuditTrail)
        if cast("orm.Mapper[Any]", sa.inspect(candidate)).registry is mapper.registry
    ]
    if len(found) > 1:
        names = ", ".join(sorted(candidate.__name__ for candidate in found))
        raise SchemaError(
            f"several models use AuditTrail: {names}",
            hint="keep one audit model per declarative base",
        )
    return found[0] if found else None


def _mapped_trails(base: type[Any]) -> Iterator[type[AuditTrail]]:
    for child in base.__subclasses__():
        mapper: object = sa.inspect(child, raiseerr=False)
        # A class below another mapped one shares its table and its registry.
        if isinstance(mapper, orm.Mapper):
            yield child
        else:
            yield from _mapped_trails(child)


def refuse_change(facts: ModelFacts[Any], verb: str) -> None:
    """Refuse to alter the trail itself.

    Raises:
        AppendOnly: The model is an audit model.
    """
    if issubclass(facts.model, AuditTrail):
        raise AppendOnly(f"{verb} is refused: {facts.name} is the audit trail")


def entries_of(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Return one entry, by attribute name, per change that changed something.

    When it was written, and by whom, is left to say.
    """
    rows: list[dict[str, Any]] = []
    for change in changes:
        images = change.images()
        if images is not None:
            rows.append(
                {
                    "action": change.action,
                    "table_name": change.shape.table_name,
                    "row_key": change.shape.row_key(change.identity),
                    "before": images[0],
                    "after": images[1],
                }
            )
    return rows


def write(session: Session, trail: type[AuditTrail], changes: Iterable[Change]) -> None:
    """Insert one entry per change, in the session's transaction."""
    stamp = {"at": now(session), "actor": actor(session)}
    rows = [{**stamp, **entry} for entry in entries_of(changes)]
    if rows:
        mapper = cast("orm.Mapper[Any]", sa.inspect(trail))
        connection = session.connection(bind_arguments={"mapper": mapper})
        connection.execute(sa.insert(cast("sa.Table", mapper.local_table)), rows)


@contextmanager
def recorded(session: Session, instance: object) -> Generator[None]:
    """Record as one entry what the block does to an instance's row.

    The block flushes and refreshes the instance; an instance that is no longer in
    the session afterwards was deleted. The flush listeners leave it alone.
    """
    state = cast("orm.InstanceState[Any]", sa.inspect(instance))
    trail = trail_of(state.mapper)
    if trail is None:
        yield
        return
    before = _image(session, state) if state.persistent else None
    identity = state.identity
    by_hand: set[Any] = session.info.setdefault(BY_HAND, set())
    by_hand.add(state)
    try:
        yield
    finally:
        by_hand.discard(state)
    after = _image(session, state) if state.persistent else None
    change = Change(
        shape_of(state.mapper),
        tuple(identity or cast("tuple[Any, ...]", state.identity)),
        before,
        after,
    )
    write(session, trail, [change])


def _image(session: Session, state: orm.InstanceState[Any]) -> Image | None:
    whole = image_in(state.obj())
    if whole is None:
        identity = tuple(cast("tuple[Any, ...]", state.identity))
        found = fetch_images(session, state.mapper, [identity])
        whole = found.get(key_text(identity))
    return whole


def history_query(
    facts: ModelFacts[Any], key: Key
) -> tuple[type[AuditTrail], list[sa.ColumnElement[bool]]]:
    """Return the audit model and the conditions of one row's history.

    Raises:
        UnsupportedCapability: The model is not recorded.
    """
    trail = trail_of(facts.mapper)
    if trail is None:
        raise UnsupportedCapability(
            f"{facts.name} has no history: no audit model covers it",
            hint="add a model with the AuditTrail mixin to the same base",
        )
    shape = shape_of(facts.mapper)
    attributes = cast("Any", trail)
    row_key = attributes.row_key
    asked = shape.row_key(identity_of(facts, key))
    # Documents are compared by their text, which no index of PostgreSQL's helps with.
    # Keys of one table are equal by jsonb's own rules, too.
    bound = sa.BindParameter(None, asked, type_=row_key.type, unique=True)
    same_key = sa.BinaryExpression[bool](row_key.expression, bound, operators.eq)
    return trail, [attributes.table_name == shape.table_name, same_key]
