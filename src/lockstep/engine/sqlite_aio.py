"""Open a SQLite connection for a task that may be cancelled meanwhile.

aiosqlite opens it in a thread. A task that is cancelled while it waits for that thread
gets no connection, and nobody closes the one that comes: the file stays open until
the collector finds it, after it was counted as closed.

    task ──► thread opens ──► the connection
      └─ cancelled ──► waits for the thread all the same, closes, is cancelled then

Invariant: whoever has no connection from here has left none open, unless the event
loop itself is ending.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


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
