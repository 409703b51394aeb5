"""Atomic arithmetic: take n if at least n is there.

Owns the one statement ``SET q = q + n WHERE q + n >= floor``: the database adds,
so no two writers can both see what only one may take. Reading, subtracting and
writing back loses one of two concurrent changes; this cannot. Where the database
cannot add (a decimal kept as text, a column in the second table of a joined
inheritance), the row is locked first and Python adds.
"""

from __future__ import annotations

import decimal
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

import sqlalchemy as sa

from lockstep.errors import InvalidValue, NotEnough, NotPortable
from lockstep.repository.audit.images import Change, fetch_images, key_text, shape_of
from lockstep.repository.audit.trail import trail_of, write
from lockstep.repository.keys import INTEGER_MAX, identity_of, lookup_type, matches
from lockstep.repository.kinds import is_integer, python_type_of
from lockstep.repository.refreshing import locked, present, refresh
from lockstep.repository.stamps import changed_values
from lockstep.repository.transaction import atomic
from lockstep.repository.writes import write_values

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.dml import ReturningUpdate

    from lockstep.repository.audit.images import Image
    from lockstep.repository.facts import ModelFacts
    from lockstep.repository.keys import Identity, Key

M = TypeVar("M")
Number: TypeAlias = "int | float | decimal.Decimal"

#: A guarded update that matched no row is tried once more with the row locked.
_ATTEMPTS: Final = 2
#: Python's usual context would round a sum to 28 digits.
_EXACT: Final = decimal.Context(prec=2_000)


@dataclass(frozen=True)
class _Adjustment(Generic[M]):
    session: Session
    facts: ModelFacts[M]
    identity: Identity
    name: str
    column: sa.Column[Any]
    by: Number
    floor: Number | None

    def sum_of(self, current: Any) -> Any:
        """Return the new value, or raise why there is none.

        Raises:
            NotEnough: It would lie below the floor.
            InvalidValue: There is no current value, or the sum does not fit.
        """
        what = f"{self.facts.name}.{self.name}"
        if current is None:
            raise InvalidValue(
                f"{what} is NULL: there is nothing to add to",
                hint="set a first value with update()",
            )
        with decimal.localcontext(_EXACT):
            return self._sum(what, current)

    def _sum(self, what: str, current: Any) -> Any:
        found = current + self.by
        if self.by < 0 and self.floor is not None and found < self.floor:
            raise NotEnough(
                f"{what} would fall below {self.floor}",
                wanted=-self.by,
                available=max(current - self.floor, current - current),
            )
        if isinstance(found, int) and abs(found) > INTEGER_MAX:
            raise InvalidValue(f"{what} would no longer fit into 64 bits")
        return found


def adjust(
    session: Session,
    facts: ModelFacts[M],
    key: Key,
    name: str,
    by: Number,
    *,
    floor: Number | None,
) -> Any:
    """Add ``by`` to a column; return the new value."""
    column = adjustable(facts, name, by, floor)
    identity = identity_of(facts, key)
    job = _Adjustment(session, facts, identity, name, column, by, floor)
    with atomic(session):
        if column.table is not facts.key_table:
            return _add_in_python(job)
        try:
            return _add_in_database(job, _statement(job))
        except NotPortable:
            # Raised when the statement is compiled: nothing has been sent.
            return _add_in_python(job)


def adjustable(
    facts: ModelFacts[Any], name: str, by: Number, floor: Number | None
) -> sa.Column[Any]:
    """Return the column of that name, if this may be added to it.

    Raises:
        InvalidValue: It holds no numbers, is not to be changed, or cannot hold
            what is added without losing something.
        UnknownAttribute: There is no such attribute.
    """
    column = facts.column_of(name)
    if column in facts.key_columns or name in (facts.version_name, facts.deleted_name):
        raise InvalidValue(
            f"{facts.name}.{name} is not for adjust() to change",
            hint="change it with update()",
        )
    _check_number(facts, name, "by", by)
    if floor is not None:
        _check_number(facts, name, "floor", floor)
    return column


def _check_number(facts: ModelFacts[Any], name: str, what: str, number: Any) -> None:
    """Refuse what cannot be added to this column without losing something."""
    kind = python_type_of(facts.column_of(name).type)
    allowed = _ADDED_TO.get(kind)
    if allowed is None:
        raise InvalidValue(
            f"{facts.name}.{name} holds no numbers to add to",
            hint="change it with update()",
        )
    if isinstance(number, bool) or not isinstance(number, allowed):
        raise InvalidValue(
            f"{what} must be {allowed[-1].__name__}, not {type(number).__name__}"
        )
    if isinstance(number, int) and abs(number) > INTEGER_MAX:
        raise InvalidValue(f"{what} does not fit into 64 bits")
    if not math.isfinite(number):
        raise InvalidValue(f"{what} must be a finite number")


#: What may be added to a column whose values have this Python type; None stands
#: for types that do not say.
_ADDED_TO: Final[dict[type[Any] | None, tuple[type[Any], ...]]] = {
    int: (int,),
    float: (int, float),
    decimal.Decimal: (int, decimal.Decimal),
    None: (int, float, decimal.Decimal),
}


#: What must hold for a sum to be stored: how it is compared, and with what.
Guard: TypeAlias = "tuple[str, Any] | None"


def guard_of(column: sa.Column[Any], by: Number, floor: Number | None) -> Guard:
    """Return what guards an addition to this column."""
    if by < 0 and floor is not None:
        return "floor", floor
    if is_integer(column.type) and isinstance(by, int):
        # SQLite would turn the sum into a float; PostgreSQL would refuse it.
        room = INTEGER_MAX - abs(by)
        return ("most", room) if by >= 0 else ("least", -room)
    return None


def adding_statement(
    facts: ModelFacts[Any],
    identity: Identity,
    column: sa.Column[Any],
    by: Any,
    guard: Guard,
    changed: dict[sa.Column[Any], Any],
) -> ReturningUpdate[*tuple[Any, ...]]:
    """Return the one statement that adds, guarded; it gives the new value.

    Args:
        facts: The model.
        identity: The checked key.
        column: What is added to.
        by: What is added.
        guard: See ``guard_of``.
        changed: What else the change sets.
    """
    added = column + sa.literal(by, column.type)
    where = [matches(facts.key_columns, identity)]
    if facts.deleted_name is not None:
        where.append(facts.column_of(facts.deleted_name).is_(None))
    if column.nullable:
        where.append(column.is_not(None))
    if guard is not None:
        kind, bound = guard
        if kind == "floor":
            where.append(added >= sa.literal(bound, column.type))
        else:
            limit = sa.literal(bound, lookup_type(column))
            where.append(column <= limit if kind == "most" else column >= limit)
    values: dict[Any, Any] = {**changed, column: added}
    return sa.update(facts.key_table).where(*where).values(values).returning(column)


def _statement(job: _Adjustment[Any]) -> ReturningUpdate[*tuple[Any, ...]]:
    return adding_statement(
        job.facts,
        job.identity,
        job.column,
        job.by,
        guard_of(job.column, job.by, job.floor),
        changed_values(job.session, job.facts),
    )


def _add_in_database(
    job: _Adjustment[M], statement: ReturningUpdate[*tuple[Any, ...]]
) -> Any:
    session, facts, identity = job.session, job.facts, job.identity
    trail = trail_of(facts.mapper)
    before = None if trail is None else _image(job, lock=True)
    done: Any = None
    for _ in range(_ATTEMPTS):
        done = session.execute(statement).first()
        if done is not None:
            break
        # Says why nothing matched; if nothing is wrong, somebody has just added
        # to the row, which is locked from now on.
        row = locked(session, facts, identity)
        job.sum_of(getattr(row, job.name))
    assert done is not None, "a locked row fits the condition or does not"
    if trail is not None:
        change = Change(shape_of(facts.mapper), identity, before, _image(job))
        write(session, trail, [change])
    known = present(session, facts, identity)
    if known is not None:
        refresh(session, known)
    return done[0]


def _image(job: _Adjustment[Any], *, lock: bool = False) -> Image | None:
    found = fetch_images(job.session, job.facts.mapper, [job.identity], lock=lock)
    return found.get(key_text(job.identity))


def _add_in_python(job: _Adjustment[Any]) -> Any:
    row = locked(job.session, job.facts, job.identity)
    added = job.sum_of(getattr(row, job.name))
    write_values(job.session, row, {job.name: added})
    return getattr(row, job.name)
