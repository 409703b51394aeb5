"""Compiled writes: they succeed at the first try, or did not happen.

Owns the savepoint around a compiled write and the steps within it. A write that
does not come to its expected end (no row matched, a value was refused, the
database said no) is taken back, and ``Repository`` makes the same call: it finds
out why, and raises the error. So there is one place where errors are made.
What is no matter of data (the connection is lost, a lock was waited for in vain, a
read session) is raised at once; trying again would only wait again.

    SAVEPOINT ─► [image before] ─► write ─► row after ─► [entry] ─► RELEASE
        └── anything else: ROLLBACK TO, RELEASE, and Repository's turn

The first write of a unit sets no savepoint: the unit's own has nothing else after it.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import sqlalchemy as sa

from lockstep.engine.classify import classify
from lockstep.errors import ReadOnlySession
from lockstep.repository.adjust import adjustable, guard_of
from lockstep.repository.audit.trail import trail_of
from lockstep.repository.compiled import changes
from lockstep.repository.compiled.entries import Journal, journal_of
from lockstep.repository.compiled.inserts import Declined
from lockstep.repository.refreshing import forget_moved, refresh
from lockstep.repository.transaction import raise_translated
from lockstep.repository.versions import check_expected

if TYPE_CHECKING:
    from lockstep.repository.adjust import Number
    from lockstep.repository.compiled.place import InSession, InUnit
    from lockstep.repository.compiled.plan import Plan
    from lockstep.repository.compiled.reads import Reader
    from lockstep.repository.compiled.rows import Target
    from lockstep.repository.keys import Identity, Key

R = TypeVar("R")
T = TypeVar("T")

_SET: Final = "SAVEPOINT lockstep_compiled"
_UNDO: Final = "ROLLBACK TO SAVEPOINT lockstep_compiled"
_RELEASE: Final = "RELEASE SAVEPOINT lockstep_compiled"


def attempt(
    place: InSession | InUnit, work: Callable[[Any], T], *, together: bool = False
) -> T | None:
    """Do the work on the driver's connection; return None if it was taken back.

    Args:
        place: Where it is done.
        work: Does it.
        together: Whether it begins with the place's ``together``, if there is such.

    Raises:
        LockstepError: What trying again would only wait for, or is refused again.
    """
    driver, savepoint = place.attempting(together=together)
    try:
        if savepoint is None:
            return _within_savepoint(driver, work)
        try:
            return work(driver)
        except BaseException:
            place.return_to(savepoint)
            raise
    except Declined:
        return None
    except Exception as exc:
        meaning = classify(exc)
        if meaning is not None and (
            meaning.retryable or isinstance(meaning, ReadOnlySession)
        ):
            raise_translated(exc)
        return None


def _within_savepoint(driver: Any, work: Callable[[Any], T]) -> T:
    driver.execute(_SET)
    try:
        done = work(driver)
    except BaseException:
        driver.execute(_UNDO)
        driver.execute(_RELEASE)
        raise
    driver.execute(_RELEASE)
    return done


#: Types whose values are values and never expressions.
_VALUES: Final = frozenset(
    {
        *(type(None), bool, int, float, str, bytes, uuid.UUID, decimal.Decimal),
        *(dt.datetime, dt.date, dict, list),
    }
)


def kinds_of(values: Iterable[Any]) -> set[Any]:
    """Return the types of these values."""
    return set(map(type, values))


def are_values(kinds: set[Any]) -> bool:
    """Return whether no value of these types is an expression for the database."""
    return kinds <= _VALUES or not any(
        issubclass(kind, sa.ClauseElement) or hasattr(kind, _EXPRESSION)
        for kind in kinds - _VALUES
    )


_EXPRESSION: Final = "__clause_element__"


def _there(row: T | None) -> T:
    """Return a row that was looked for.

    Raises:
        Declined: It is not there.
    """
    if row is None:
        raise Declined("no such row")
    return row


def _check_one(cursor: Any) -> None:
    """Look at what a change of one row did.

    Raises:
        Declined: It changed nothing.
    """
    if cursor.rowcount != 1:
        raise Declined("no such row, or another version")


class Writer(Generic[R]):
    """Writes one model's rows in one place; None where it did not succeed."""

    __slots__ = ("place", "plan", "reader", "target")

    def __init__(self, reader: Reader[R]) -> None:
        self.reader = reader
        self.plan: Plan[Any] = reader.plan
        self.place: InSession | InUnit = reader.place
        self.target: Target[R] = reader.target

    def update(
        self, key: Key, values: Mapping[str, Any], expected: int | None, *, is_any: bool
    ) -> R | None:
        """Change a row at its expected version; return it as it is then."""
        plan = self.plan
        identity = plan.identity(key)
        check_expected(plan.facts, expected, is_required=not is_any)
        names = tuple(values)
        bound = [*values.values()]
        alteration = self._alteration("update", names, expected)
        if not names or alteration is None or not are_values(kinds_of(bound)):
            return None
        if self.target.shows_more(names):
            return None
        return self._change(alteration, identity, bound, expected, names)

    def mark(self, key: Key, expected: int | None) -> R | None:
        """Mark a row as deleted."""
        identity = self.plan.identity(key)
        check_expected(self.plan.facts, expected, is_required=False)
        name = cast("str", self.plan.facts.deleted_name)
        alteration = self._alteration("mark", (), expected)
        if alteration is None:
            return None
        bound = [self.place.now()]
        return self._change(alteration, identity, bound, expected, (name,))

    def _alteration(
        self, verb: str, names: tuple[str, ...], expected: int | None
    ) -> changes.Alteration | None:
        if not all(map(self.plan.is_plain, names)):
            return None
        with_version, with_actor = expected is not None, self.place.actor is not None
        make = changes.update_of if verb == "update" else changes.mark_of
        return self.plan.kept.of(
            (verb, names, with_version, with_actor),
            lambda: make(
                self.plan, names, with_version=with_version, with_actor=with_actor
            ),
        )

    def _change(
        self,
        alteration: changes.Alteration,
        identity: Identity,
        bound: list[Any],
        expected: int | None,
        names: Sequence[str],
    ) -> R | None:
        bound += identity
        if expected is not None:
            bound.append(expected)

        def work(driver: Any) -> Sequence[Any]:
            journal = journal_of(self.plan)
            if journal is None:
                _check_one(alteration.run(driver, self.place, bound))
                return _there(self.reader.lookup.one(driver, identity))
            return self._recorded(
                driver, identity, journal, alteration, bound, _check_one
            )

        after = attempt(self.place, work, together=self._is_recorded)
        return None if after is None else self._shown(identity, after, names)

    @property
    def _is_recorded(self) -> bool:
        return trail_of(self.plan.facts.mapper) is not None

    def _recorded(
        self,
        driver: Any,
        identity: Identity,
        journal: Journal,
        alteration: changes.Alteration,
        bound: Sequence[Any],
        check: Callable[[Any], None],
    ) -> Sequence[Any]:
        """Change a row, write its entry; return its values afterwards.

        Args:
            driver: The driver's connection.
            identity: The row's key.
            journal: How the change is written down.
            alteration: The statement.
            bound: Its values.
            check: Looks at its cursor; raises ``Declined`` if nothing was changed.
        """
        place, together = self.place, self.place.together
        locked, stored = journal.locked, journal.stored
        key = locked.bound(identity)
        if together is None:
            before = _there(locked.first(driver.execute(locked.sql, key)))
            check(alteration.run(driver, place, bound))
            after = _there(stored.first(driver.execute(stored.sql, key)))
            journal.update(driver, place, identity, before, after)
        else:
            with together() as several:  # none of them waits for another's answer
                found = several.execute(locked.sql, key)
                altered = alteration.run(several, place, bound)
                reread = several.execute(stored.sql, key)
            before = _there(locked.first(found))
            check(altered)
            after = _there(stored.first(reread))
            with together() as several:
                journal.update(several, place, identity, before, after)
        return journal.values_of(stored.shown(after), self.target.names)

    def _shown(
        self, identity: Identity, values: Sequence[Any], names: Sequence[str]
    ) -> R:
        """Return what the row became, and let instances of it show it."""
        self._show_known(identity, names)
        return self.target.one(values)

    def _show_known(self, identity: Identity, names: Sequence[str]) -> None:
        held = self.place.held
        if held is None:
            return
        known = held.identity_map.get(self.plan.identity_key(identity))
        if known is not None:
            forget_moved(known, names)
            refresh(held, known)
            # A savepoint of the session that is rolled back takes it back, too.
            cast("Any", held)._register_altered([sa.inspect(known)])

    def remove(self, key: Key, expected: int | None) -> bool:
        """Delete a row for good; return whether that succeeded."""
        plan = self.plan
        identity = plan.identity(key)
        check_expected(plan.facts, expected, is_required=False)
        removal = plan.kept.of(
            ("remove", expected is not None),
            lambda: changes.removal_of(plan, with_version=expected is not None),
        )
        bound = [*identity] if expected is None else [*identity, expected]

        def work(driver: Any) -> bool:
            journal = journal_of(plan)
            before = None
            if journal is not None:
                before = _there(journal.locked.row(driver, identity))
            if removal.run(driver, self.place, bound).rowcount != 1:
                raise Declined("no such row, or another version")
            if journal is not None:
                change = journal.change(identity, before, None)
                journal.write(driver, self.place, [change])
            return True

        done = attempt(self.place, work) is not None
        held = self.place.held
        if done and held is not None:
            known = held.identity_map.get(plan.identity_key(identity))
            if known is not None:
                held.expunge(known)
        return done

    def adjust(self, key: Key, name: str, by: Number, floor: Number | None) -> Any:
        """Add to a number; return the new one."""
        plan = self.plan
        column = adjustable(plan.facts, name, by, floor)
        identity = plan.identity(key)
        guard = guard_of(column, by, floor)
        kind = None if guard is None else guard[0]
        with_actor = self.place.actor is not None
        addition = plan.kept.of(
            ("adjust", name, kind, with_actor),
            lambda: changes.addition_of(plan, column, kind, with_actor=with_actor),
        )
        if addition is None:
            return None
        bound = [*identity, by] if guard is None else [*identity, by, guard[1]]

        found: list[Sequence[Any]] = []

        def check(cursor: Any) -> None:
            found[:] = addition.statement.converted(cursor, cursor.fetchall())
            if len(found) != 1:
                raise Declined("no such row, or not enough")

        def work(driver: Any) -> Any:
            journal = journal_of(plan)
            if journal is None:
                check(addition.run(driver, self.place, bound))
            else:
                self._recorded(driver, identity, journal, addition, bound, check)
            return found[0][0]

        done = attempt(self.place, work, together=self._is_recorded)
        if done is not None:
            self._show_known(identity, (name,))
        return done
