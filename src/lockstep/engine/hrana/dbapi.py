"""PEP 249 for libSQL servers.

Owns the connection and the cursor as Python programs know them. Which values may be
bound is ``binding.py``'s, how a column's type is named ``type_objects.py``'s.

    connect("http://127.0.0.1:8080", auth_token=…) ──► Connection ──► Cursor

A connection begins a transaction with its first statement, as PEP 249 wants it;
``autocommit=True`` begins none but those asked for (``begin()`` or ``BEGIN``).
Threads may share the module, not a connection.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, cast

from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.binding import Parameters, bind
from lockstep.engine.hrana.conversation import Conversation
from lockstep.engine.hrana.effects import Talk
from lockstep.engine.hrana.errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    RolledBack,
    Warning,
)
from lockstep.engine.hrana.statements import Kind, nature_of
from lockstep.engine.hrana.streamed import RowStream
from lockstep.engine.hrana.transaction import Phase
from lockstep.engine.hrana.transport import Server, Transport
from lockstep.engine.hrana.type_objects import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)
from lockstep.engine.hrana.wire import ServerFacts

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "sqlite_version_info",
    "threadsafety",
]

apilevel = "2.0"
threadsafety = 1
paramstyle = "qmark"
sqlite_version_info = (3, 45, 0)
"""SQLite inside of the oldest libsql-server this is tested with."""

FETCHED_ROWS = 1_000
"""How many rows a streaming cursor has here at most when one at a time is asked."""

BIND_PARAMETERS_MAX = 32_766
"""SQLite's default. A server tells its own limit only in ``compile_options``."""

T = TypeVar("T")
Description: TypeAlias = tuple[tuple[str, Any, None, None, None, None, None], ...]


def connect(
    url: str,
    *,
    auth_token: str | Callable[[], str] | None = None,
    autocommit: bool = False,
    connect_timeout_s: float = 10.0,
    call_timeout_s: float = 30.0,
    stream_timeout_s: float = 3600.0,
) -> Connection:
    """Return a connection to the server at ``url`` (``http`` or ``https``).

    Nothing is sent before the first statement. The sockets close with the
    connection.
    """
    server = Server(
        url,
        auth_token=auth_token,
        connect_timeout_s=connect_timeout_s,
        call_timeout_s=call_timeout_s,
        stream_timeout_s=stream_timeout_s,
    )
    transport = Transport(server)
    connection = Connection(transport.run, autocommit=autocommit)
    connection.when_closed = transport.close
    return connection


class Connection:
    """A connection to a libSQL server.

    Args:
        run: Runs a conversation's generators: a transport's ``run``.
        autocommit: Begin no transaction that was not asked for.
        facts: What is known of the server; shared by its connections.
        give_turn: Ends the turn to write that ``run`` waited for.

    Attributes:
        autocommit: May be changed outside of a transaction.
        autocommit_by_default: What it was in the beginning.
        when_closed: Called once, by ``close``.
        commits: How often ``commit`` was called.
    """

    Warning = Warning
    Error = Error
    InterfaceError = InterfaceError
    DatabaseError = DatabaseError
    DataError = DataError
    OperationalError = OperationalError
    IntegrityError = IntegrityError
    InternalError = InternalError
    ProgrammingError = ProgrammingError
    NotSupportedError = NotSupportedError

    def __init__(
        self,
        run: Callable[[Generator[Any, Any, Any]], Any],
        *,
        autocommit: bool = False,
        facts: ServerFacts | None = None,
        give_turn: Callable[[], None] | None = None,
    ) -> None:
        self._run = run
        self._conversation = Conversation(
            facts or ServerFacts(), give_turn or _do_nothing
        )
        self._closed = False
        self.cursor_class = Cursor
        self.autocommit = self.autocommit_by_default = autocommit
        self.when_closed: Callable[[], None] = _do_nothing
        self.commits = 0

    @property
    def in_transaction(self) -> bool:
        """A transaction is open, or was lost and not yet rolled back."""
        return self._conversation.phase is not Phase.IDLE

    @property
    def only_reads(self) -> bool:
        """Whether all that may write is refused, inside of a transaction and outside.

        May be set at any time; ``begin(reads_only=True)`` is for one transaction.
        """
        return self._conversation.only_reads

    @only_reads.setter
    def only_reads(self, value: bool) -> None:
        self._conversation.only_reads = value

    @property
    def is_lost(self) -> bool:
        """The transaction is over although neither end was asked for."""
        return self._conversation.phase is Phase.LOST

    @property
    def was_rolled_back(self) -> bool:
        """It is lost because a statement of its own rolled it back."""
        return isinstance(self._conversation.lost_because, RolledBack)

    def cursor(self, *, stream: bool = False) -> Cursor:
        """Return a new cursor; cursors of one connection see each other's work.

        ``stream`` reads the rows of a SELECT as they arrive, in constant memory. The
        connection's next statement takes what is left of them into memory.
        """
        self._require_open()
        return self.cursor_class(self, stream=stream)

    def execute(self, sql: str, parameters: Parameters = ()) -> Cursor:
        """Make a cursor and execute on it."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Parameters]) -> Cursor:
        """Make a cursor and execute once per row on it."""
        return self.cursor().executemany(sql, rows)

    def executescript(self, script: str) -> None:
        """Run statements that are separated by semicolons; rows are dropped."""
        self.run(self.conversation.execute_script(script))

    def begin(self, mode: str = "DEFERRED", *, reads_only: bool = False) -> None:
        """Begin a transaction; see :meth:`Conversation.begin`. Sends nothing.

        One that locks waits for the turn among the writers of this process.

        Raises:
            TurnTimeout: It did not come in time; no transaction is open.
        """
        conversation = self.conversation
        conversation.begin(mode, reads_only=reads_only)
        if mode != "DEFERRED":
            try:
                self.run(conversation.take_turn())
            except BaseException:
                self.run(conversation.rollback())  # sends nothing either
                raise

    def transaction(
        self, statements: Iterable[tuple[str, Parameters]], *, mode: str = "IMMEDIATE"
    ) -> list[Cursor]:
        """Run BEGIN, the statements and COMMIT in one round trip, all or none.

        Returns a cursor per statement, with its rows.
        """
        bound = [bind(sql, parameters) for sql, parameters in statements]
        results = self.run(self.conversation.transaction(bound, mode=mode))
        cursors: list[Cursor] = []
        for statement, result in zip(bound, results, strict=True):
            cursor = Cursor(self)
            cursor.take(statement.sql or "", result)
            cursors.append(cursor)
        return cursors

    def execute_together(self, statements: Sequence[m.Statement]) -> None:
        """Run statements of the open transaction, without rows, in few round trips.

        Raises the error of the first that fails; those behind it are not run.
        """
        self.run(self.conversation.execute_together(statements))

    def getlimit(self, category: int) -> int:
        """Return a limit, as sqlite3's connection does; -1 for one not known."""
        bind = category == sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER
        return BIND_PARAMETERS_MAX if bind else -1

    def describe(self, sql: str) -> m.Description:
        """Ask the server what a statement is, without running it."""
        return self.run(self.conversation.describe(sql))

    def commit(self) -> None:
        """Keep the open transaction; see :meth:`Conversation.commit`."""
        self.commits += 1
        self.run(self.conversation.commit())

    def rollback(self) -> None:
        """Take the open transaction back."""
        self.run(self.conversation.rollback())

    def close(self) -> None:
        """Take an open transaction back, close the stream; may be called twice."""
        if self._closed:
            return
        try:
            if self.in_transaction:
                self._run(self._conversation.rollback())
        finally:
            self.close_without_a_word()

    def close_without_a_word(self) -> None:
        """Close, and leave an open stream to the server."""
        self._conversation.farewell()
        self._closed = True
        self.when_closed()

    @property
    def conversation(self) -> Conversation:
        """The protocol's side; for who drives it in another way."""
        self._require_open()
        return self._conversation

    @property
    def is_closed(self) -> bool:
        """``close`` was called."""
        return self._closed

    def run(self, talk: Generator[Any, Any, T]) -> T:
        """Run a generator of the conversation."""
        return cast("T", self._run(talk))

    def _require_open(self) -> None:
        if self._closed:
            raise ProgrammingError("the connection is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self.rollback()


class Cursor:
    """A statement and its rows.

    All rows are here when ``execute`` returns, unless the cursor streams.

    Attributes:
        description: A 7-tuple per column (name, declared type); None without rows.
        rowcount: Rows that were changed; -1 for what changes none.
        lastrowid: The rowid of the last INSERT; None before one.
        arraysize: How many rows ``fetchmany`` gives when not told.
    """

    def __init__(self, connection: Connection, *, stream: bool = False) -> None:
        self.connection = connection
        self._streams = stream
        self._arriving: RowStream | None = None
        self._statement = m.Statement(None)
        self.description: Description | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1
        self._rows: list[m.Row] | None = None
        self._next = 0
        self._sql = ""
        self._sets: list[m.ResultSet] = []
        self._closed = False

    def execute(self, sql: str, parameters: Parameters = ()) -> Self:
        """Run one statement.

        Raises:
            ProgrammingError: A value has a type that SQLite does not know.
            OverflowError: An int has more than 64 bits.
        """
        self.connection.run(self.executing(sql, parameters))
        return self

    def executemany(
        self, sql: str, rows: Iterable[Parameters], *, returning: bool = False
    ) -> Self:
        """Run one statement per row, in batches of one round trip each.

        ``returning`` keeps the rows that each gave; ``nextset`` leads to the next.
        """
        self.connection.run(self.executing_many(sql, rows, returning=returning))
        return self

    def executing(self, sql: str, parameters: Parameters) -> Talk[None]:
        """Execute, for who runs the talk."""
        statement = bind(sql, parameters)
        conversation = self._prepare(sql)
        if not self._streams:
            self.take(sql, (yield from conversation.execute(statement)))
            return
        found = yield from conversation.stream(statement)
        if isinstance(found, m.ResultSet):
            self.take(sql, found)
        else:
            self.take(sql, m.ResultSet(found.columns))
            self._arriving, self._statement = found, statement

    def arriving(self, count: int) -> Talk[None]:
        """Have ``count`` rows here, or all that are left; for who runs the talk."""
        rows, stream = self._rows, self._arriving
        if stream is None or rows is None or len(rows) - self._next >= count:
            return
        rows, self._next = rows[self._next :], 0
        self._rows = rows
        while len(rows) < count:
            try:
                found = yield from stream.take(min(count - len(rows), FETCHED_ROWS))
            except DataError:
                again = self.connection.conversation.stream_again(
                    self._statement, stream.given
                )
                stream = self._arriving = yield from again
                if stream is None:
                    raise
                continue
            if not found:
                self._arriving = None
                yield from self.connection.conversation.leave(stream)
                return
            rows += found

    def executing_many(
        self, sql: str, rows: Iterable[Parameters], *, returning: bool = False
    ) -> Talk[None]:
        """Execute once per row, for who runs the talk."""
        conversation = self._prepare(sql)
        bound = (bind(None, row) for row in rows)
        results = yield from conversation.execute_many(sql, bound, want_rows=returning)
        changed = sum(result.affected_row_count for result in results)
        self._sql, self._sets = sql, results if returning else []
        if not self.nextset():
            self.take(sql, m.ResultSet())
        self.rowcount = changed if nature_of(sql).kind is Kind.CHANGE else -1

    def nextset(self) -> bool | None:
        """Go to the rows of the next statement of ``executemany``; None after all."""
        if not self._sets:
            return None
        self.take(self._sql, self._sets.pop(0))
        return True

    def take(self, sql: str, result: m.ResultSet) -> None:
        """Hold ``result`` as that of ``sql``."""
        changes = nature_of(sql).kind is Kind.CHANGE
        self.rowcount = result.affected_row_count if changes else -1
        if result.last_insert_rowid is not None:
            self.lastrowid = result.last_insert_rowid
        self.description = (
            tuple(
                (column.name, column.decltype, None, None, None, None, None)
                for column in result.columns
            )
            or None
        )
        self._rows = result.rows if result.columns else None
        self._next = 0

    def fetchone(self) -> m.Row | None:
        """Return the next row; None after the last."""
        rows = self._results(self._ahead(1))
        if self._next >= len(rows):
            return None
        self._next += 1
        return rows[self._next - 1]

    def fetchmany(self, size: int | None = None) -> list[m.Row]:
        """Return up to ``size`` rows."""
        wanted = self.arraysize if size is None else size
        rows = self._results(wanted)
        found = rows[self._next : self._next + wanted]
        self._next += len(found)
        return found

    def fetchall(self) -> list[m.Row]:
        """Return the rows that are left."""
        rows = self._results(sys.maxsize)
        found = rows[self._next :] if self._next else rows
        self._next = len(rows)
        return found

    def fetchmany_here(self, size: int) -> list[m.Row]:
        """Return up to ``size`` of the rows that are here already."""
        rows = self._rows
        if rows is None or self._closed:
            raise ProgrammingError("the last statement gave no rows")
        found = rows[self._next : self._next + size]
        self._next += len(found)
        return found

    def fetchone_here(self) -> m.Row | None:
        """Return the next of the rows that are here already."""
        found = self.fetchmany_here(1)
        return found[0] if found else None

    def leaving(self) -> Talk[None]:
        """Close, for who runs the talk."""
        self._closed = True
        self._rows = None
        stream, self._arriving = self._arriving, None
        if stream is not None and not self.connection.is_closed:
            yield from self.connection.conversation.leave(stream)

    def setinputsizes(self, sizes: Any) -> None:
        """Do nothing, as PEP 249 allows."""

    def setoutputsize(self, size: Any, column: Any = None) -> None:
        """Do nothing, as PEP 249 allows."""

    def close(self) -> None:
        """Let go of the rows; the server need not send those that are left."""
        if self._arriving is None:
            self._closed, self._rows = True, None
        else:
            self.connection.run(self.leaving())

    def __iter__(self) -> Iterator[m.Row]:
        return iter(self.fetchone, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self, sql: str) -> Conversation:
        if self._closed:
            raise ProgrammingError("the cursor is closed")
        connection = self.connection
        conversation = connection.conversation
        self._rows, self.description, self.rowcount = None, None, -1
        self._arriving = None
        self._sets = []
        begins = nature_of(sql).kind not in (Kind.BEGIN, Kind.COMMIT, Kind.ROLLBACK)
        if not connection.autocommit and not connection.in_transaction and begins:
            connection.begin()
        return conversation

    def _ahead(self, count: int) -> int:
        """Return how many rows to have here when ``count`` are asked for."""
        return max(count, FETCHED_ROWS if self._next >= len(self._rows or ()) else 0)

    def _results(self, count: int) -> list[m.Row]:
        """Return the rows that are here, ``count`` from the next on if there are."""
        if self._closed:
            raise ProgrammingError("the cursor is closed")
        self.connection.conversation  # noqa: B018 - refuses a closed connection
        if self._rows is None:
            raise ProgrammingError("the last statement gave no rows")
        if self._arriving is not None:
            self.connection.run(self.arriving(count))
        return self._rows


def _do_nothing() -> None:
    pass
