"""What ends a move that no value and no plan is to blame for: disks, mostly.

Owns how a full disk is told, whoever noticed it: SQLite, the server or the system;
and that a file beside the databases (a report, a quarantine) is there whole or not.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from lockstep.engine import classify
from lockstep.errors import LockstepError, StorageFailed

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DISK_FULL_STATE = "53100"
_OF_THE_SYSTEM = frozenset(
    {
        *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM),
        *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY),
        *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOTADB),
    }
)


def is_of_the_system(error: sqlite3.Error) -> bool:
    """Whether no statement and no row is to blame: the same may work later."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _OF_THE_SYSTEM


def is_full(error: BaseException) -> bool:
    """Whether a disk was full, whoever says so."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    code = getattr(error, "sqlite_errorcode", None) or 0
    state = getattr(error, "sqlstate", None)
    return code & 0xFF == sqlite3.SQLITE_FULL or state == _DISK_FULL_STATE


@contextmanager
def told(hint_when_full: str, path: Path | None = None) -> Generator[None]:
    """Raise what a driver or the system raises as an error of ours.

    Args:
        hint_when_full: What to do where a disk was full.
        path: What is written; None where several things are.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, StorageFailed) and "path" in error.detail:
            raise  # whoever wrote it said more than is known here
        known = classify(error)
        causes = (error, error.__cause__)
        if not any(cause is not None and is_full(cause) for cause in causes):
            if known is None or isinstance(error, LockstepError):
                raise
            raise known from error
        message = known.message if known else "a disk is full"
        detail = dict[str, str]()
        if path is not None:
            message = f"{path}: there is no room for it"
            detail["path"] = str(path)
        raise StorageFailed(message, hint=hint_when_full, detail=detail) from error


def check_place(path: Path) -> None:
    """Say at once that a file which is written late cannot be made where it is named.

    Raises:
        StorageFailed: Its folder does not exist, or it is a folder itself.
    """
    if path.is_dir():
        raise StorageFailed(f"{path} is a folder", hint="name a file in it")
    if not path.parent.is_dir():
        raise StorageFailed(
            f"the folder {path.parent} does not exist",
            hint="make it, or name another place for the file",
        )


def write_whole(path: Path, text: str | Iterable[str]) -> None:
    """Write a file; what was there stays until all of the new one is written.

    Args:
        path: The file, or a device.
        text: What it shall hold, or its parts, of which one at a time is held.

    Raises:
        StorageFailed: There is no room; nothing is left behind.
    """
    if not path.exists() or path.is_file():
        draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    else:
        draft = path  # a device, such as /dev/stdout
    with told("make room, or name another place for the file", path):
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.writelines([text] if isinstance(text, str) else text)
            if draft != path:
                draft.replace(path)
        except BaseException:
            if draft != path:
                with contextlib.suppress(OSError):
                    draft.unlink(missing_ok=True)
            raise
