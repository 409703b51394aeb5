"""A libSQL server's database, reached as the mover reaches a SQLite file.

Owns the one stream that a move keeps on a server: what is asked on it, what keeps
it alive while the other side works, and the errors, which are SQLite's own here
because the server *is* SQLite.

    ServedConnection   statements, each answer whole
    ServedSnapshot     the same inside of one read transaction

The server closes a stream on which nothing was said for ten seconds; a snapshot
says something every few seconds. Where it is lost all the same, it is opened again
and goes on only if nobody has committed a page since: the server counts them.

Invariant: everything that a ``ServedSnapshot`` gives belongs to one state.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from lockstep.config import load_settings
from lockstep.engine.hrana import dbapi
from lockstep.engine.hrana import errors as hrana
from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.transport import Transport
from lockstep.engine.libsql import server_of
from lockstep.engine.libsql_errors import classify_libsql
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import SourceChanged

if TYPE_CHECKING:
    from lockstep.config import Settings

BEAT_S = 3.0
"""A third of what libsql-server allows a stream to stand still."""

GROUP_ROWS_MAX = 1_000
GROUP_VALUES_MAX = 10_000
GROUP_BYTES_MAX = 1024 * 1024
"""Of one INSERT; SQLite itself takes 32,766 values, and a server's answer comes late
where it gets much more than a megabyte at once."""

_PIN_ATTEMPTS = 5
_TOO_LARGE = "RESPONSE_TOO_LARGE"
_VALUE_REFUSED = "ARGS_INVALID"
"""As many values as marks are always sent, so it is a value that is too long."""

_FIRST_READ = "SELECT count(*) FROM sqlite_master"

T = TypeVar("T")


class AnswerTooLarge(sqlite3.DataError):
    """The server sends no answer of this size; fewer rows would fit."""


class ServedConnection:
    """A server's database with the methods of ``sqlite3.Connection`` in use here.

    Errors of statements are ``sqlite3``'s, with SQLite's codes; those of the server
    and the network are ``LockstepError``.
    """

    def __init__(self, url: DatabaseUrl, settings: Settings | None = None) -> None:
        self._transport = Transport(server_of(url, settings or load_settings()))
        self._driver = dbapi.Connection(self._transport.run, autocommit=True)
        self._lock = threading.RLock()
        self.name = str(url)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open there, as far as was heard."""
        return self._driver.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> dbapi.Cursor:
        """Run one statement; all its rows are in the answer."""
        with self._speaking():
            return self._driver.execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one INSERT … VALUES (…) per row: many rows in one statement.

        Where one of them is refused none of its statement is there; those of
        earlier statements are the transaction's.
        """
        head, _, marks = sql.rpartition(" VALUES ")
        with self._speaking():
            if not head or not marks.startswith("("):
                self._driver.executemany(sql, rows)
                return
            for group in _groups(rows):
                many = f"{head} VALUES {', '.join([marks] * len(group))}"
                self._driver.execute(many, [value for row in group for value in row])

    def cursor(self) -> ServedCursor:
        """Return what reads as a DB-API cursor does."""
        return ServedCursor(self)

    def close(self) -> None:
        """End an open transaction and close the stream."""
        with self._lock:
            try:
                self._driver.close()
            finally:
                self._transport.close()

    @contextmanager
    def _speaking(self) -> Generator[None]:
        with self._lock:
            try:
                yield
            except hrana.Error as error:
                raise _meaning(error) from error


class ServedCursor:
    """Answers that are whole, read like any cursor's."""

    def __init__(self, connection: ServedConnection) -> None:
        self._connection = connection
        self._answer: dbapi.Cursor | None = None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> ServedCursor:
        """Run one statement."""
        self._answer = self._connection.execute(sql, parameters)
        return self

    def fetchmany(self, size: int) -> list[m.Row]:
        """Return up to ``size`` rows."""
        assert self._answer is not None, "executed before rows are fetched"
        return self._answer.fetchmany(size)

    def fetchall(self) -> list[m.Row]:
        """Return the rows that are left."""
        assert self._answer is not None, "executed before rows are fetched"
        return self._answer.fetchall()

    def close(self) -> None:
        """Let go of the rows."""
        self._answer = None


class ServedSnapshot(ServedConnection):
    """One read transaction on a server.

    Attributes:
        index: The pages ever committed to the state that is read; None where the
            server does not count, or is written to too often to tell.
    """

    def __init__(self, url: DatabaseUrl) -> None:
        super().__init__(url)
        self._outside = dbapi.Connection(self._transport.run, autocommit=True)
        self.index: int | None = None
        self._spoken_s = time.monotonic()
        self._ended = threading.Event()
        with self._speaking():
            self.index = self._begin()
        self._heart = threading.Thread(
            target=self._beat, name="lockstep-move-heartbeat", daemon=True
        )
        self._heart.start()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> dbapi.Cursor:
        """Run one reading statement in the snapshot.

        Raises:
            SourceChanged: The server ended the transaction, and somebody wrote
                before it could begin again.
        """
        with self._speaking():
            if self._driver.is_lost:
                self._begin_again()
            try:
                answer = self._driver.execute(sql, parameters)
            except hrana.Error as error:
                if not self._driver.is_lost or isinstance(error, hrana.InternalError):
                    raise
                self._begin_again()
                answer = self._driver.execute(sql, parameters)
            self._spoken_s = time.monotonic()
            return answer

    def close(self) -> None:
        """End the transaction."""
        self._ended.set()
        self._heart.join()
        super().close()

    def _begin(self) -> int | None:
        """Begin a transaction; return the index that its state surely has.

        The server tells how far it is outside of transactions only; an index that
        was the same before and after one began is that transaction's.
        """
        for _ in range(_PIN_ATTEMPTS):
            before = self._index_now()
            self._driver.begin(reads_only=True)
            self._driver.execute(_FIRST_READ)
            if before is None or before == self._index_now():
                return before
            self._driver.rollback()
        self._driver.begin(reads_only=True)
        self._driver.execute(_FIRST_READ)
        return None

    def _begin_again(self) -> None:
        self._driver.rollback()
        index = self._begin()
        if index is None or index != self.index:
            raise SourceChanged(
                f"{self.name} ended the transaction that was read, and was written "
                "to meanwhile",
                hint="move again, at a time when nobody writes",
            )

    def _index_now(self) -> int | None:
        answer = self._outside.run(
            self._outside.conversation.execute(m.Statement(_FIRST_READ))
        )
        return answer.replication_index

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            with self._lock:
                if time.monotonic() - self._spoken_s < BEAT_S:
                    continue
                try:
                    self._driver.execute("SELECT 1")
                except hrana.Error:
                    continue  # whoever asks next is told, or begins again
                self._spoken_s = time.monotonic()


@dataclass
class ServedSource:
    """A server's database open for reading, as ``opening.Source`` is a file."""

    connection: ServedSnapshot
    notices: list[str] = field(default_factory=list[str])
    missing_collations: tuple[str, ...] = ()
    _nonce: str = field(default_factory=lambda: secrets.token_hex(8))

    def fingerprint(self) -> str:
        """Return what changes when anybody writes.

        A server that does not count its pages has a new one each time, so that a
        move begins anew rather than going on with other data.
        """
        index = self.connection.index
        if index is None:
            return f"not counted {self._nonce}"
        (schema,) = self.connection.execute("PRAGMA schema_version").fetchall()[0]
        return f"{index} pages, schema {schema}"

    def check_unchanged(self) -> None:
        """Do nothing: the snapshot itself cannot change."""

    def close(self) -> None:
        """End the read transaction."""
        self.connection.close()


def open_served(url: DatabaseUrl) -> ServedSource:
    """Begin to read a server's database.

    Raises:
        LockstepError: It cannot be reached, or refuses the token.
    """
    snapshot = ServedSnapshot(url)
    source = ServedSource(snapshot)
    if snapshot.index is None:
        source.notices.append(
            "the server does not say whether it was written to, so a move that is "
            "stopped begins anew"
        )
    return source


def _groups(rows: Iterable[Sequence[Any]]) -> Generator[list[Sequence[Any]]]:
    """Yield rows that one statement and one request can hold."""
    group: list[Sequence[Any]] = []
    values = size = 0
    for row in rows:
        group.append(row)
        values += len(row)
        size += sum(len(v) if isinstance(v, str | bytes) else 8 for v in row)
        is_full = len(group) >= GROUP_ROWS_MAX or size >= GROUP_BYTES_MAX
        if is_full or values + len(row) > GROUP_VALUES_MAX:
            yield group
            group, values, size = [], 0, 0
    if group:
        yield group


def _meaning(error: hrana.Error) -> Exception:
    """Return SQLite's own error for a statement's; ours for all others."""
    if error.server_code == _TOO_LARGE:
        return AnswerTooLarge(str(error))
    code = error.sqlite_errorcode
    if isinstance(error, hrana.InternalError) and code is None:
        # How libsql-server ends a call whose answer has a text that is not UTF-8.
        return _sqlite_error(
            sqlite3.OperationalError, str(error), sqlite3.SQLITE_INTERNAL
        )
    if error.server_code == _VALUE_REFUSED:
        return _sqlite_error(sqlite3.DataError, str(error), sqlite3.SQLITE_TOOBIG)
    if code is None or error.disconnected:
        return classify_libsql(error)
    if isinstance(error, hrana.DataError):
        return _sqlite_error(sqlite3.DataError, str(error), code)
    if isinstance(error, hrana.IntegrityError):
        return _sqlite_error(sqlite3.IntegrityError, str(error), code)
    return _sqlite_error(sqlite3.OperationalError, str(error), code)


def _sqlite_error(
    kind: type[sqlite3.DatabaseError], text: str, code: int
) -> sqlite3.DatabaseError:
    made = kind(text)
    made.sqlite_errorcode = code
    made.sqlite_errorname = ""
    return made
