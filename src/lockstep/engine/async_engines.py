"""Async engines: one per event loop, closed from anywhere.

Owns which async engine belongs to which loop. SQLAlchemy's async pool binds
itself to the loop it first waited in, so an engine that outlives its loop (every
``asyncio.run`` makes a new one) fails under load. Here each loop has its own, and
the engine of a loop that is closed is closed too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(slots=True)
class BoundEngine:
    """An engine, its read-only twin on the same pool, and the loop of both.

    The loop is None until one uses them.
    """

    engine: AsyncEngine
    reader: AsyncEngine
    loop: asyncio.AbstractEventLoop | None = None


class AsyncEngines:
    """The async engines of one ``Database``. Thread safe."""

    def __init__(self, create: Callable[[], BoundEngine]) -> None:
        self._create = create
        self._lock = threading.Lock()
        self._bound: list[BoundEngine] = []

    def current(self) -> BoundEngine:
        """Return the engines of the running loop.

        Outside a loop: those that the first loop to ask takes over.
        """
        loop = _running_loop()
        with self._lock:
            ended = [
                b for b in self._bound if b.loop is not None and b.loop.is_closed()
            ]
            for bound in ended:
                self._bound.remove(bound)
            found = self._find(loop)
        if ended:
            dispose_apart([bound.engine for bound in ended])
        return found

    def all(self) -> list[AsyncEngine]:
        """Return the engines that exist now."""
        with self._lock:
            return [bound.engine for bound in self._bound]

    def take_all(self) -> list[AsyncEngine]:
        """Return the engines and forget them; the caller closes them."""
        with self._lock:
            taken, self._bound = self._bound, []
        return [bound.engine for bound in taken]

    def _find(self, loop: asyncio.AbstractEventLoop | None) -> BoundEngine:
        for bound in self._bound:
            if bound.loop is loop:
                return bound
        for bound in self._bound:
            if bound.loop is None:
                bound.loop = loop
                return bound
        created = self._create()
        created.loop = loop
        self._bound.append(created)
        return created


def dispose_apart(engines: list[AsyncEngine]) -> None:
    """Close engines in a loop and a thread of their own, and wait for it.

    Works where no loop runs and where one does; only idle connections are
    closed, so nobody in another loop can be waiting on one.
    """

    async def dispose() -> None:
        for engine in engines:
            await engine.dispose()

    thread = threading.Thread(
        target=asyncio.run, args=(dispose(),), name="lockstep-close"
    )
    thread.start()
    thread.join()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
