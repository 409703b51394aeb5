"""The driver for asyncio, and the shape in which SQLAlchemy uses it.

Owns nothing of the protocol: the same conversations are run by another loop
(``Transport.run_async``), so that sync and async cannot differ.

    AsyncConnection ──await──► conversation      for programs
    AdaptedConnection ──await_only──► the same   inside of SQLAlchemy's greenlet
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from typing import Any, Self, TypeVar

from sqlalchemy.engine import AdaptedConnection as SqlalchemyAdapted
from sqlalchemy.util.concurrency import await_, in_greenlet

from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.binding import Parameters
from lockstep.engine.hrana.dbapi import FETCHED_ROWS, Connection, Cursor
from lockstep.engine.hrana.errors import ProgrammingError
from lockstep.engine.hrana.transport import Server, Transport
from lockstep.engine.hrana.wire import ServerFacts

T = TypeVar("T")


def connect(
    url: str,
    *,
    auth_token: str | Callable[[], str] | None = None,
    autocommit: bool = False,
    connect_timeout_s: float = 10.0,
    call_timeout_s: float = 30.0,
    stream_timeout_s: float = 3600.0,
) -> AsyncConnection:
    """Return a connection as ``dbapi.connect`` does, with methods to await."""
    server = Server(
        url,
        auth_token=auth_token,
        connect_timeout_s=connect_timeout_s,
        call_timeout_s=call_timeout_s,
        stream_timeout_s=stream_timeout_s,
    )
    transport = Transport(server)
    connection = AsyncConnection(transport, autocommit=autocommit)
    connection.when_closed = transport.close
    return connection


class AsyncConnection:
    """A connection of an event loop. One task at a time may use it."""

    def __init__(
        self,
        transport: Transport,
        *,
        autocommit: bool = False,
        facts: ServerFacts | None = None,
    ) -> None:
        self._transport = transport
        # The sync connection holds the state; only its talks are run here.
        self._sync = Connection(
            _refuse_to_block,
            autocommit=autocommit,
            facts=facts,
            give_turn=transport.give_turn,
        )
        self.when_closed: Callable[[], None] | None = None

    @property
    def in_transaction(self) -> bool:
        """A transaction is open, or was lost and not yet rolled back."""
        return self._sync.in_transaction

    def begin(self, mode: str = "DEFERRED", *, reads_only: bool = False) -> None:
        """Begin a transaction; the server hears of it with the first statement."""
        self._sync.begin(mode, reads_only=reads_only)

    async def execute(self, sql: str, parameters: Parameters = ()) -> AsyncCursor:
        """Run one statement; its rows are here when this returns."""
        cursor = self._sync.cursor()
        talk = cursor.executing(sql, parameters)
        await self._transport.run_async(talk)
        return AsyncCursor(cursor)

    async def stream(self, sql: str, parameters: Parameters = ()) -> StreamedCursor:
        """Run one reading statement; its rows are read as they arrive."""
        cursor = self._sync.cursor(stream=True)
        await self._transport.run_async(cursor.executing(sql, parameters))
        return StreamedCursor(cursor, self._transport)

    async def executemany(self, sql: str, rows: Iterable[Parameters]) -> AsyncCursor:
        """Run one statement per row, in batches of one round trip each."""
        cursor = self._sync.cursor()
        await self._transport.run_async(cursor.executing_many(sql, rows))
        return AsyncCursor(cursor)

    async def commit(self) -> None:
        """Keep the open transaction."""
        await self._transport.run_async(self._sync.conversation.commit())

    async def rollback(self) -> None:
        """Take the open transaction back."""
        await self._transport.run_async(self._sync.conversation.rollback())

    async def close(self) -> None:
        """Take an open transaction back, close the stream; may be called twice."""
        if not self._sync.is_closed:
            await self.rollback()
            self._sync.close()
            if self.when_closed is not None:
                self.when_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncCursor:
    """The rows of a statement, which are here already."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.description = cursor.description
        self.rowcount = cursor.rowcount
        self.lastrowid = cursor.lastrowid

    async def fetchone(self) -> m.Row | None:
        """Return the next row; None after the last."""
        return self._cursor.fetchone()

    async def fetchmany(self, size: int | None = None) -> list[m.Row]:
        """Return up to ``size`` rows."""
        return self._cursor.fetchmany(size)

    async def fetchall(self) -> list[m.Row]:
        """Return the rows that are left."""
        return self._cursor.fetchall()

    async def __aiter__(self) -> AsyncIterator[m.Row]:
        for row in self._cursor:
            yield row


class StreamedCursor(AsyncCursor):
    """Rows that are read as they arrive, in constant memory. Close it."""

    def __init__(self, cursor: Cursor, transport: Transport) -> None:
        super().__init__(cursor)
        self._transport = transport

    async def fetchone(self) -> m.Row | None:
        """Return the next row; None after the last."""
        await self._transport.run_async(self._cursor.arriving(1))
        return self._cursor.fetchone_here()

    async def fetchmany(self, size: int | None = None) -> list[m.Row]:
        """Return up to ``size`` rows."""
        wanted = self._cursor.arraysize if size is None else size
        await self._transport.run_async(self._cursor.arriving(wanted))
        return self._cursor.fetchmany_here(wanted)

    async def fetchall(self) -> list[m.Row]:
        """Return the rows that are left."""
        return await self.fetchmany(sys.maxsize)

    async def __aiter__(self) -> AsyncIterator[m.Row]:
        while rows := await self.fetchmany(FETCHED_ROWS):
            for row in rows:
                yield row

    async def close(self) -> None:
        """Want no more rows."""
        await self._transport.run_async(self._cursor.leaving())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AdaptedCursor(Cursor):
    """A cursor as SQLAlchemy's asyncio results handle it."""

    async def _async_soft_close(self) -> None:
        """Do nothing: the rows are here, or SQLAlchemy closes the cursor itself."""


class AdaptedConnection(Connection, SqlalchemyAdapted):
    """A connection that blocks in SQLAlchemy's greenlet and awaits outside of it."""

    def __init__(
        self, transport: Transport, *, autocommit: bool, facts: ServerFacts
    ) -> None:
        def run(talk: Generator[Any, Any, T]) -> T:
            return await_(transport.run_async(talk))

        super().__init__(
            run, autocommit=autocommit, facts=facts, give_turn=transport.give_turn
        )
        self.cursor_class = AdaptedCursor
        self._transport = transport
        self._connection: Any = self  # what SQLAlchemy shows as the driver's own

    @property
    def driver_connection(self) -> Any:
        """The connection itself: there is no other below it."""
        return self

    def terminate(self) -> None:
        """Close from where nothing can be awaited: a task that was cancelled."""
        if in_greenlet():
            self.close()
        elif not self.is_closed:
            self._transport.send_off(self.conversation.farewell())
            self.close_without_a_word()


def _refuse_to_block(talk: Generator[Any, Any, Any]) -> Any:
    talk.close()
    raise ProgrammingError("an async connection is used through its own methods")
