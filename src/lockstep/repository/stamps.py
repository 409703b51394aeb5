"""What a statement that bypasses the unit of work must set by itself.

Owns the columns that flushes fill through the mixins' events: version, times,
names. Core statements run no such events, so they get the values from here, from
the same clock and actor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lockstep.repository.kinds import is_integer
from lockstep.repository.transaction import actor, now
from lockstep.schema import Audited, Timestamped

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from lockstep.repository.facts import ModelFacts


def next_version(facts: ModelFacts[Any]) -> dict[sa.Column[Any], Any]:
    """Return what an UPDATE sets the version to, by column."""
    if facts.version_name is None:
        return {}
    column = facts.column_of(facts.version_name)
    generator = facts.mapper.version_id_generator
    if is_integer(column.type):
        return {column: column + sa.literal(1, column.type)}
    # A version of the model's own making; False means the database makes it.
    return {column: generator(None)} if callable(generator) else {}


def changed_values(
    session: Session, facts: ModelFacts[Any]
) -> dict[sa.Column[Any], Any]:
    """Return version, time and name of a change, by column."""
    values = next_version(facts)
    if issubclass(facts.model, Timestamped):
        values[facts.column_of("updated_at")] = now(session)
    who = actor(session)
    if issubclass(facts.model, Audited) and who is not None:
        values[facts.column_of("updated_by")] = who
    return values


def created_values(session: Session, facts: ModelFacts[Any]) -> dict[str, Any]:
    """Return time and name of a new row, by attribute name."""
    values: dict[str, Any] = {}
    if issubclass(facts.model, Timestamped):
        moment = now(session)
        values |= {"created_at": moment, "updated_at": moment}
    if issubclass(facts.model, Audited):
        who = actor(session)
        values |= {"created_by": who, "updated_by": who}
    return values
