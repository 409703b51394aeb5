"""One way from any driver's or SQLAlchemy's error to ours.

Owns unwrapping: SQLAlchemy wraps what a driver raises, and what a column type
raises while it binds a value. What a code means stands in the dialect's own
table (``sqlite_errors.py``, ``postgresql_errors.py``).

Invariant: the class never depends on the text of a message, but for a libSQL server's
constraints, which come without a code (``hrana/errors.py``).
"""

from __future__ import annotations

import sqlite3
import sys
from copy import copy, deepcopy
from typing import Any

import sqlalchemy.exc as sa_exc
from sqlalchemy.orm import exc as orm_exc

from lockstep.engine.hrana.errors import Error as HranaError
from lockstep.engine.libsql_errors import classify_libsql
from lockstep.engine.sqlite_errors import classify_sqlite
from lockstep.errors import (
    ConnectionLost,
    DataError,
    EngineError,
    InvalidStatement,
    InvalidValue,
    LockstepError,
    NotFound,
    NotLoaded,
    StaleVersion,
    Timeout,
)

_WRAPPED_DEPTH_MAX = 8
_FACTS = ("detail", "__notes__")
"""What of an error can be changed in place."""


def classify(exc: BaseException) -> LockstepError | None:
    """Return what ``exc`` means in the error tree; None when it is not ours.

    A ``LockstepError`` is returned as it is, also one that SQLAlchemy wrapped
    (an ``InvalidValue`` raised while a value was bound). The caller raises the
    result ``from exc``.
    """
    if isinstance(exc, sa_exc.DBAPIError) and _ended_without_code(exc):
        return ConnectionLost("the connection is closed", hint="open a new session")
    error: BaseException = exc
    for _ in range(_WRAPPED_DEPTH_MAX):
        if isinstance(error, LockstepError):
            return error
        if isinstance(error, sa_exc.StatementError) and error.orig is not None:
            error = error.orig
            continue
        break
    return _from_driver(error) or _from_sqlalchemy(error) or _from_bind(exc, error)


def classified(error: BaseException) -> BaseException:
    """Return ``error`` as ours, with the driver's own as its cause.

    For errors that are handed to another thread instead of being raised.
    """
    meaning = classify(error)
    if meaning is None or meaning is error:
        return error
    if meaning.__cause__ is None:
        meaning.__cause__ = error
    return meaning


def for_one_more(error: BaseException) -> BaseException:
    """Return a copy of an error that several callers are to be told.

    Each raises it: one object would gather everybody's frames, and one's ``from`` or
    note would be the others' too. What caused it stays one object. An error that
    cannot be copied, which can be none of ours, is returned itself.
    """
    try:
        twin = copy(error)
    except Exception:
        return error
    if type(twin) is not type(error):
        return error
    twin.__dict__.update(deepcopy(_own_facts(error)))
    twin.__cause__, twin.__context__ = error.__cause__, error.__context__
    twin.__suppress_context__ = error.__suppress_context__
    return twin.with_traceback(error.__traceback__)


def _own_facts(error: BaseException) -> dict[str, Any]:
    return {name: vars(error)[name] for name in _FACTS if name in vars(error)}


def _ended_without_code(exc: sa_exc.DBAPIError) -> bool:
    return exc.connection_invalidated and isinstance(exc.orig, sqlite3.Error)


def _from_driver(error: BaseException) -> LockstepError | None:
    if isinstance(error, sqlite3.Error):
        return classify_sqlite(error)
    if isinstance(error, HranaError):
        return classify_libsql(error)
    # Its errors cannot exist unless psycopg was imported; importing it here
    # would make every SQLite user pay for it.
    psycopg: Any = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(error, psycopg.Error):
        from lockstep.engine.postgresql_errors import classify_postgresql

        return classify_postgresql(error)
    return None


def _from_sqlalchemy(error: BaseException) -> LockstepError | None:
    if isinstance(error, orm_exc.StaleDataError):
        return StaleVersion(
            "the row was changed or removed after it was read",
            expected=None,
            actual=None,
        )
    if isinstance(error, sa_exc.TimeoutError):
        statistics = getattr(error, "statistics", None)
        return Timeout(
            "no pooled connection became free in time"
            + (f" ({statistics})" if statistics else ""),
            hint="close sessions sooner, or raise LOCKSTEP_POOL__SIZE",
            detail=statistics.to_json() if statistics else {},
        )
    if isinstance(error, sa_exc.PendingRollbackError):
        return EngineError(
            "an earlier statement of this session failed",
            hint="roll back, or let the error leave the session's block",
        )
    if isinstance(error, orm_exc.ObjectDeletedError):
        return NotFound(
            "the row was removed meanwhile",
            hint="read again, and handle that it is gone",
        )
    if isinstance(error, sa_exc.NoResultFound):
        return NotFound("no row was found where one was required")
    if isinstance(error, sa_exc.MultipleResultsFound):
        return DataError(
            "several rows were found where one was required",
            hint="narrow the query, or take .first()",
        )
    if isinstance(
        error, orm_exc.DetachedInstanceError | sa_exc.MissingGreenlet
    ) or _raised_by_raiseload(error):
        return NotLoaded("an attribute was read that the query did not load")
    if isinstance(error, sa_exc.ResourceClosedError):
        return ConnectionLost("the connection is closed", hint="open a new session")
    if isinstance(error, sa_exc.CompileError | sa_exc.NoSuchTableError):
        return InvalidStatement(f"the statement cannot be built: {error}")
    return None


def _raised_by_raiseload(error: BaseException) -> bool:
    """Say whether ``lazy="raise"`` refused to load.

    SQLAlchemy has no class for it, so the place that raised it decides.
    """
    traceback = error.__traceback__
    if not isinstance(error, sa_exc.InvalidRequestError) or traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_name == "_invoke_raise_load"


def _from_bind(exc: BaseException, inner: BaseException) -> LockstepError | None:
    """Classify a plain ValueError or TypeError raised while binding a value."""
    if inner is exc or not isinstance(inner, ValueError | TypeError | OverflowError):
        return None
    return InvalidValue(
        f"a value cannot be bound to its column ({type(inner).__name__})",
        hint="pass a value of the column's Python type",
    )
