"""Open somebody's SQLite file to read it, and change nothing: no byte, no file.

Owns how a source is reached when it lies there with a WAL, a hot journal or
collations that this SQLite does not have.

    rollback journal           mode=ro        one read transaction, locks respected
    WAL, a program has it open mode=ro        one snapshot, the program goes on
    WAL left behind            a copy aside   reading it here would make a -shm file
    hot journal                a copy aside   rolling it back here would write
    WAL mode, no WAL there     immutable      guarded: see ``Source.check_unchanged``

Invariants: the source's folder looks after a move as before; one library, the
standard one, opens the file (docs/limits.md); reading happens in one transaction.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote as percent_encoded

from lockstep.clock import SYSTEM_CLOCK
from lockstep.engine.file_kind import likely_content
from lockstep.engine.sqlite_files import check_folder, check_is_there, is_open_here
from lockstep.errors import SourceChanged, StorageFailed
from lockstep.mover.model.values import tolerant
from lockstep.mover.sqlite.aside import Aside, beside, fingerprint
from lockstep.mover.sqlite.unparsable import Name, find_unparsable, read_first
from lockstep.mover.translate.scratch import compare_bytes, stand_in_for_collations

_WAL_VERSION = 2
_HEADER_BYTES = 20
_SHM_LOCK_BYTE = 128
_FLOCK = "hhqqi"
_NEEDS_ROLLBACK = {
    sqlite3.SQLITE_READONLY_ROLLBACK,
    sqlite3.SQLITE_READONLY_RECOVERY,
    sqlite3.SQLITE_READONLY_CANTINIT,
    sqlite3.SQLITE_READONLY_DIRECTORY,
    sqlite3.SQLITE_CANTOPEN,
}
_HINTS = {
    sqlite3.SQLITE_NOTADB: "it is something else, or encrypted: let the program that "
    "made it write a plain copy",
    sqlite3.SQLITE_CORRUPT: "restore a backup; sqlite3's .recover may save rows",
}
_BEGIN_ATTEMPTS = 5
READ_CACHE_KIB = 2_048
_TICK_S = 0.02
"""Twice the longest tick that Linux is built with."""


@dataclass
class Source:
    """A SQLite file open for reading, inside one read transaction.

    Attributes:
        connection: What reads; ``text_factory`` is the reader's to set.
        path: The file as named.
        notices: What had to be done to read it, for people.
        missing_collations: Names the schema uses and this SQLite lacks; a
            stand-in that compares bytes answers to each.
        unparsable: Objects whose statements this SQLite cannot parse, and why.
    """

    connection: sqlite3.Connection
    path: Path
    notices: list[str] = field(default_factory=list[str])
    missing_collations: tuple[str, ...] = ()
    unparsable: dict[Name, str] = field(default_factory=dict[Name, str])
    _aside: Aside | None = None
    _is_guarded: bool = False
    _seen: str = ""
    _state: str = ""
    _other: sqlite3.Connection | None = None

    def fingerprint(self) -> str:
        """Return what is another text when the state that is read is another one.

        It was taken before that state was fixed, so it never is that of a later one.
        """
        return self._state

    def check_unchanged(self) -> None:
        """Make sure that what was read is one state of the file.

        Raises:
            SourceChanged: Somebody wrote while no lock could hold him off.
        """
        if self._is_guarded and fingerprint(self.path) != self._seen:
            raise SourceChanged(f"{self.path} was written to while it was read")

    def other(self) -> sqlite3.Connection | None:
        """Return a second connection that sees the same state, for a second thread.

        None where that cannot be known, or where a second processor is missing. A
        read transaction holds writers off in a file with a rollback journal; a copy
        aside is nobody else's; a file that is read as immutable is guarded. For a WAL
        that somebody has open it began together with the first (``_begin_both``).
        """
        if self._other is None and processors() > 1 and not self.is_shared:
            other = self.second()
            try:
                _begin_reading(other)
            except sqlite3.DatabaseError:
                other.close()
                return None
            self._other = other
        return self._other

    @property
    def is_shared(self) -> bool:
        """Whether somebody may commit while this reads."""
        if self._aside is not None or self._is_guarded:
            return False
        mode = self.connection.execute("PRAGMA journal_mode").fetchone()[0]
        return mode in ("wal", "off")

    @property
    def blocks_writers(self) -> bool:
        """Whether who writes to the file waits until this has been closed."""
        is_ours = self._aside is not None or self._is_guarded
        return not is_ours and not self.is_shared

    def second(self) -> sqlite3.Connection:
        """Open the same database once more; in no transaction yet."""
        query = "immutable=1" if self._is_guarded else "mode=ro"
        path = self.path
        if self._aside is not None:
            path, query = self._aside.path, "mode=rw"
        connection = _connect(path, query)
        for name in self.missing_collations:
            connection.create_collation(name, compare_bytes)
        return connection

    def close(self) -> None:
        """End the read transaction; remove the copy, if one was made."""
        if self._other is not None:
            self._other.close()
        self.connection.close()
        if self._aside is not None:
            self._aside.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _settled_fingerprint(path: Path) -> str:
    """Return the fingerprint when whoever writes next is sure to change it.

    A file system notes times by the tick of its clock: two commits within one can
    leave the same.
    """
    names = (path, beside(path, "-wal"))
    changed_s = max(name.stat().st_mtime for name in names if name.exists())
    left_s = changed_s + _TICK_S - SYSTEM_CLOCK.now().timestamp()
    time.sleep(min(max(left_s, 0), _TICK_S))
    return fingerprint(path)


def open_source(path: Path) -> Source:
    """Open ``path`` and begin one read transaction on it.

    Raises:
        Unexaminable: There is no such file.
        StorageFailed: It is no database.
    """
    check_is_there(path)
    check_folder(path, read_only=True)
    try:
        before = _settled_fingerprint(path)
        source = _begin(_opened(path))
        if fingerprint(path) != before:
            before += f" and written to {secrets.token_hex(8)}"
    except sqlite3.DatabaseError as error:
        code = error.sqlite_errorcode & 0xFF
        what = f"cannot be read as a SQLite database: {error}"
        if code == sqlite3.SQLITE_NOTADB:
            what = f"is no SQLite database: {likely_content(path)}"
        raise StorageFailed(
            f"{path} {what}",
            hint=_HINTS.get(code, ""),
            detail={"path": str(path)},
        ) from error
    source._state = before  # pyright: ignore[reportPrivateUsage]
    return source


def _opened(path: Path) -> Source:
    wal, shm = beside(path, "-wal"), beside(path, "-shm")
    if _has_bytes(wal) and not _is_held(path, shm):
        return _open_aside(path, "a WAL was left behind; it was read from a copy")
    if not shm.exists() and _is_wal_file(path):
        source = Source(_connect(path, "immutable=1"), path, _is_guarded=True)
        source._seen = fingerprint(path)  # pyright: ignore[reportPrivateUsage]
        return source
    connection = _connect(path, "mode=ro")
    try:
        read_first(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        if error.sqlite_errorcode not in _NEEDS_ROLLBACK:
            raise
        return _open_aside(
            path, "an unfinished transaction was left behind; it was undone in a copy"
        )
    return Source(connection, path)


def _begin(source: Source) -> Source:
    connection = source.connection
    if not source.path.stat().st_size:
        source.notices.append(f"{source.path} is empty: it has no bytes")
    if source.is_shared and processors() > 1:
        source._other = _begin_both(source)  # pyright: ignore[reportPrivateUsage]
    else:
        _begin_reading(connection)
    connection.text_factory = tolerant
    statements = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"
    ).fetchall()
    source.unparsable = find_unparsable(connection)
    connection.text_factory = str
    if source.unparsable:
        names = ", ".join(f"{kind} {name}" for kind, name in source.unparsable)
        source.notices.append(
            f"SQLite {sqlite3.sqlite_version} cannot parse the statement of {names}; "
            "all else was read"
        )
    missing = stand_in_for_collations(connection, [row[0] for row in statements])
    other = source._other  # pyright: ignore[reportPrivateUsage]
    if other is not None:
        stand_in_for_collations(other, [row[0] for row in statements])
    if missing:
        source.missing_collations = tuple(missing)
        source.notices.append(
            f"this SQLite lacks the collation {', '.join(missing)}; "
            "a comparison of bytes stood in while reading"
        )
    return source


def _begin_both(source: Source) -> sqlite3.Connection | None:
    """Begin to read a WAL that is written to, with two connections on one state.

    A commit of anybody else changes a connection's ``data_version``: while it stays
    the same nothing came between the beginnings of the two transactions.
    See https://sqlite.org/pragma.html#pragma_data_version

    Returns:
        The second connection; None where somebody commits all the time.
    """
    other = source.second()
    try:
        for _ in range(_BEGIN_ATTEMPTS):
            before = _data_version(other)
            _begin_reading(source.connection)
            _begin_reading(other)
            if _data_version(other) == before:
                return other
            other.execute("ROLLBACK")
            source.connection.execute("ROLLBACK")
    except BaseException:
        other.close()
        raise
    other.close()
    _begin_reading(source.connection)
    return None


def _begin_reading(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{READ_CACHE_KIB}")
    connection.execute("BEGIN")
    # A transaction begins with its first read.
    read_first(connection)


def _data_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _connect(path: Path, query: str) -> sqlite3.Connection:
    uri = f"file:{percent_encoded(os.fsencode(path))}?{query}"
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=30, check_same_thread=False
    )


def _open_aside(path: Path, notice: str) -> Source:
    aside = Aside(path)
    try:
        connection = _connect(aside.path, "mode=rw")
        read_first(connection)
    except BaseException:
        aside.close()
        raise
    return Source(connection, path, [notice], _aside=aside)


def _is_wal_file(path: Path) -> bool:
    # Nobody has the WAL open (there is no -shm), so a plain read of the header
    # cannot cancel a lock that this process holds on a WAL database.
    with open(path, "rb") as file:
        header = file.read(_HEADER_BYTES)
    return len(header) == _HEADER_BYTES and header[19] == _WAL_VERSION


def _is_held(path: Path, shm: Path) -> bool:
    """Whether a program has the WAL open now.

    Each connection holds a shared lock on one byte of the -shm file. Where that
    cannot be asked a -shm file counts as held.
    See https://sqlite.org/walformat.html#wal_locks
    """
    if not shm.exists():
        return False
    # Closing a descriptor cancels this process's own locks on the file.
    if sys.platform != "linux" or is_open_here(path):
        return True
    import fcntl

    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _SHM_LOCK_BYTE, 1, 0)
    descriptor = os.open(shm, os.O_RDONLY)
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, question)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK


def _has_bytes(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
