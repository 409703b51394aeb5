"""The errors of the driver, as PEP 249 asks, with SQLite's result codes.

Owns the way from what a server says (a name such as ``SQLITE_CONSTRAINT``, an
HTTP status) to a class and a code. What a code means to Lockstep stands in
``engine/sqlite_errors.py``, as for the stdlib's driver.

A server that tells SQLite's extended code by name is taken at its word. One that
tells only ``SQLITE_CONSTRAINT`` (libsql-server 0.24) leaves no other way than the
words of SQLite's own message; they are looked at here, and nowhere else. What is
none of them a trigger said. One that raises such a message letter by letter, with a
table and a column in it, is taken for the constraint: the server leaves no other way.
"""

from __future__ import annotations

import re
import sqlite3


class Warning(Exception):
    """Never raised; PEP 249 wants the name."""


class Error(Exception):
    """The base of all errors of this driver.

    Attributes:
        server_code: What the server called it; None when it said nothing.
        sqlite_errorcode: SQLite's (extended) result code, if it is one of those.
        sqlite_errorname: That code's name, or ``""``.
        disconnected: The connection cannot go on with what it was doing.
        retry_after_s: How long the server asks to wait, if it said so.
    """

    def __init__(
        self,
        message: str,
        *,
        server_code: str | None = None,
        sqlite_errorcode: int | None = None,
        disconnected: bool = False,
    ) -> None:
        super().__init__(message)
        self.server_code = server_code
        self.sqlite_errorcode = sqlite_errorcode
        self.disconnected = disconnected
        self.retry_after_s: float | None = None

    @property
    def sqlite_errorname(self) -> str:
        """The code's name as the stdlib spells it."""
        return _NAMES.get(self.sqlite_errorcode or 0, "")


class InterfaceError(Error):
    """The driver was used wrongly, or the answer is not Hrana."""


class UnsafeRedirect(InterfaceError):
    """The server names an address to which nothing is sent."""


class DatabaseError(Error):
    """The server refused."""


class DataError(DatabaseError):
    """A value cannot be carried exactly."""


class OperationalError(DatabaseError):
    """The server, the network or the statement; not the data."""


class IntegrityError(DatabaseError):
    """A constraint refused the row."""


class InternalError(DatabaseError):
    """The server's own fault."""


class ProgrammingError(DatabaseError):
    """Wrong parameters, or a connection that is closed."""


class NotSupportedError(DatabaseError):
    """The server cannot do this."""


class ConnectionFailed(OperationalError):
    """No answer came.

    Attributes:
        sent: The server may have got the request; False when it surely did not.
        timed_out: The deadline of the call passed.
    """

    def __init__(
        self, message: str, *, sent: bool = True, timed_out: bool = False
    ) -> None:
        super().__init__(message, disconnected=True)
        self.sent = sent
        self.timed_out = timed_out


class TlsFailed(OperationalError):
    """The server is not who it says, or speaks no TLS; nothing was sent.

    Attributes:
        is_untrusted: There was a certificate, and it was refused.
    """

    def __init__(self, message: str, *, is_untrusted: bool) -> None:
        super().__init__(message, disconnected=True)
        self.is_untrusted = is_untrusted


class TransactionLost(OperationalError):
    """The transaction is over and nothing of it was kept."""

    def __init__(self, message: str, *, server_code: str | None = None) -> None:
        super().__init__(message, server_code=server_code, disconnected=True)


class RolledBack(TransactionLost):
    """A statement of the transaction itself ended it (``RAISE(ROLLBACK)``)."""


class OutcomeUnknown(ConnectionFailed):
    """The answer to a COMMIT did not come: it happened, or it did not."""


class TurnTimeout(OperationalError):
    """Other writers of this process took longer than this one may wait."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sqlite_errorcode=sqlite3.SQLITE_BUSY)


class WriteRefused(OperationalError):
    """A statement that may write came into a transaction that must not."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sqlite_errorcode=sqlite3.SQLITE_AUTH)


class AccessDenied(OperationalError):
    """The token is missing, wrong, expired, or does not allow this."""


CONSTRAINT_DATATYPE = 3091
"""SQLITE_CONSTRAINT_DATATYPE; Python has no name for it."""

# Result codes only: sqlite3 has names for actions, limits and options too.
_RESULTS = (
    *("ABORT", "AUTH", "BUSY", "CANTOPEN", "CONSTRAINT", "CORRUPT", "EMPTY", "ERROR"),
    *("FORMAT", "FULL", "INTERNAL", "INTERRUPT", "IOERR", "LOCKED", "MISMATCH"),
    *("MISUSE", "NOLFS", "NOMEM", "NOTADB", "NOTFOUND", "PERM", "PROTOCOL", "RANGE"),
    *("READONLY", "SCHEMA", "TOOBIG"),
)
_CODES: dict[str, int] = {
    **{
        name: value
        for name, value in vars(sqlite3).items()
        if name.startswith("SQLITE_") and name.split("_")[1] in _RESULTS
    },
    "SQLITE_CONSTRAINT_DATATYPE": CONSTRAINT_DATATYPE,
    "SQLITE_UNKNOWN": sqlite3.SQLITE_ERROR,  # libsql-server's word for it
}
_NAMES = {value: name for name, value in _CODES.items() if name != "SQLITE_UNKNOWN"}

# The whole message of each constraint, as SQLite's own source makes it: a column
# comes with its table. What is none of these was said by a trigger.
# See https://sqlite.org/src/file?name=src/vdbe.c and src/insert.c
_CONSTRAINT_WORDS = (
    (
        re.compile(r"UNIQUE constraint failed: (index '.+'|.+\..+)", re.DOTALL),
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    ),
    (
        re.compile(r"NOT NULL constraint failed: .+\..+", re.DOTALL),
        sqlite3.SQLITE_CONSTRAINT_NOTNULL,
    ),
    (
        re.compile(r"CHECK constraint failed: .+", re.DOTALL),
        sqlite3.SQLITE_CONSTRAINT_CHECK,
    ),
    (
        re.compile(r"FOREIGN KEY constraint failed"),
        sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
    ),
    (
        re.compile(r"cannot store \w+ value in .+ column .+\..+", re.DOTALL),
        CONSTRAINT_DATATYPE,
    ),
)

_SERVERS_PREFIX = re.compile(
    r"^(?:SQLite error: |SQL input error: )(?P<text>.*?)(?: \(at offset -?\d+\))?$",
    re.DOTALL,
)
_WRONG_USE = {
    *("ARGS_INVALID", "ARGS_BOTH_POSITIONAL_AND_NAMED", "SQL_NO_STATEMENT"),
    "SQL_MANY_STATEMENTS",
}
_STREAM_GONE = {"STREAM_EXPIRED", "STREAM_CLOSED", "BATON_INVALID", "BATON_REUSED"}


def from_server(message: str, code: str | None) -> Error:
    """Return the error that a server's ``Error`` structure means."""
    found = _SERVERS_PREFIX.match(message)
    text = found["text"] if found else message
    if code is None:
        return OperationalError(text)
    if code.startswith("SQLITE_"):
        return _from_sqlite(text, code)
    if code in _WRONG_USE:
        return ProgrammingError(text, server_code=code)
    if code in ("SQL_INPUT_ERROR", "SQL_PARSE_ERROR"):
        return OperationalError(
            text, server_code=code, sqlite_errorcode=sqlite3.SQLITE_ERROR
        )
    if code == "TRANSACTION_TIMEOUT":
        return TransactionLost(
            "the server ended the transaction: it took too long while another "
            "client waited to write",
            server_code=code,
        )
    if code in _STREAM_GONE:
        return TransactionLost(
            f"the server closed the stream: {text}", server_code=code
        )
    if code == "TRANSACTION_BUSY":
        return OperationalError(
            text, server_code=code, sqlite_errorcode=sqlite3.SQLITE_BUSY
        )
    if code.startswith("AUTH_") or code == "BLOCKED":
        return AccessDenied(text, server_code=code)
    if code == "RESPONSE_TOO_LARGE":
        return DataError(
            f"{text}: the server refuses to send that much at once", server_code=code
        )
    return OperationalError(text, server_code=code)


def from_status(
    status: int, text: str, code: str | None, *, had_stream: bool = False
) -> Error:
    """Return what an HTTP status other than 2xx means; the stream is over.

    ``had_stream`` says that the call named an open stream: a server that was
    started again, or another one behind the same name, knows none of its streams.
    """
    said = f": {text.strip()[:500]}" if text.strip() else ""
    if status in (401, 403, 407):
        return AccessDenied(f"the server refuses the token{said}", server_code=code)
    if status == 404:
        return OperationalError(
            f"the server has no such database or speaks no Hrana here{said}",
            server_code=code,
            sqlite_errorcode=sqlite3.SQLITE_CANTOPEN,
        )
    if code is not None and code != "":
        error = from_server(text, code)
        error.disconnected = True
        return error
    if status == 400 and had_stream:
        return TransactionLost(f"the server does not know the stream{said}")
    if status in (429, 502, 503, 504):
        # One that counts the requests refuses before it does anything.
        return ConnectionFailed(
            f"the server cannot be reached (HTTP {status}){said}", sent=status != 429
        )
    # A success without the answer says as little as a failure of the server's own.
    is_unclear = status >= 500 or status < 300
    kind = InternalError if is_unclear else OperationalError
    return kind(f"the server answered HTTP {status}{said}", disconnected=True)


def _from_sqlite(text: str, name: str) -> Error:
    code = _CODES.get(name, sqlite3.SQLITE_ERROR)
    if code == sqlite3.SQLITE_CONSTRAINT:
        code = next(
            (c for words, c in _CONSTRAINT_WORDS if words.fullmatch(text)),
            sqlite3.SQLITE_CONSTRAINT_TRIGGER,
        )
    kind: type[Error] = OperationalError
    if code & 0xFF in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH):
        kind = IntegrityError
    elif code & 0xFF == sqlite3.SQLITE_TOOBIG:
        kind = DataError
    elif code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        kind = DatabaseError
    elif code & 0xFF == sqlite3.SQLITE_RANGE:
        kind = ProgrammingError
    return kind(text, server_code=name, sqlite_errorcode=code)
