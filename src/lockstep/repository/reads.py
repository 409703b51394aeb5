"""Reading instances: one SELECT per question, plus one per loaded relationship.

Owns how a read is built and run. Every read shows what the database holds: an
instance the session knew already is refreshed, after the session's own pending
changes were written. Every instance comes back sealed (see ``loading``), so it
stays readable after the session and never queries by surprise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import sqlalchemy as sa

from lockstep.errors import InvalidValue, LimitExceeded
from lockstep.repository.filters import conditions_of, hiding_options
from lockstep.repository.freshening import Freshening, noting_loads
from lockstep.repository.keys import conditions, identity_of, matches
from lockstep.repository.loading import LoadPlan, load_plan, seal
from lockstep.repository.transaction import translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

    from lockstep.repository.facts import ModelFacts
    from lockstep.repository.filters import Where
    from lockstep.repository.keys import Key
    from lockstep.repository.loading import Load

M = TypeVar("M")

#: Rows that ``list`` returns without ``limit``; more is refused, never cut off.
LIST_ROWS_MAX: Final = 10_000


@dataclass(frozen=True)
class Reading(Generic[M]):
    """What one read asks for, apart from order and length."""

    facts: ModelFacts[M]
    where: tuple[sa.ColumnElement[bool], ...] = ()
    plan: LoadPlan = field(default_factory=LoadPlan)
    with_deleted: bool = False

    def select(self, *columns: sa.ColumnElement[Any]) -> sa.Select[*tuple[Any, ...]]:
        """Return the SELECT of the model's rows, with more columns if asked."""
        statement = sa.select(self.facts.model, *columns).where(*self.where)
        return statement.options(*self._options())

    def select_only(self, column: sa.ColumnElement[Any]) -> sa.Select[*tuple[Any, ...]]:
        """Return the SELECT of one expression over the rows that match."""
        statement = sa.select(column).select_from(self.facts.model).where(*self.where)
        return statement.options(*hiding_options(with_deleted=self.with_deleted))

    def rows(
        self, session: Session, statement: sa.Select[*tuple[Any, ...]]
    ) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        """Run the statement; return its rows, instances refreshed and sealed."""
        with translated(), noting_loads(session) as noted:
            rows = session.execute(statement).unique().all()
            found = [row[0] for row in rows]
            options = hiding_options(with_deleted=self.with_deleted)
            Freshening(session, noted, options).freshen(found, self.plan.tree)
        seal(found, self.plan)
        return rows

    def instances(
        self, session: Session, statement: sa.Select[*tuple[Any, ...]]
    ) -> list[M]:
        """Run the statement; return its instances, refreshed and sealed."""
        return [cast("M", row[0]) for row in self.rows(session, statement)]

    def _options(self) -> Iterable[Any]:
        yield from hiding_options(with_deleted=self.with_deleted)
        yield from self.plan.options


def reading(
    facts: ModelFacts[M],
    where: Iterable[Where] = (),
    equal: Mapping[str, Any] | None = None,
    *,
    load: Iterable[Load] = (),
    with_deleted: bool = False,
) -> Reading[M]:
    """Return a checked read.

    Raises:
        UnknownAttribute: A name is no attribute of the model.
        InvalidValue: A condition or an element of ``load`` makes no sense.
    """
    return Reading(
        facts,
        tuple(conditions_of(facts, where, equal or {})),
        load_plan(facts, load),
        with_deleted,
    )


def find_by_key(session: Session, asked: Reading[M], key: Key) -> M | None:
    """Return the row with this key, or None."""
    facts = asked.facts
    identity = identity_of(facts, key)
    statement = asked.select().where(matches(facts.key_attributes, identity))
    found = asked.instances(session, statement)
    return found[0] if found else None


def find_by_keys(session: Session, asked: Reading[M], keys: Iterable[Key]) -> list[M]:
    """Return the rows with these keys, in the keys' order; absent ones are left out."""
    facts = asked.facts
    identities = [identity_of(facts, key) for key in keys]
    distinct = list(dict.fromkeys(identities))
    found: dict[tuple[Any, ...], M] = {}
    for condition in conditions(session, facts.key_attributes, distinct):
        for row in asked.instances(session, asked.select().where(condition)):
            found[tuple(facts.mapper.primary_key_from_instance(row))] = row
    return [found[identity] for identity in identities if identity in found]


def list_rows(
    session: Session,
    asked: Reading[M],
    order: Iterable[sa.ColumnElement[Any]],
    limit: int | None,
) -> list[M]:
    """Return the matching rows in order.

    Raises:
        LimitExceeded: No ``limit`` was given and more than ``LIST_ROWS_MAX`` match.
        InvalidValue: ``limit`` is no count.
    """
    if limit is not None and (isinstance(limit, bool) or limit < 0):
        raise InvalidValue(
            f"limit must be a number of rows, not {limit!r}",
            hint="leave limit out, or pass an int",
        )
    length = LIST_ROWS_MAX + 1 if limit is None else limit
    statement = asked.select().order_by(*order).limit(length)
    found = asked.instances(session, statement)
    if limit is None and len(found) > LIST_ROWS_MAX:
        raise LimitExceeded(
            f"more than {LIST_ROWS_MAX} rows of {asked.facts.name} match",
            detail={"rows_max": LIST_ROWS_MAX},
        )
    return found


def find_one(session: Session, asked: Reading[M]) -> M | None:
    """Return the one row that matches, or None.

    Raises:
        LimitExceeded: More than one row matches.
    """
    found = asked.instances(session, asked.select().limit(2))
    if len(found) > 1:
        raise LimitExceeded(
            f"more than one row of {asked.facts.name} matches",
            hint="narrow the conditions, or use list()",
        )
    return found[0] if found else None


def count_rows(session: Session, asked: Reading[Any]) -> int:
    """Return how many rows match."""
    with translated():
        return session.execute(asked.select_only(sa.func.count())).scalar_one()


def is_any(session: Session, asked: Reading[Any]) -> bool:
    """Return whether a row matches."""
    statement = asked.select_only(sa.literal(1)).limit(1)
    with translated():
        return session.execute(statement).first() is not None
