"""What keeps a read transaction on PostgreSQL from writing, raw SQL included.

Owns the cursors of every connection. ``BEGIN … READ ONLY`` alone leaves two ways
out for whoever has raw SQL: a text of several statements that ends the transaction
and goes on outside of it, and ``SET TRANSACTION READ WRITE`` before the first query.

    a text with ";"         goes by the extended protocol, in which the server itself
                            refuses more than one statement; no more round trips
    SET, RESET, BEGIN       are followed by SET TRANSACTION READ ONLY, which nothing
                            can take back; one round trip more
    any other text          goes as it always did, at no cost

What the server would have to parse is left to the server: nothing here reads SQL.

Not closed, because Python's own objects are in the caller's hands: libpq's
``pgconn``, a cursor of another class, ``pipeline()`` and ``stream()`` of psycopg, and
a connection whose ``read_only`` or ``autocommit`` is changed between transactions.
"""

from __future__ import annotations

from typing import Any

from psycopg import AsyncCursor, Cursor
from psycopg.pq import ExecStatus, TransactionStatus

_MAY_SWITCH = {"SET", "RESET", "BEGIN", "START TRANSACTION"}
"""How PostgreSQL names statements that can make a transaction one that writes."""

_STAY = b"SET TRANSACTION READ ONLY"
_HAS_ROWS = int(ExecStatus.TUPLES_OK)

# Both cursors have these from one class; called by name, because each of a hundred
# small reads pays for a search through the ancestors.
_plain: Any = Cursor
_execute_gen = _plain._execute_gen
_execute_send = _plain._execute_send


class _Guarded:
    """What both cursors do beside psycopg's own."""

    def _execute_gen(
        self,
        query: Any,
        params: Any = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> Any:
        yield from _execute_gen(self, query, params, prepare=prepare, binary=binary)
        cursor: Any = self
        result = cursor.pgresult
        if result is None or result.status == _HAS_ROWS:
            return
        connection = cursor._conn
        if (
            connection.read_only
            and cursor.statusmessage in _MAY_SWITCH
            and connection.pgconn.transaction_status == TransactionStatus.INTRANS
        ):
            yield from connection._exec_command(_STAY)

    def _execute_send(
        self, query: Any, *, force_extended: bool = False, binary: bool | None = None
    ) -> None:
        cursor: Any = self
        if b";" in query.query and cursor._conn.read_only:
            force_extended = True
        _execute_send(self, query, force_extended=force_extended, binary=binary)


class GuardedCursor(_Guarded, Cursor[Any]):
    """psycopg's cursor; on a connection that only reads, it only reads."""


class AsyncGuardedCursor(_Guarded, AsyncCursor[Any]):
    """The same for asyncio."""


def guard(driver: Any) -> None:
    """Let a connection make such cursors; ``driver`` may be SQLAlchemy's adapter."""
    connection = getattr(driver, "driver_connection", None) or driver
    is_async = issubclass(connection.cursor_factory, AsyncCursor)
    connection.cursor_factory = AsyncGuardedCursor if is_async else GuardedCursor
