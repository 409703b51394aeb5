"""What a repository needs from the session it works in.

Owns three questions: what time is it, who acts, and how many values may one
statement bind; and one guarantee: a write that fails leaves the surrounding
transaction as it was, on every engine. PostgreSQL ends a transaction at the first
failed statement and SQLite does not, so every write runs inside a savepoint.

It commits nothing: the transaction belongs to whoever opened the session.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from lockstep.clock import SYSTEM_CLOCK
from lockstep.engine.sessions import raise_classified
from lockstep.errors import InvalidValue, LockstepError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from datetime import datetime

    from sqlalchemy import orm
    from sqlalchemy.orm import Session

#: What SQLite allowed before 3.32; assumed where a connection cannot be asked.
BIND_PARAMETERS_SAFE: Final = 999


def now(session: Session) -> datetime:
    """Return the time by the session's clock, aware, in UTC."""
    return session.info.get("lockstep.clock", SYSTEM_CLOCK).now()


def actor(session: Session) -> str | None:
    """Return who the session acts for, as it was opened."""
    return session.info.get("lockstep.actor")


def dialect_name(session: Session) -> str:
    """Return the name of the dialect the session speaks."""
    return session.get_bind().dialect.name


def bind_parameters_max(session: Session) -> int:
    """Return how many values one statement of this session may bind.

    Asks the session's own connection. ``Database.capabilities`` may need a second
    one, and the pool may be empty because others wait for this very transaction.
    """
    if dialect_name(session) == "postgresql":
        return 65_535
    raw: Any = session.connection().connection.driver_connection
    if hasattr(raw, "getlimit"):  # sqlite3's, and that to a libSQL server
        limit: int = raw.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        return limit
    return BIND_PARAMETERS_SAFE


@contextmanager
def translated() -> Generator[None]:
    """Raise a driver's error as the error of our tree that it stands for."""
    try:
        yield
    except Exception as exc:
        raise_translated(exc)


def raise_translated(exc: Exception) -> NoReturn:
    """Raise the error of our tree that ``exc`` stands for; itself if it is none."""
    if isinstance(exc, LockstepError):
        raise exc
    if isinstance(exc, OverflowError | UnicodeError):
        # Python's sqlite3 raises these before the value reaches the database.
        raise InvalidValue(
            "a value lies outside what the database can store",
            hint="integers have 64 bits; text has no lone surrogates",
        ) from exc
    raise_classified(exc)


@contextmanager
def atomic(
    session: Session, held_back: Iterable[orm.InstanceState[Any]] = ()
) -> Generator[None]:
    """Do all of the block or nothing, and keep the transaction usable either way.

    Args:
        session: Whose pending changes are written first, outside of the block.
        held_back: Instances whose pending changes belong into the block.
    """
    modified: set[orm.InstanceState[Any]] = cast("Any", session.identity_map)._modified
    held = [state for state in held_back if state in modified]
    with translated():
        modified.difference_update(held)
        try:
            savepoint = session.begin_nested()
        finally:
            modified.update(held)
        with savepoint:
            yield
