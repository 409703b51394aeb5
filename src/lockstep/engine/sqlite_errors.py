"""What SQLite's result codes mean in our error tree.

Owns the table from (extended) result code to error class. The class is decided
by the code alone; the message is only read for names that SQLite tells nowhere
else (which constraint, which column), and those are information.

See https://sqlite.org/rescode.html
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import Any

from lockstep.engine.file_kind import likely_content
from lockstep.errors import (
    AccessDenied,
    Busy,
    CheckFailed,
    ConnectionLost,
    DataError,
    Duplicate,
    EngineError,
    ForeignKeyMissing,
    InvalidStatement,
    InvalidValue,
    LockstepError,
    ReadOnlySession,
    StorageFailed,
    Timeout,
)

_Meaning = tuple[type[LockstepError], str]

_CHAIN_DEPTH_MAX = 8

CONSTRAINT_DATATYPE = 3091
"""SQLITE_CONSTRAINT_DATATYPE of STRICT tables; Python has no name for it."""

# Extended codes first; a code that is not here means what its low byte means.
EXTENDED: dict[int, _Meaning] = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: (Duplicate, "the unique values exist already"),
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: (Duplicate, "the key exists already"),
    sqlite3.SQLITE_CONSTRAINT_ROWID: (Duplicate, "the row id exists already"),
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: (
        ForeignKeyMissing,
        "a row would point at one that is not there",
    ),
    sqlite3.SQLITE_CONSTRAINT_CHECK: (CheckFailed, "a CHECK refused the row"),
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: (CheckFailed, "a required column is empty"),
    CONSTRAINT_DATATYPE: (InvalidValue, "a value has the wrong type for its column"),
    sqlite3.SQLITE_CONSTRAINT_TRIGGER: (CheckFailed, "a trigger refused the row"),
    sqlite3.SQLITE_BUSY_SNAPSHOT: (
        Busy,
        "the snapshot is too old to write from; begin with the write lock",
    ),
    sqlite3.SQLITE_READONLY_DBMOVED: (StorageFailed, "the database file was moved"),
    sqlite3.SQLITE_READONLY_DIRECTORY: (
        StorageFailed,
        "SQLite cannot make the files beside the database that reading it takes",
    ),
}

PRIMARY: dict[int, _Meaning] = {
    sqlite3.SQLITE_BUSY: (Busy, "another connection holds the write lock"),
    sqlite3.SQLITE_LOCKED: (Busy, "another statement of this process holds the table"),
    sqlite3.SQLITE_PROTOCOL: (Busy, "the file's locks are contended"),
    sqlite3.SQLITE_CONSTRAINT: (DataError, "a constraint refused the row"),
    sqlite3.SQLITE_MISMATCH: (InvalidValue, "a value has the wrong type"),
    sqlite3.SQLITE_TOOBIG: (InvalidValue, "a value is larger than SQLite allows"),
    sqlite3.SQLITE_RANGE: (InvalidStatement, "a parameter is out of range"),
    sqlite3.SQLITE_AUTH: (ReadOnlySession, "a read session cannot do this"),
    sqlite3.SQLITE_READONLY: (StorageFailed, "the database cannot be written to"),
    sqlite3.SQLITE_FULL: (StorageFailed, "the disk, or the allowed size, is full"),
    sqlite3.SQLITE_IOERR: (StorageFailed, "reading or writing the file failed"),
    sqlite3.SQLITE_CORRUPT: (StorageFailed, "the database file is damaged"),
    sqlite3.SQLITE_NOTADB: (StorageFailed, "the file is no SQLite database"),
    sqlite3.SQLITE_CANTOPEN: (StorageFailed, "the database file cannot be opened"),
    sqlite3.SQLITE_NOLFS: (StorageFailed, "the file is too large for this system"),
    sqlite3.SQLITE_PERM: (AccessDenied, "the file's permissions do not allow this"),
    sqlite3.SQLITE_INTERRUPT: (Timeout, "the statement was interrupted"),
    sqlite3.SQLITE_SCHEMA: (Busy, "the schema changed while the statement ran"),
    sqlite3.SQLITE_NOMEM: (EngineError, "SQLite has no memory left"),
    sqlite3.SQLITE_ABORT: (EngineError, "the statement was aborted"),
    sqlite3.SQLITE_INTERNAL: (EngineError, "SQLite reports an internal error"),
    sqlite3.SQLITE_MISUSE: (EngineError, "the connection was used wrongly"),
    sqlite3.SQLITE_ERROR: (InvalidStatement, "SQLite refuses the statement"),
}

_FOLDER = (
    "check the folder's permissions: SQLite makes files "
    "beside the database; one in a read-only folder opens with file:path?immutable=1"
)
_HINTS = {
    sqlite3.SQLITE_CANTOPEN: _FOLDER,
    sqlite3.SQLITE_READONLY_DIRECTORY: _FOLDER,
    sqlite3.SQLITE_FULL: "make room; nothing of the transaction was kept",
    sqlite3.SQLITE_READONLY: "check the permissions of the file and of its folder",
    sqlite3.SQLITE_PERM: "check the permissions of the file and of its folder",
    sqlite3.SQLITE_READONLY_DBMOVED: "open the database again",
    sqlite3.SQLITE_IOERR: "check the disk and its file system",
    sqlite3.SQLITE_TOOBIG: "keep large content in a file, and its name in the row",
    sqlite3.SQLITE_NOTADB: "name the database itself; an encrypted one opens only in "
    "the program that made it",
    sqlite3.SQLITE_CORRUPT: "restore a backup; sqlite3's .recover may save rows",
}

# Their messages name a column and a type, or are a trigger's own words.
_TOLD_IN_WORDS = {CONSTRAINT_DATATYPE, sqlite3.SQLITE_CONSTRAINT_TRIGGER}

_CONSTRAINT_TAIL = re.compile(r"constraint failed: (.+)$", re.DOTALL)


def classify_sqlite(error: sqlite3.Error) -> LockstepError:
    """Return the error of our tree for one of sqlite3's."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return _without_code(error)
    name: str = getattr(error, "sqlite_errorname", "")
    return classify_sqlite_code(code, name, str(error))


def classify_opening(error: sqlite3.Error, path: Path) -> LockstepError:
    """Return the error of a file that could not be opened; it names the file."""
    meaning = classify_sqlite(error)
    if not isinstance(meaning, StorageFailed):
        return meaning
    what = f"{path}: {meaning.message}"
    if primary_code(error) == sqlite3.SQLITE_NOTADB:
        what = f"{path} is no SQLite database: {likely_content(path)}"
    hint = meaning.hint
    if os.path.isfile(path) and not os.access(path, os.R_OK):
        hint = "check the permissions of the file: this account may not read it"
    detail = {**meaning.detail, "path": str(path)}
    return StorageFailed(what, hint=hint, detail=detail)


def classify_sqlite_code(code: int, name: str, message: str) -> LockstepError:
    """Return the error of our tree for SQLite's (extended) result code.

    ``message`` is SQLite's own; names are taken from it, the class never is.
    """
    kind, sentence = EXTENDED.get(code) or PRIMARY.get(
        code & 0xFF, (EngineError, "SQLite reports an error")
    )
    detail: dict[str, Any] = {
        "sqlite_code": code,
        "sqlite_name": name,
    }
    if code & 0xFF == sqlite3.SQLITE_CONSTRAINT:
        detail |= _names(code, message)
        named = detail.get("constraint") or ", ".join(detail.get("columns", ()))
        if code in _TOLD_IN_WORDS:
            sentence = f"{sentence}: {message}"
        elif named:
            sentence = f"{sentence}: {named}"
    elif kind in (InvalidStatement, InvalidValue, EngineError):
        sentence = f"{sentence}: {message}"
    return kind(sentence, hint=_HINTS.get(code, _HINTS.get(code & 0xFF)), detail=detail)


def _names(code: int, message: str) -> dict[str, Any]:
    """Return the constraint's name or the columns, as far as SQLite says them."""
    tail = _CONSTRAINT_TAIL.search(message)
    if tail is None:
        return {}
    text = tail[1].strip()
    if code in (
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        sqlite3.SQLITE_CONSTRAINT_NOTNULL,
    ):
        if text.startswith("index '"):
            return {"constraint": text[len("index '") : -1]}
        columns = [part.strip() for part in text.split(",")]
        return {"table": columns[0].partition(".")[0], "columns": columns}
    if code == sqlite3.SQLITE_CONSTRAINT_CHECK:
        return {"constraint": text}
    return {}


def _without_code(error: sqlite3.Error) -> LockstepError:
    """Classify what the sqlite3 module raises itself, before SQLite is asked."""
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return InvalidStatement(f"sqlite3 refuses the statement: {error}")
    if isinstance(error, sqlite3.DataError):
        return InvalidValue(f"sqlite3 refuses a value: {error}")
    if isinstance(error, sqlite3.OperationalError):
        # aiosqlite's words for a connection that is gone.
        return ConnectionLost("the connection is closed", hint="open a new session")
    return EngineError(f"sqlite3 reports an error: {error}")


def primary_code(error: BaseException | None) -> int | None:
    """Return the primary result code of an error, or of what it was raised from."""
    for _ in range(_CHAIN_DEPTH_MAX):
        if error is None:
            return None
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", None)
            return None if code is None else code & 0xFF
        error = getattr(error, "orig", None) or error.__cause__
    return None
