"""What PostgreSQL's SQLSTATEs mean in our error tree.

Owns the table from SQLSTATE, or its two-letter class, to error class. Names of
constraints, tables and columns come from the server's diagnostics; its DETAIL
text is left out, because it quotes the row.

See https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from typing import Any

from lockstep.engine.postgresql_connecting import (
    WORDS_MAX,
    classify_failed_connection,
)
from lockstep.errors import (
    AccessDenied,
    Busy,
    CheckFailed,
    ConfigError,
    ConnectionLost,
    DataError,
    Duplicate,
    EngineError,
    ForeignKeyMissing,
    InvalidStatement,
    InvalidValue,
    LockstepError,
    OutcomeUnknown,
    PoolerIncompatible,
    ReadOnlySession,
    StorageFailed,
    Timeout,
    UnsupportedCapability,
)
from lockstep.redaction import redact

_Meaning = tuple[type[LockstepError], str]

STATES: dict[str, _Meaning] = {
    "23505": (Duplicate, "the unique values exist already"),
    "23P01": (Duplicate, "the row collides with another one"),
    "23503": (ForeignKeyMissing, "a row would point at one that is not there"),
    "23001": (ForeignKeyMissing, "a row is still pointed at"),
    "23502": (CheckFailed, "a required column is empty"),
    "23514": (CheckFailed, "a CHECK refused the row"),
    "44000": (CheckFailed, "a view's CHECK OPTION refused the row"),
    "P0001": (CheckFailed, "a trigger or function refused"),
    "25006": (
        ReadOnlySession,
        "a read session cannot do this, nor can a server that only reads (a standby, "
        "default_transaction_read_only)",
    ),
    "25P02": (EngineError, "an earlier statement of this transaction failed"),
    "25P03": (ConnectionLost, "the transaction was idle for too long"),
    "25P04": (Timeout, "the transaction took longer than the server allows"),
    "40001": (Busy, "another transaction changed the same rows"),
    "40P01": (Busy, "two transactions waited for each other"),
    "55P03": (Busy, "another transaction holds the lock"),
    "55006": (Busy, "the object is in use"),
    "57014": (Timeout, "the statement took longer than allowed, or was cancelled"),
    "57P01": (ConnectionLost, "the server ended the connection"),
    "57P02": (ConnectionLost, "the server crashed and restarts"),
    "57P03": (ConnectionLost, "the server is starting or stopping"),
    "57P04": (ConnectionLost, "the database was dropped"),
    "57P05": (ConnectionLost, "the session was idle for too long"),
    "53300": (ConnectionLost, "the server has no connection left"),
    "53100": (StorageFailed, "the server's disk is full"),
    "53200": (EngineError, "the server has no memory left"),
    "42501": (AccessDenied, "the user may not do this"),
    "28000": (AccessDenied, "the server refuses this user"),
    "28P01": (AccessDenied, "the password is wrong"),
    "3D000": (InvalidStatement, "the database does not exist"),
    "3F000": (InvalidStatement, "the schema does not exist"),
    "0A000": (UnsupportedCapability, "the server cannot do this"),
    "26000": (PoolerIncompatible, "a prepared statement is gone"),
    "42P05": (PoolerIncompatible, "a prepared statement exists already"),
}

CLASSES: dict[str, _Meaning] = {
    "08": (ConnectionLost, "the connection to the server is lost"),
    "22": (InvalidValue, "the server refuses a value"),
    "23": (DataError, "a constraint refused the row"),
    "25": (EngineError, "the transaction is in the wrong state"),
    "28": (AccessDenied, "the server refuses this user"),
    "40": (Busy, "the transaction was rolled back"),
    "42": (InvalidStatement, "the server refuses the statement"),
    "53": (EngineError, "the server lacks resources"),
    "54": (InvalidStatement, "the statement exceeds a limit of the server"),
    "55": (EngineError, "the object is not in the right state"),
    "57": (ConnectionLost, "an operator intervened"),
    "58": (StorageFailed, "the server's system failed"),
    "P0": (EngineError, "a function on the server failed"),
    "XX": (StorageFailed, "the server reports internal damage"),
}

_SAY_POOLER = (
    "a pooler gives the server's connections to others: say so with "
    "LOCKSTEP_POSTGRESQL__POOLER=transaction, or use the server's direct address"
)

_HINTS = {
    "25006": "open a write session: db.write_session(); in one, connect to the primary",
    "42501": "grant it; since PostgreSQL 15 also: GRANT CREATE, USAGE ON SCHEMA public",
    "57014": "make it faster, or raise LOCKSTEP_POSTGRESQL__STATEMENT_TIMEOUT_S",
    "53300": "lower LOCKSTEP_POOL__SIZE (it counts per process), or use a pooler",
    "25P03": "do the work before the transaction, or raise "
    "LOCKSTEP_POSTGRESQL__IDLE_IN_TRANSACTION_TIMEOUT_S",
    "28P01": "check user and password of the URL",
    "26000": _SAY_POOLER,
    "42P05": _SAY_POOLER,
    "3D000": "create the database, or correct the URL",
    "3F000": "CREATE SCHEMA it, or correct search_path",
    "25P02": "roll back, or let the error leave the session's block",
    "28000": "grant the user LOGIN, or let pg_hba.conf admit it",
    "42P01": "bring the schema up to date: lockstep migrate upgrade",
    "42703": "bring the schema up to date: lockstep migrate upgrade",
    "53100": "make room on the server; nothing of the transaction was kept",
    "57P03": "wait until it has started",
}

# Statements, not data, are quoted in these messages: they help and leak nothing.
_QUOTED_CLASSES = {"42", "3D", "3F", "0A", "55", "28"}


WHILE_COMMITTING = "lockstep_while_committing"
"""Set on an error that came instead of COMMIT's answer."""
_ENDED_BEFORE = {"25P03", "25P04"}
"""States whose COMMIT the server did not look at any more."""


def classify_postgresql(error: Any) -> LockstepError:
    """Return the error of our tree for one of psycopg's."""
    meaning = _meaning(error)
    if (
        isinstance(meaning, ConnectionLost)
        and getattr(error, WHILE_COMMITTING, False)
        and error.sqlstate not in _ENDED_BEFORE
    ):
        return OutcomeUnknown(
            "the connection was lost while it committed; it may or may not be written",
            detail=meaning.detail,
        )
    return meaning


def _meaning(error: Any) -> LockstepError:
    state: str | None = error.sqlstate
    if state is None:
        return _without_state(error)
    kind, sentence = STATES.get(state) or CLASSES.get(
        state[:2], (EngineError, "the server reports an error")
    )
    diag = error.diag
    names = {
        "constraint": diag.constraint_name,
        "table": diag.table_name,
        "column": diag.column_name,
        "schema": diag.schema_name,
    }
    detail: dict[str, Any] = {"sqlstate": state}
    detail.update({name: value for name, value in names.items() if value})
    named = detail.get("constraint") or detail.get("column")
    if state[:2] == "23" and named:
        sentence = f"{sentence}: {named}"
    elif diag.message_primary and (state[:2] in _QUOTED_CLASSES or state == "P0001"):
        sentence = f"{sentence}: {diag.message_primary}"
    return kind(sentence, hint=_HINTS.get(state), detail=detail)


def _without_state(error: Any) -> LockstepError:
    """Classify what psycopg raises before, or without, an answer of the server."""
    import psycopg

    if isinstance(error, psycopg.OperationalError):
        return classify_failed_connection(error)
    if isinstance(error, psycopg.DataError):
        return InvalidValue(
            "psycopg cannot send a value to the server",
            hint="pass a value of the column's Python type",
        )
    if isinstance(error, psycopg.NotSupportedError):
        return UnsupportedCapability("psycopg or the server cannot do this")
    if isinstance(error, psycopg.ProgrammingError):
        # It names types and parameters here, and no values.
        words = redact(" ".join(str(error).split()))[:WORDS_MAX]
        if _is_about_the_url(error):
            return ConfigError(
                f"libpq cannot read the PostgreSQL URL: {words}",
                hint="leave the parameter out, or correct it: "
                "https://www.postgresql.org/docs/current/libpq-connect.html",
            )
        return InvalidStatement(f"psycopg refuses the statement: {words}")
    return EngineError("psycopg reports an error")


def _is_about_the_url(error: Any) -> bool:
    """Say whether libpq refused the URL itself.

    psycopg has no class for it, so the module that raised it decides.
    """
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__") == "psycopg.conninfo":
            return True
        traceback = traceback.tb_next
    return False
