"""Server-sent events: open pages hear that something changed, and load it again.

Owns one poller for the whole process, which runs only while somebody listens, and a
bounded queue for each listener. The database is the broker: events of another process
on the same database arrive too. No connection or transaction is held between polls.

    database ──poll──► LiveFeed ──► queue of each listener ──► text/event-stream

An event says what kind of thing changed, never its content: the page asks for that,
and is shown what its user may see.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from fixit.services import events
from fixit.web.session import signed_in
from lockstep import Database
from lockstep.errors import LockstepError

log = logging.getLogger("fixit")

POLL_S = 0.5
KEEP_ALIVE_S = 15.0
QUEUE_MAX = 100
LISTENERS_MAX = 2000


class LiveFeed:
    """Polls for events while somebody listens, and hands them to every listener."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._queues: set[asyncio.Queue[tuple[int, str] | None]] = set()
        self._poller: asyncio.Task[None] | None = None
        self._marker = 0
        self._starting = asyncio.Lock()
        self._closed = False

    def close(self) -> None:
        """End every stream and take no new one; call it in the event loop."""
        self._closed = True
        for queue in list(self._queues):
            self._end(queue)
        if self._poller is not None:
            self._poller.cancel()

    async def listen(self, since: int | None) -> AsyncIterator[bytes]:
        """Yield the stream of one listener.

        Args:
            since: The last event the listener has seen; None starts now.
        """
        if self._closed or len(self._queues) >= LISTENERS_MAX:
            return
        queue: asyncio.Queue[tuple[int, str] | None] = asyncio.Queue(QUEUE_MAX)
        await self._start()
        self._queues.add(queue)
        try:
            yield b"retry: 2000\n: hello\n\n"
            seen = since or 0
            if since is not None:
                for number, data in await run_in_threadpool(self._since, since):
                    seen = number
                    yield _event(number, data)
            while True:
                try:
                    item = await asyncio.wait_for(queue.get(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if item is None:
                    return
                if item[0] > seen:
                    yield _event(*item)
        finally:
            self._queues.discard(queue)
            if not self._queues and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def _start(self) -> None:
        async with self._starting:
            if self._poller is None:
                self._marker = await run_in_threadpool(self._latest)
                self._poller = asyncio.get_running_loop().create_task(self._poll())

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                found = await run_in_threadpool(self._since, self._marker)
            except LockstepError as error:
                # The next poll asks again from the same marker: nothing is missed.
                log.warning("live updates wait: %s", error)
                continue
            for number, data in found:
                self._marker = number
                for queue in list(self._queues):
                    self._hand_out(queue, (number, data))

    def _hand_out(self, queue: asyncio.Queue[Any], item: tuple[int, str]) -> None:
        try:
            queue.put_nowait(item)
        except asyncio.QueueFull:
            # A page that does not read is let go; it comes back where it was.
            self._end(queue)

    def _end(self, queue: asyncio.Queue[Any]) -> None:
        self._queues.discard(queue)
        with contextlib.suppress(asyncio.QueueEmpty):
            while queue.full():
                queue.get_nowait()
        queue.put_nowait(None)

    def _latest(self) -> int:
        with self._db.read_session() as session:
            return events.latest_event_marker(session)

    def _since(self, marker: int) -> list[tuple[int, str]]:
        with self._db.read_session() as session:
            return [
                (event.sequence, json.dumps({"topic": event.topic}))
                for event in events.events_since(session, marker)
            ]


def _event(number: int, data: str) -> bytes:
    return f"id: {number}\ndata: {data}\n\n".encode()


async def stream(request: Request) -> Response:
    """Open the stream; whoever comes back says what came last."""
    await run_in_threadpool(signed_in, request)
    last = request.headers.get("last-event-id", "")
    since = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else None
    feed: LiveFeed = request.app.state.live
    return StreamingResponse(
        feed.listen(since),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


routes: list[BaseRoute] = [Route("/events", stream, methods=["GET"])]
