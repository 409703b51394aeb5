"""Where compiled calls work: the transaction of a Session, or of a Unit.

Owns the way to the raw driver connection, and coherence with whatever else works
in that transaction. Before each call the session's pending changes are flushed.
Instances that a session holds show the row after each write.

    Session   instances belong to it, as those of ``Repository`` do
    Unit      instances are detached from the start, as those of ``Repository`` are
              once its session is closed; ``unit.session``, if somebody asked for
              it, is kept in step all the same
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, cast

import sqlalchemy as sa
from sqlalchemy import orm

from lockstep.engine.sessions import ACTOR, CLOCK, DATABASE
from lockstep.engine.unit import Unit
from lockstep.errors import InvalidValue
from lockstep.repository.audit.recorder import watch
from lockstep.repository.facts import facts_of
from lockstep.repository.refreshing import refresh_many
from lockstep.repository.transaction import actor, atomic, now, translated

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

_ALL = "lockstep_compiled_all"

#: What happens in a session when its unit of work writes, and how many listeners
#: of ``lockstep.repository.audit`` there are.
_SESSION_EVENTS = {"before_flush": 1, "after_flush": 1, "after_flush_postexec": 0}


class InUnit:
    """A unit of work, which may have a session and usually has none.

    Attributes:
        together: Collects statements for one round trip; None where each is a call.
    """

    session = None
    reason = ""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.actor = unit.actor
        self.together = unit.together
        self.dialect = unit.dialect

    def now(self) -> datetime:
        """Return the time by the unit's clock."""
        return self._unit.clock.now()

    @property
    def held(self) -> orm.Session | None:
        """The session whose instances must be kept in step."""
        return self._unit.held_session

    def reading(self) -> Any:
        """Return the driver's connection, for a read."""
        if self._unit.held_session is not None:
            self._flush_held()
        return self._unit.driver_to_read()

    def writing(self) -> Any:
        """Return the driver's connection, for a write."""
        self._flush_held()
        return self._unit.driver

    def attempting(self, *, together: bool) -> tuple[Any, str | None]:
        """Return the driver's connection, and the savepoint to return to.

        The unit's own serves its first write; None: one has to be set.

        Args:
            together: Whether the write begins with ``together``, if there is such.
        """
        self._flush_held()
        unit = self._unit
        savepoint = unit.undoing()
        if together and savepoint is not None and self.together is not None:
            return unit.driver_together(), savepoint
        return unit.driver, savepoint

    def return_to(self, savepoint: str) -> None:
        """Undo what was done since a savepoint that ``attempting`` gave."""
        self._unit.driver.execute(f"ROLLBACK TO SAVEPOINT {savepoint}")

    def _flush_held(self) -> None:
        held = self._unit.held_session
        if held is not None:
            with translated():
                held.flush()

    @contextmanager
    def atomic(self) -> Generator[None]:
        """Do all of the block or nothing."""
        driver = self.writing()
        driver.execute(f"SAVEPOINT {_ALL}")
        try:
            yield
        except BaseException:
            driver.execute(f"ROLLBACK TO SAVEPOINT {_ALL}")
            driver.execute(f"RELEASE SAVEPOINT {_ALL}")
            raise
        driver.execute(f"RELEASE SAVEPOINT {_ALL}")

    @contextmanager
    def ordinary(self) -> Generator[orm.Session]:
        """Yield a session for what is not compiled; it lets go of all afterwards.

        So the instances are detached, whichever way a call takes.
        """
        self.reading()
        unit, held = self._unit, self.held
        info = {ACTOR: unit.actor, CLOCK: unit.clock, DATABASE: unit.database}
        with orm.Session(
            unit.connection,
            join_transaction_mode="rollback_only",
            expire_on_commit=False,
            info=info,
        ) as session:
            yield session
            with translated():
                session.commit()
        if held is not None:
            refresh_many(held, list(held.identity_map.values()))


class InSession:
    """A session, whose identity map the instances belong to."""

    together = None

    def __init__(self, session: orm.Session, model: type[Any]) -> None:
        self.session = self.held = session
        self._mapper = {"mapper": facts_of(model).mapper}
        bind = session.get_bind(facts_of(model).mapper)
        self.dialect = bind.dialect
        self.reason = _reason_session(session, bind)
        watch(session)

    @property
    def actor(self) -> str | None:
        """Who acts."""
        return actor(self.session)

    def now(self) -> datetime:
        """Return the time by the session's clock."""
        return now(self.session)

    def reading(self) -> Any:
        """Return the driver's connection, for a read."""
        if self.session.autoflush and not cast("Any", self.session)._flushing:
            with translated():
                self.session.flush()
        return self._driver()

    def writing(self) -> Any:
        """Return the driver's connection, for a write."""
        with translated():
            self.session.flush()
        return self._driver()

    def attempting(self, *, together: bool) -> tuple[Any, str | None]:
        """Return the driver's connection; a savepoint has to be set."""
        return self.writing(), None

    def return_to(self, savepoint: str) -> NoReturn:
        """Do nothing: ``attempting`` gives no savepoint."""
        raise AssertionError(f"a session has no savepoint {savepoint} of a unit")

    def _driver(self) -> Any:
        with translated():
            connection = self.session.connection(bind_arguments=self._mapper)
        return connection.connection.dbapi_connection

    def atomic(self) -> AbstractContextManager[None]:
        """Do all of the block or nothing, instances of the session included."""
        return atomic(self.session)

    @contextmanager
    def ordinary(self) -> Generator[orm.Session]:
        """Yield the session itself, for what is not compiled."""
        yield self.session


def place_of(where: orm.Session | Unit, model: type[Any]) -> InSession | InUnit:
    """Return where a repository works.

    Raises:
        InvalidValue: It is neither a Session nor a Unit, or works asynchronously.
    """
    hint = "under asyncio: await db.async_write(work), where work takes a Unit"
    if isinstance(where, Unit):
        return InUnit(where)
    if not isinstance(where, orm.Session):  # pyright: ignore[reportUnnecessaryIsInstance] - an AsyncSession is a likely mistake
        raise InvalidValue(
            "CompiledRepository works in a Session or a Unit, "
            f"not in {type(where).__name__}",
            hint=hint,
        )
    place = InSession(where, model)
    if place.dialect.is_async:
        raise InvalidValue("an AsyncSession has no driver of its own", hint=hint)
    return place


def _reason_session(session: orm.Session, bind: sa.Engine | sa.Connection) -> str:
    if "schema_translate_map" in bind.get_execution_options():
        return "its tables are in a schema that is only known later"
    for name, own in _SESSION_EVENTS.items():
        if len(getattr(session.dispatch, name)) > own:
            return f"something listens to the session's {name}"
    return ""
