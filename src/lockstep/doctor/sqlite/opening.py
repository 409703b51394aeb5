"""Open somebody's SQLite file so that nothing of it changes.

Owns how a file that may be live, left behind, damaged or on a read-only disk is
opened for reading:

    rollback journal            mode=ro
    WAL, in use or clean        mode=ro; what SQLite then puts beside the file is
                                removed again by SQLite itself when we are done
    WAL left by a crash         a private copy (a -wal without a -shm: nobody has
                                it open, and reading it in place would leave a -shm)
    nothing else works          immutable=1, and the report says so

Invariants: the database's bytes and times stay as they are; a file that was not
beside it before is not there afterwards, unless another process made it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from lockstep.doctor.sqlite.leftover import LeftWal, read_left_wal
from lockstep.doctor.sqlite.surroundings import Beside
from lockstep.engine.file_kind import likely_content
from lockstep.errors import Unexaminable
from lockstep.mover.sqlite.unparsable import Name, find_unparsable, read_first

BUSY_TIMEOUT_S = 5.0
COPY_BYTES_MAX = 512 * 1024 * 1024
"""Above this a file with a left-behind WAL is read in place."""

_COLLATE = re.compile(r"\bCOLLATE\s+[\"'`\[]?(\w+)", re.IGNORECASE)
_OWN_COLLATIONS = {"BINARY", "NOCASE", "RTRIM"}
How = Literal["read-only", "copy", "immutable"]


@dataclass(frozen=True, slots=True)
class Opened:
    """An open database.

    Attributes:
        connection: Reads; cannot write.
        how: As it lies there, as a private copy, or without locks (immutable).
        uses_wal: Whether the file is in WAL mode.
        beside: What lay beside it before it was opened.
        lent: Collations of the program that made the file; here they compare bytes.
        left: What the -wal says that a program left behind; None without one.
        unparsable: Objects whose statements this SQLite cannot parse, and why.
    """

    connection: Any
    how: How
    uses_wal: bool
    beside: Beside
    lent: frozenset[str] = frozenset()
    left: LeftWal | None = None
    unparsable: Mapping[Name, str] = field(default_factory=dict[Name, str])

    def is_sorted_elsewhere(self, sql: str) -> bool:
        """Return whether a definition uses a collation that is only lent here."""
        return any(name in self.lent for name in _collations(sql))


@contextmanager
def opened(path: Path, *, timeout_s: float = BUSY_TIMEOUT_S) -> Generator[Opened]:
    """Open ``path`` for reading and yield it; leave nothing behind.

    Args:
        path: The file.
        timeout_s: How long to wait for a process that holds it.

    Raises:
        Unexaminable: It is no SQLite file, is damaged in its first page, is held
            by another process all the time, or may not be read.
    """
    size_bytes = _size_of(path)
    beside = Beside.of(path)
    if beside.left_behind and size_bytes + (beside.wal_bytes or 0) <= COPY_BYTES_MAX:
        with _private_copy(path) as copy:
            left = read_left_wal(copy, Path(f"{copy}-wal"))
            with _closing(copy, "mode=rw", timeout_s) as own:
                lent = _prove_with_wal(own, path)
                unparsable = find_unparsable(own)
                uses_wal = _uses_wal(own)
                yield Opened(own, "copy", uses_wal, beside, lent, left, unparsable)
        return
    with leaving_no_litter(path), _in_place(path, timeout_s) as (connection, how, lent):
        uses_wal = how == "immutable" or _uses_wal(connection)
        unparsable = find_unparsable(connection)
        yield Opened(connection, how, uses_wal, beside, lent, None, unparsable)


@contextmanager
def leaving_no_litter(path: Path) -> Generator[None]:
    """Let the block read ``path``; remove what reading alone left beside it."""
    had_wal = Beside.of(path).wal_bytes is not None
    try:
        yield
    finally:
        if not had_wal and Beside.of(path).wal_bytes == 0:
            _sweep(path)


def _size_of(path: Path) -> int:
    try:
        status = path.stat()
    except OSError as error:
        raise Unexaminable(
            f"{path} cannot be read: {error.strerror}",
            hint="check the permissions of the file and of its folders",
            detail={"path": str(path)},
        ) from error
    if not path.is_file():
        raise Unexaminable(
            f"{path} is no file", hint="name a SQLite file", detail={"path": str(path)}
        )
    if status.st_size == 0:
        raise Unexaminable(
            f"{path} is no database yet: it is empty",
            hint="it becomes one at the first write; if it had content, restore a "
            "backup",
            detail={"path": str(path), "size_bytes": 0},
        )
    return status.st_size


@contextmanager
def _in_place(
    path: Path, timeout_s: float
) -> Generator[tuple[sqlite3.Connection, How, frozenset[str]]]:
    with _closing(path, "mode=ro", timeout_s) as connection:
        try:
            lent = _prove(connection, path)
        except Unexaminable as error:
            refused = error
        else:
            yield connection, "read-only", lent
            return
    # A WAL file in a folder where no -wal or -shm can be made.
    if refused.detail.get("sqlite_code") not in _NO_FILES_BESIDE:
        raise refused
    with _closing(path, "immutable=1", timeout_s) as connection:
        yield connection, "immutable", _prove(connection, path)


@contextmanager
def _closing(path: Path, query: str, timeout_s: float) -> Generator[sqlite3.Connection]:
    try:
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(os.path.abspath(path)))}?{query}",
            uri=True,
            timeout=timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise _refused(path, error) from error
    try:
        connection.execute("PRAGMA query_only = ON")
        # A stored text may be no UTF-8; the checks that want bytes ask for them.
        connection.text_factory = lenient_text
        yield connection
    finally:
        connection.close()


def lenient_text(text: bytes) -> str:
    """Decode a stored text, whatever bytes it holds."""
    return text.decode("utf-8", "backslashreplace")


def _uses_wal(connection: sqlite3.Connection) -> bool:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    return mode == "wal"


def _prove(connection: sqlite3.Connection, path: Path) -> frozenset[str]:
    """Read the schema once; say in words what prevents it.

    Returns:
        The collations that were lent: a program may define its own, and without
        them SQLite refuses even to look at an index.
    """
    try:
        read_first(connection)
        rows = connection.execute("SELECT sql FROM sqlite_master").fetchall()
    except sqlite3.Error as error:
        raise _refused(path, error) from error
    wanted = {name for (sql,) in rows for name in _collations(sql or "")}
    lent = wanted - _OWN_COLLATIONS
    for name in lent:
        connection.create_collation(name, _compare)
    return frozenset(lent)


def _prove_with_wal(copy: sqlite3.Connection, path: Path) -> frozenset[str]:
    """Prove a copy; tell when it is the -wal beside the file that is at fault."""
    try:
        return _prove(copy, path)
    except Unexaminable as error:
        with _closing(path, "immutable=1", 0) as alone:
            _prove(alone, path)
        wal = shlex.quote(f"{path}-wal")
        raise Unexaminable(
            f"{path} can be read, and not with the -wal that lies beside it: that "
            "is damaged, or of another file",
            hint=f"open it with nothing, put the -wal aside (mv {wal} {wal}.aside), "
            "and look again",
            detail=error.detail,
        ) from error


def _collations(sql: str) -> set[str]:
    return {name.upper() for name in _COLLATE.findall(sql)}


def _compare(first: str, second: str) -> int:
    return (first > second) - (first < second)


def _refused(path: Path, error: sqlite3.Error) -> Unexaminable:
    code: int = getattr(error, "sqlite_errorcode", 0)
    if code not in _PREVENTED and code not in _NO_FILES_BESIDE:
        code &= 0xFF
    what = _PREVENTED.get(code, f"cannot be read: {error}")
    if code == sqlite3.SQLITE_NOTADB:
        what = f"is no SQLite database: {likely_content(path)}"
    return Unexaminable(
        f"{path} {what}",
        hint=_HINTS.get(code, ""),
        detail={
            "path": str(path),
            "sqlite_code": code,
            "sqlite_error": getattr(error, "sqlite_errorname", ""),
        },
    )


_NO_FILES_BESIDE = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY_DIRECTORY,
    sqlite3.SQLITE_READONLY_CANTINIT,
}
_PREVENTED = {
    sqlite3.SQLITE_BUSY: "is held by another process all the time",
    sqlite3.SQLITE_LOCKED: "is held by another connection all the time",
    sqlite3.SQLITE_CORRUPT: "is damaged: its schema cannot be read",
    sqlite3.SQLITE_READONLY_ROLLBACK: "has a hot journal: a program died while it "
    "wrote, and the half-written pages must be rolled back before anything can be read",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_IOERR: "cannot be read: the disk or the network reports an error",
}
_HINTS = {
    sqlite3.SQLITE_BUSY: "look again when it is idle; a program that keeps an "
    "exclusive lock (locking_mode=EXCLUSIVE, a stuck transaction) shuts all out",
    sqlite3.SQLITE_CORRUPT: "restore a backup, or save what is left: sqlite3 "
    "damaged.db .recover | sqlite3 new.db",
    sqlite3.SQLITE_NOTADB: "name the database itself, open it with the key it was "
    "encrypted with, or restore a backup",
    sqlite3.SQLITE_READONLY_ROLLBACK: "open it once with the program it belongs to (or "
    "sqlite3); keep the -journal file beside it, it is needed",
    sqlite3.SQLITE_CANTOPEN: "check the rights on the file and on its folder",
    sqlite3.SQLITE_IOERR: "check the disk; copy the file elsewhere and look again",
}


@contextmanager
def _private_copy(path: Path) -> Generator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lockstep-doctor-"))
    try:
        copy = folder / "copy.db"
        shutil.copyfile(path, copy)
        shutil.copyfile(f"{path}-wal", f"{copy}-wal")
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(path: Path) -> None:
    """Let SQLite remove the empty -wal and -shm that our reading made.

    A read-only connection may make them and may not remove them. The last
    connection that may write removes them when it closes, under SQLite's own
    locks: if another process opened the file meanwhile, it is not the last.
    An empty WAL has nothing to write back, so the database stays as it is.
    """
    with suppress(sqlite3.Error, Unexaminable), _closing(path, "mode=rw", 0) as last:
        last.execute("SELECT count(*) FROM sqlite_master").fetchone()
