"""``Unit``: one transaction, seen by the function that works in it.

Owns the three ways into one transaction: SQL text on the raw driver (fastest),
SQLAlchemy's connection, and a Session (slowest, and complete). All three see the
same rows, because they are the same connection.

    Unit ──┬── execute(sql)   the driver's own cursor, no SQLAlchemy between
           ├── send(sql)      the same, where no answer is needed
           ├── connection     Core statements
           └── session        models, Repository(Part, unit.session)

It neither begins nor ends the transaction: whoever made the unit does. Not thread
safe, and of no use after its function has returned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lockstep.engine.pipeline import Together
from lockstep.engine.sessions import ACTOR, CLOCK, DATABASE, ReadSession, note_statement
from lockstep.errors import InvalidStatement, InvalidValue

if TYPE_CHECKING:
    from lockstep.clock import Clock

R = TypeVar("R")

STATEMENTS_REMEMBERED_MAX = 1_000
"""Texts whose translation is kept; a program has few, an attacker has many."""

_BEFORE = r"(?:\s|;|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*+"
"""What may stand before a statement: comments too. It never goes back over them."""
_ENDS_TRANSACTION = re.compile(
    _BEFORE
    + r"(BEGIN|COMMIT|END|START|ABORT|PREPARE\s+TRANSACTION|ROLLBACK(?!.*\bTO\b))\b",
    re.IGNORECASE | re.DOTALL,
)
_COPIES = re.compile(_BEFORE + r"COPY\b", re.IGNORECASE | re.DOTALL)


class Cursor(Protocol):
    """What ``Unit.execute`` returns: the driver's cursor, as PEP 249 has it."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed; -1 where the driver does not know."""
        ...

    def fetchone(self) -> Any:
        """Return the next row as a tuple, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        ...


class Owner(Protocol):
    """What units, and those who make them, ask of the ``Database`` they belong to."""

    @property
    def engine(self) -> sa.Engine:
        """Whose transactions may write."""
        ...

    @property
    def reader(self) -> sa.Engine:
        """Whose transactions only read."""
        ...

    @property
    def clock(self) -> Clock:
        """What tells the time."""
        ...


class Unit:
    """One unit of work: a transaction and who works in it.

    Attributes:
        database: Whose unit it is.
        actor: Who does it; audit rows and ``Audited`` columns name them.
        held_session: The session, if somebody has asked for it.
        savepoint: Set by whoever made the unit: the savepoint that was set right
            before it. Forgotten as soon as something is done in the unit.
        together: Set by whoever made the unit: collects statements for one round
            trip, and only after ``driver`` or ``driver_together`` was asked for.
    """

    __slots__ = (
        *("_answer", "_catch_up", "_connection", "_driver", "_read_only", "_ready"),
        *("_sent", "actor", "database", "held_session", "savepoint", "together"),
    )

    def __init__(
        self,
        connection: sa.Connection | None,
        database: Owner,
        *,
        actor: str | None = None,
        driver: Any = None,
        read_only: bool = False,
    ) -> None:
        self._connection: Any = connection
        self._driver: Any = driver or self._connection.connection.dbapi_connection
        self.database = database
        self.actor = actor
        self.savepoint: str | None = None
        self.together: Callable[[], AbstractContextManager[Together]] | None = None
        self._read_only = read_only
        self.held_session: Session | None = None
        self._sent: list[Any] = []
        self._ready: Callable[[str, Mapping[str, Any] | None], Any] | None = None
        self._answer: Callable[[list[Any]], None] | None = None
        self._catch_up: Callable[[], None] | None = None

    @property
    def driver(self) -> Any:
        """The DB-API connection itself: ``sqlite3.Connection``, ``psycopg.Connection``.

        Committing or rolling back here breaks the transaction that others share. A
        unit that reads cannot write through it either; what a caller could still do
        to Python's own objects stands in ``docs/explanation/engines.md``.
        """
        driver = self.driver_together()
        if self._catch_up is not None:
            self._catch_up()
        return driver

    def driver_together(self) -> Any:
        """Return ``driver`` for whoever begins with ``together``.

        Sooner than that, or without, ``driver`` has to be asked for.
        """
        self.savepoint = None
        if self._answer is not None:
            self._answer(self.take_sent())
        return self._driver

    def driver_to_read(self) -> Any:
        """Return ``driver`` for what changes nothing."""
        if self._answer is None:
            return self._driver
        savepoint = self.undoing()
        driver = self.driver
        self.savepoint = savepoint
        return driver

    def undoing(self) -> str | None:
        """Return the savepoint that undoes what comes next, and nothing else.

        None when something was done here already, or may have been.
        """
        return None if self._sent else self.savepoint

    @property
    def connection(self) -> sa.Connection:
        """SQLAlchemy's connection, inside the transaction."""
        _ = self.driver
        return self._connection

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect of the connection; sends nothing."""
        return self._connection.dialect

    @property
    def clock(self) -> Clock:
        """What tells the time here."""
        return self.database.clock

    @property
    def session(self) -> Session:
        """A Session in this transaction, made at first use.

        It works inside a savepoint of its own: its ``rollback`` takes back what
        the session did, its ``commit`` does not end the unit.
        """
        if self.held_session is None:
            kind = ReadSession if self._read_only else Session
            self.held_session = kind(
                self.connection,
                join_transaction_mode="create_savepoint",
                expire_on_commit=False,
                info={ACTOR: self.actor, CLOCK: self.clock, DATABASE: self.database},
            )
        return self.held_session

    def execute(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Cursor:
        """Run one statement on the driver, with nothing between.

        Args:
            sql: One statement. Parameters are written ``:name``, on every engine.
            parameters: By name. They go to the driver as they are: a ``UUID`` or
                ``datetime`` must be given as the column stores it.

        Raises:
            InvalidStatement: It would begin or end a transaction, or is a COPY.

        What the session still holds is flushed first, so both see the same rows.
        """
        if self.held_session is not None:
            self.held_session.flush()
        style = self.dialect.paramstyle
        text = _translated(sql, style, bool(parameters))
        driver = self.driver
        cursor = (
            driver.execute(text, parameters) if parameters else driver.execute(text)
        )
        if self._read_only and self._connection is not None:
            note_statement(self._connection, cursor)
        return cursor

    def send(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run one statement whose answer is not needed. See ``execute``.

        SQLite: at once. A server, in ``Database.write``: with the next one that
        needs an answer, or after the function has returned, in one round trip with
        those of others. What the server says against it is raised there: by that
        statement, or at the caller of ``write``. What its driver says against a
        parameter is raised here.
        """
        if self._ready is None:
            self.execute(sql, parameters)
            return
        if self.held_session is not None:
            self.held_session.flush()
        _translated(sql, "named", has_parameters=False)  # refuses COMMIT and COPY
        self._sent.append(self._ready(sql, parameters))

    def defer(
        self,
        ready: Callable[[str, Mapping[str, Any] | None], Any],
        answer: Callable[[list[Any]], None],
        catch_up: Callable[[], None],
    ) -> None:
        """Let ``send`` wait; call ``answer`` with what was sent before an answer.

        For whoever made the unit.

        Args:
            ready: Returns a statement as it is kept until then.
            answer: May leave something for the next round trip of ``together``.
            catch_up: Runs it, where the next statement is none of these.
        """
        self._ready, self._answer, self._catch_up = ready, answer, catch_up

    def take_sent(self) -> list[Any]:
        """Return what waits to be sent, and forget it."""
        sent = self._sent
        if sent:
            self._sent = []
        return sent

    def run(self, function: Callable[[Unit], R]) -> R:
        """Call ``function`` with this unit; finish it, or abandon it on an error."""
        try:
            value = function(self)
            refuse_unfinished(value)
            self.finish()
        except BaseException:
            self.abandon()
            raise
        return value

    def finish(self) -> None:
        """Write what the session still holds and let go of it.

        Called by whoever made the unit, before the transaction is ended.
        """
        session = self.held_session
        if session is not None:
            self.held_session = None
            try:
                session.commit()
            finally:
                session.close()

    def abandon(self) -> None:
        """Let go of the session and of what it holds."""
        session = self.held_session
        if session is not None:
            self.held_session = None
            session.expunge_all()
            session.close()


_UNFINISHED = frozenset({CoroutineType, GeneratorType, AsyncGeneratorType})


def refuse_unfinished(value: Any) -> None:
    """Refuse what would only run when the transaction is over.

    Raises:
        InvalidValue: The function returned a generator or a coroutine.
    """
    kind = cast("type[Any]", type(value))
    if kind in _UNFINISHED:
        if kind is CoroutineType:
            value.close()  # else Python warns that nobody awaited it
        raise InvalidValue(
            f"the function returned a {kind.__name__}, which has not run",
            hint="fetch or compute inside the function: list(...)",
        )


_translations: dict[tuple[str, str, bool], str] = {}


def _translated(sql: str, paramstyle: str, has_parameters: bool) -> str:
    """Return ``sql`` as the driver wants it; looked at once per text."""
    key = (sql, paramstyle, has_parameters)
    found = _translations.get(key)
    if found is not None:
        return found
    if _ENDS_TRANSACTION.match(sql):
        raise InvalidStatement(
            "a unit of work does not end its own transaction",
            hint="return from the function to commit, raise to roll back",
        )
    if _COPIES.match(sql):
        raise InvalidStatement(
            "COPY is a conversation of its own, no statement with an answer",
            hint="PostgreSQL: unit.driver.cursor().copy(...)",
        )
    text = sql
    if has_parameters and paramstyle == "pyformat":  # SQLite reads :name by itself
        text = str(sa.text(sql).compile(dialect=_psycopg_dialect()))
    if len(_translations) >= STATEMENTS_REMEMBERED_MAX:
        _translations.clear()
    _translations[key] = text
    return text


def _psycopg_dialect() -> sa.Dialect:
    from sqlalchemy.dialects.postgresql.psycopg import dialect

    return dialect()
