"""What the errors of a libSQL server mean in our error tree.

Owns what only a server can do wrong (not answer, refuse a token, end a
transaction). SQLite's own result codes mean what they mean on a file, so they are
``sqlite_errors.py``'s.
"""

from __future__ import annotations

from typing import Any

from lockstep.engine.hrana import errors as hrana
from lockstep.engine.sqlite_errors import classify_sqlite_code
from lockstep.errors import (
    AccessDenied,
    ConnectionLost,
    EngineError,
    InvalidStatement,
    InvalidValue,
    LockstepError,
    OutcomeUnknown,
    Timeout,
)


def classify_libsql(error: hrana.Error) -> LockstepError:
    """Return the error of our tree for one of the driver's."""
    detail: dict[str, Any] = {}
    # SQLite's own names are told as on a file, so that errors are equal.
    if error.server_code and not error.server_code.startswith("SQLITE_"):
        detail["server_code"] = error.server_code
    if error.retry_after_s is not None:
        detail["retry_after_s"] = error.retry_after_s
    if isinstance(error, hrana.OutcomeUnknown):
        return OutcomeUnknown(str(error), detail=detail)
    if isinstance(error, hrana.TlsFailed):
        hint = "?tls=0 for a server that speaks plain HTTP, on this machine only"
        if error.is_untrusted:
            hint = (
                "let SSL_CERT_FILE name the authority that signed its certificate, "
                "and the URL the host that stands in it"
            )
        return AccessDenied(str(error), hint=hint, detail=detail)
    if isinstance(error, hrana.ConnectionFailed):
        if error.timed_out and error.sent:
            return Timeout(str(error), hint="", detail=detail)
        if error.retry_after_s is not None:
            hint = f"the server asks to wait for {error.retry_after_s:g} s"
            return ConnectionLost(str(error), hint=hint, detail=detail)
        return ConnectionLost(str(error), detail=detail)
    if isinstance(error, hrana.TransactionLost):
        return ConnectionLost(
            str(error), hint="nothing of it was kept: try it again", detail=detail
        )
    if isinstance(error, hrana.AccessDenied):
        return AccessDenied(
            str(error),
            hint="libsql://host?authToken=…, or LOCKSTEP_LIBSQL__AUTH_TOKEN",
            detail=detail,
        )
    if error.sqlite_errorcode is not None:
        found = classify_sqlite_code(
            error.sqlite_errorcode, error.sqlite_errorname, str(error)
        )
        found.detail |= detail
        return found
    if isinstance(error, hrana.ProgrammingError | hrana.NotSupportedError):
        return InvalidStatement(f"the statement is refused: {error}", detail=detail)
    if isinstance(error, hrana.DataError):
        return InvalidValue(f"a value cannot be carried: {error}", detail=detail)
    return EngineError(f"the libSQL server reports an error: {error}", detail=detail)
