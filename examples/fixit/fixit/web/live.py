"""Server-sent events: open pages hear that something changed, and load it again.

Owns one poller for the whole process, which runs only while somebody listens, and a
bounded queue for each listener. The database is the broker: events of another process
on the same database arrive too. No connection or transaction is held between polls.

    database ──poll──► LiveFeed ──► queue of each listener ──► text/event-stream

An event says what kind of thing changed, never its content: the page asks for that,
and is shown what its user may see. Who falls too far behind is told to load again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from fixit.permissions import Identity
from fixit.services import events
from fixit.web.errors import SignInFirst
from fixit.web.forms import BadForm, query
from fixit.web.session import signed_in
from lockstep import Database
from lockstep.errors import LockstepError

log = logging.getLogger("fixit")

POLL_S = 0.5
KEEP_ALIVE_S = 15.0
CHECK_S = 60.0
QUEUE_MAX = 100
LISTENERS_MAX = 2000
LISTENERS_OF_ONE_MAX = 20

EVERYTHING = "*"
_NEEDS = {
    "work_order": ("work_orders:view", "work_orders:report"),
    "stock": ("stock:view",),
    "equipment": ("equipment:view",),
    "user": ("users:manage",),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One event as listeners get it."""

    number: int
    topic: str
    subject: uuid.UUID | None

    def encode(self) -> bytes:
        """Return it as a block of the stream."""
        data: dict[str, str] = {"topic": self.topic}
        if self.subject is not None:
            data["id"] = str(self.subject)
        return f"id: {self.number}\ndata: {json.dumps(data)}\n\n".encode()


class Listener:
    """One open page."""

    def __init__(self, who: Identity, seen: int, is_known: Callable[[], bool]) -> None:
        self.user_id = who.user_id
        self._may = {
            topic for topic, needs in _NEEDS.items() if any(who.may(n) for n in needs)
        }
        self._seen = seen
        self._is_known = is_known
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue(QUEUE_MAX)

    def offer(self, change: Change) -> None:
        """Hand it a change; a page that does not read is let go, and comes back."""
        if change.topic in self._may or change.topic == EVERYTHING:
            try:
                self._queue.put_nowait(change)
            except asyncio.QueueFull:
                self.end()

    def end(self) -> None:
        """End the stream after what is being sent."""
        with contextlib.suppress(asyncio.QueueEmpty):
            while self._queue.full():
                self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def blocks(self) -> AsyncGenerator[bytes]:
        """Yield the stream until it ends, or the user is signed out."""
        loop = asyncio.get_running_loop()
        check_at = loop.time() + CHECK_S
        yield b"retry: 2000\n: hello\n\n"
        while True:
            if loop.time() >= check_at:
                check_at = loop.time() + CHECK_S
                if not await run_in_threadpool(self._is_known):
                    return
            try:
                change = await asyncio.wait_for(self._queue.get(), KEEP_ALIVE_S)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if change is None:
                return
            # What came while the listener joined can be in the queue twice.
            if change.number > self._seen or change.topic == EVERYTHING:
                self._seen = change.number
                yield change.encode()


class LiveFeed:
    """Polls for events while somebody listens, and hands them to every listener."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._listeners: list[Listener] = []
        self._poller: asyncio.Task[None] | None = None
        self._marker = 0
        self._starting = asyncio.Lock()
        self._closed = False

    def close(self) -> None:
        """End every stream and take no new one; call it in the event loop."""
        self._closed = True
        for listener in self._listeners:
            listener.end()
        if self._poller is not None:
            self._poller.cancel()

    async def join(
        self, who: Identity, since: int | None, is_known: Callable[[], bool]
    ) -> Listener:
        """Add a listener.

        Args:
            who: Whose page it is.
            since: The last event the page has seen; None starts now.
            is_known: Whether the page's user is still signed in; asked in a thread.

        Raises:
            HTTPException: 503, there are too many, or the server is about to end.
            LockstepError: The database does not answer.
        """
        if self._closed or len(self._listeners) >= LISTENERS_MAX:
            raise HTTPException(503)
        own = [each for each in self._listeners if each.user_id == who.user_id]
        if len(own) >= LISTENERS_OF_ONE_MAX:
            own[0].end()
            self._listeners.remove(own[0])
        listener = Listener(who, since or 0, is_known)
        self._listeners.append(listener)
        try:
            await self._start()
            if since is not None:
                for change in await run_in_threadpool(self._missed, since):
                    listener.offer(change)
        except BaseException:
            self.leave(listener)
            raise
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener; the poller ends with the last one."""
        with contextlib.suppress(ValueError):
            self._listeners.remove(listener)
        if not self._listeners and self._poller is not None:
            self._poller.cancel()
            self._poller = None

    async def _start(self) -> None:
        async with self._starting:
            if self._poller is None:
                self._marker = await run_in_threadpool(self._latest)
                self._poller = asyncio.create_task(self._poll())

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                found = await run_in_threadpool(self._since, self._marker)
            except LockstepError as error:
                # The next poll asks again from the same marker: nothing is missed.
                log.warning("live updates wait: %s", error)
                continue
            for change in found:
                self._marker = change.number
                for listener in list(self._listeners):
                    listener.offer(change)

    def _latest(self) -> int:
        with self._db.read_session() as session:
            return events.latest_event_marker(session)

    def _missed(self, since: int) -> list[Change]:
        """What a page missed, or one word for all of it when that is too much."""
        with self._db.read_session() as session:
            latest = events.latest_event_marker(session)
        found = self._since(since) if since <= latest else []
        if since > latest or len(found) >= QUEUE_MAX:
            # After a restore the numbers begin again, below what the page has seen.
            return [Change(latest, EVERYTHING, None)]
        return found

    def _since(self, marker: int) -> list[Change]:
        with self._db.read_session() as session:
            return [
                Change(event.sequence, event.topic, event.subject_id)
                for event in events.events_since(session, marker)
            ]


class EventStream:
    """The response to one listener (ASGI), from its first byte to its last."""

    def __init__(self, feed: LiveFeed, listener: Listener) -> None:
        self._feed = feed
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_disconnected(receive))
        gone.add_done_callback(lambda _: self._listener.end())
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        try:
            start = {"type": "http.response.start", "status": 200, "headers": headers}
            await send(start)
            async with contextlib.aclosing(self._listener.blocks()) as blocks:
                async for block in blocks:
                    await _send(send, block, more=True)
            await _send(send, b"", more=False)
        except OSError:
            # The browser went while something was sent to it; it comes back.
            log.debug("a live page went away")
        finally:
            gone.cancel()
            self._feed.leave(self._listener)


async def _send(send: Send, block: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": block, "more_body": more})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def stream(request: Request) -> EventStream:
    """Open the stream; whoever comes back says what came last."""
    who = await run_in_threadpool(signed_in, request)
    last = request.headers.get("last-event-id") or query(request, "since")
    if last and not (last.isascii() and last.isdigit() and len(last) < 19):
        raise BadForm("The last event is a number.")

    def is_known() -> bool:
        try:
            signed_in(request)
        except SignInFirst:
            return False
        except LockstepError:
            # The database is away for a moment; that signs nobody out.
            return True
        return True

    feed: LiveFeed = request.app.state.live
    return EventStream(
        feed, await feed.join(who, int(last) if last else None, is_known)
    )


routes: list[BaseRoute] = [Route("/events", stream, methods=["GET"])]
