"""SQLite for asyncio: aiosqlite, which has a thread for each connection.

Owns how a connection is opened for a task that may be cancelled meanwhile, and how a
function gets to the driver's own connection, in the thread that has it. A task that is
cancelled while it waits for that thread gets no connection, and nobody closes the one
that comes: the file stays open until the collector finds it, after it was counted as
closed.

    task ──► thread opens ──► the connection
      └─ cancelled ──► waits for the thread all the same, closes, is cancelled then

Invariant: whoever has no connection from here has left none open, unless the event
loop itself is ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def open_in_thread(*where: Any, **options: Any) -> Any:
    """Return aiosqlite's connection, open.

    Args:
        where: What ``sqlite3.connect`` takes, as are the options.
        options: See there.

    Raises:
        CancelledError: Once the file is closed again; opening waits for no lock.
    """
    import aiosqlite

    connection: Any = aiosqlite.connect(*where, **options)
    # As SQLAlchemy has it: a thread that waits keeps no process alive. Before 0.22
    # the connection was that thread.
    getattr(connection, "_thread", connection).daemon = True
    opening: asyncio.Future[Any] = asyncio.ensure_future(connection)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        while not opening.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([opening])
        if opening.exception() is None:
            await connection.close()
        raise


def on_driver(dbapi_connection: Any, function: Callable[[sqlite3.Connection], T]) -> T:
    """Run ``function`` on the sqlite3 connection, in the thread that owns it."""
    if isinstance(dbapi_connection, sqlite3.Connection):
        return function(dbapi_connection)

    async def run(driver: Any) -> T:
        # aiosqlite: the connection lives in a thread of its own, and this is how
        # its own methods get there.
        return await driver._execute(function, driver._conn)

    return dbapi_connection.run_async(run)
