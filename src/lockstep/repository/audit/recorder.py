"""Ordinary ORM work in our sessions, recorded as it is flushed.

Owns the listeners on SQLAlchemy's sessions. They act in sessions that Lockstep
opened or a repository works in, and only for classes that an audit model covers.
What a repository call writes itself is recorded by that call, never twice.

    before_flush   images of all rows about to be changed: one query per class
    mapper events  what the flush really inserts, updates and deletes
    after_flush    images of what is there now, entries written; same transaction

Statements that bypass the unit of work (``session.execute(update(…))``, raw SQL)
are not seen here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa
from sqlalchemy import event, orm

from lockstep.errors import AppendOnly
from lockstep.repository.audit.images import (
    Change,
    fetch_images,
    image_in,
    key_text,
    shape_of,
)
from lockstep.repository.audit.trail import BY_HAND, WATCHED, trail_of, write
from lockstep.schema import AuditTrail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from lockstep.repository.audit.images import Image

_FLUSH: Final = "lockstep.audit.flush"


@dataclass
class _Flush:
    """What one flush does to recorded rows."""

    before: dict[orm.InstanceState[Any], Image | None] = field(
        default_factory=dict[orm.InstanceState[Any], "Image | None"]
    )
    written: list[orm.InstanceState[Any]] = field(
        default_factory=list[orm.InstanceState[Any]]
    )
    removed: list[orm.InstanceState[Any]] = field(
        default_factory=list[orm.InstanceState[Any]]
    )


def watch(session: Session) -> None:
    """Record the unit of work of a session that a repository works in."""
    session.info.setdefault(WATCHED, True)


def _is_watched(session: Session) -> bool:
    return WATCHED in session.info or "lockstep.database" in session.info


def _state(instance: object) -> orm.InstanceState[Any]:
    return cast("orm.InstanceState[Any]", sa.inspect(instance))


def _is_recorded(session: Session, state: orm.InstanceState[Any]) -> bool:
    if state in session.info.get(BY_HAND, ()):
        return False
    return trail_of(state.mapper) is not None


def _before_flush(session: Session, _context: object, _instances: object) -> None:
    session.info.pop(_FLUSH, None)
    if not _is_watched(session):
        return
    flush = session.info[_FLUSH] = _Flush()
    changed = [*session.dirty, *session.deleted]
    _refuse_trail_changes(session, changed)
    states = [
        state
        for state in map(_state, changed)
        if state.key is not None and _is_recorded(session, state)
    ]
    flush.before.update(_images(session, states, lock=True))


def _refuse_trail_changes(session: Session, changed: Iterable[object]) -> None:
    for instance in changed:
        if isinstance(instance, AuditTrail) and (
            instance in session.deleted or session.is_modified(instance)
        ):
            raise AppendOnly("an entry of the audit trail cannot be changed")


def _images(
    session: Session, states: Iterable[orm.InstanceState[Any]], *, lock: bool
) -> dict[orm.InstanceState[Any], Image | None]:
    """Read the images of these states, one query per class."""
    groups: dict[orm.Mapper[Any], list[orm.InstanceState[Any]]] = {}
    for state in states:
        groups.setdefault(state.mapper, []).append(state)
    found: dict[orm.InstanceState[Any], Image | None] = {}
    for mapper, members in groups.items():
        keys = [_identity(state) for state in members]
        images = fetch_images(session, mapper, keys, lock=lock)
        for state, key in zip(members, keys, strict=True):
            found[state] = images.get(key_text(key))
    return found


def _identity(state: orm.InstanceState[Any]) -> tuple[Any, ...]:
    if state.key is not None:
        return tuple(state.key[1])
    return tuple(state.mapper.primary_key_from_instance(state.obj()))


def _current(instance: object) -> tuple[Session, _Flush] | None:
    session = orm.object_session(instance)
    flush = None if session is None else session.info.get(_FLUSH)
    if session is None or flush is None:
        return None
    return (session, flush) if _is_recorded(session, _state(instance)) else None


def _before_change(_mapper: object, _connection: object, instance: object) -> None:
    # Rows that the flush itself decided to touch, by a cascade or another listener.
    current = _current(instance)
    if current is not None and _state(instance) not in current[1].before:
        session, flush = current
        flush.before.update(_images(session, [_state(instance)], lock=True))


def _after_write(_mapper: object, _connection: object, instance: object) -> None:
    if (current := _current(instance)) is not None:
        current[1].written.append(_state(instance))


def _after_delete(_mapper: object, _connection: object, instance: object) -> None:
    if (current := _current(instance)) is not None:
        current[1].removed.append(_state(instance))


def _after_flush(session: Session, _context: object) -> None:
    flush: _Flush | None = session.info.pop(_FLUSH, None)
    if flush is None or not (flush.written or flush.removed):
        return
    # A key may have been changed: the new row is found by the new key.
    written = list(dict.fromkeys(flush.written))
    now_by_key: dict[orm.Mapper[Any], dict[str, Image]] = {}
    keys = {
        state: tuple(state.mapper.primary_key_from_instance(state.obj()))
        for state in written
    }
    for mapper in dict.fromkeys(state.mapper for state in written):
        wanted = [key for state, key in keys.items() if state.mapper is mapper]
        now_by_key[mapper] = fetch_images(session, mapper, wanted)
    changes: dict[type[AuditTrail], list[Change]] = {}
    for state in (*written, *flush.removed):
        after = None
        if state in keys:
            after = now_by_key[state.mapper].get(key_text(keys[state]))
            after = after or image_in(state.obj())
        trail = trail_of(state.mapper)
        if trail is not None:
            change = Change(
                shape_of(state.mapper),
                _identity(state),
                flush.before.get(state),
                after,
            )
            changes.setdefault(trail, []).append(change)
    for trail, found in changes.items():
        write(session, trail, found)


def install() -> None:
    """Start listening; called once, when the package is imported."""
    event.listen(orm.Session, "before_flush", _before_flush)
    event.listen(orm.Session, "after_flush", _after_flush)
    event.listen(orm.Mapper, "before_update", _before_change)
    event.listen(orm.Mapper, "before_delete", _before_change)
    event.listen(orm.Mapper, "after_insert", _after_write)
    event.listen(orm.Mapper, "after_update", _after_write)
    event.listen(orm.Mapper, "after_delete", _after_delete)
