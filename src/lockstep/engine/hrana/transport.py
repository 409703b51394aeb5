"""Where the talks of the driver meet the network.

Owns the threads, the token, the addresses and what may be sent twice. Sockets and
deadlines are ``http_client``'s: a server that hangs is an error, never a wait
without end.

Invariants: the token is only sent to the server that was named; what goes to one
that is reached by TLS never goes on in clear; a request is sent again once, within
the deadline of the first try, and only if the caller says that it may be and that
one ended without an answer (a connection that the server had closed meanwhile).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from urllib.parse import SplitResult, quote, urlsplit
from weakref import finalize

from lockstep.engine.hrana.effects import (
    Call,
    Effect,
    Incoming,
    Leave,
    Open,
    Read,
    Reply,
    TakeTurn,
)
from lockstep.engine.hrana.errors import (
    ConnectionFailed,
    Error,
    InterfaceError,
    UnsafeRedirect,
)
from lockstep.engine.hrana.wire import farewell_to

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from lockstep.engine.hrana.http_client import HttpClient

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
_PATH_CHARACTERS = "/%:@!$&'()*+,;=~-._"

CONNECTIONS_MAX = 100
"""Calls to one server at a time, per process."""


class Turns(Protocol):
    """The queue in which the writers of one process wait."""

    def take(self, timeout_s: float) -> bool:
        """Wait for the turn; say whether it came in time."""
        ...

    async def take_async(self, timeout_s: float) -> bool:
        """Wait without holding up the event loop."""
        ...

    def give(self) -> None:
        """End the turn."""
        ...


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and how long one waits for it.

    Attributes:
        base_url: ``http`` or ``https``, with the path to the database, if any.
        auth_token: Sent as ``Authorization: Bearer``; None sends nothing. What can be
            called is asked for each request, for a token that expires.
        connect_timeout_s: For reaching the server.
        call_timeout_s: For one exchange, from connecting to the last byte of the
            answer; of a streamed answer for each row.
        turn_timeout_s: For the turn to write among the threads of this process.
        stream_timeout_s: For all waiting during one streamed answer.
    """

    base_url: str
    auth_token: str | Callable[[], str] | None = field(default=None, repr=False)
    connect_timeout_s: float = 10.0
    call_timeout_s: float = 30.0
    turn_timeout_s: float = 5.0
    stream_timeout_s: float = 3600.0

    def address_of(self, call: Call) -> str:
        """Return the URL that ``call`` goes to.

        Raises:
            UnsafeRedirect: The server redirects from TLS to clear text, or to what
                is no address of HTTP at all.
        """
        base = self._base_of(call)
        own_is_safe = self.base_url.startswith("https:")
        if base.scheme not in ("http", "https") or (
            own_is_safe and base.scheme != "https"
        ):
            raise UnsafeRedirect(
                "the server redirects to an address that is not as safe as its own",
                disconnected=True,
            )
        if _is_loopback_name(base):
            base = base._replace(netloc=f"{LOOPBACK}:{base.port or 80}")
        return f"{base.geturl().rstrip('/')}/{call.path}"

    def headers(self, call: Call) -> dict[str, str]:
        """Return the headers of ``call``: the token for the named server alone."""
        base = self._base_of(call)
        headers = {"host": base.netloc}
        if call.content_type:
            headers["content-type"] = call.content_type
        own = _split(self.base_url)
        is_own = (base.scheme, base.netloc) == (own.scheme, own.netloc)
        if self.auth_token and is_own:
            given = self.auth_token
            token = given if isinstance(given, str) else given()
            headers["authorization"] = f"Bearer {token}"
        return headers

    def _base_of(self, call: Call) -> SplitResult:
        try:
            return _split(call.base_url or self.base_url)
        except ValueError as error:
            what = "is no address"
            if call.base_url is not None:
                raise UnsafeRedirect(
                    f"where the server redirects to {what}", disconnected=True
                ) from error
            raise InterfaceError(f"the URL of the server {what}") from error


@lru_cache(maxsize=64)
def _split(url: str) -> SplitResult:
    """Take an address apart; one that HTTP cannot use is a ``ValueError``.

    Names with letters of all languages travel as IDNA; user and password do not.
    """
    if not url.isprintable() or " " in url:
        raise ValueError("an address holds a character that none has")
    base = urlsplit(url)
    host = (base.hostname or "").encode("idna").decode()
    if not host and base.scheme in ("http", "https"):
        raise ValueError("an address names no host")
    host = f"[{host}]" if ":" in host else host
    netloc = host if base.port is None else f"{host}:{base.port}"
    path = quote(base.path, safe=_PATH_CHARACTERS)
    return base._replace(netloc=netloc, path=path, query="", fragment="")


def _is_loopback_name(base: SplitResult) -> bool:
    """Say whether the host is ``something.localhost``.

    Such names are this machine by RFC 6761, and are how libsql-server is told one
    of several databases, but not every system's resolver knows them.
    """
    return base.scheme == "http" and (base.hostname or "").endswith(".localhost")


class Transport:
    """The calls of any number of connections to one server. Thread safe."""

    def __init__(self, server: Server, turns: Turns | None = None) -> None:
        self.server = server
        self.turns = turns
        self._lock = threading.Lock()
        # A list, so that the sockets of a transport that is only dropped close.
        self._clients: list[HttpClient] = []
        self._workers: ThreadPoolExecutor | None = None
        finalize(self, _close_all, self._clients).atexit = False

    def run(self, talk: Generator[Effect, Any, T]) -> T:
        """Do what ``talk`` asks for until it returns."""
        try:
            effect = next(talk)
            while True:
                try:
                    answer = self._perform(effect)
                except BaseException as error:  # the talk decides what it means
                    effect = talk.throw(error)
                else:
                    effect = talk.send(answer)
        except StopIteration as done:
            return cast("T", done.value)

    async def run_async(self, talk: Generator[Effect, Any, T]) -> T:
        """Do the same without holding up the event loop.

        A call is made in a thread. One that is cancelled goes on there, and the
        stream that its answer names is closed.
        """
        try:
            effect = next(talk)
            while True:
                try:
                    answer = await self._perform_async(effect)
                except BaseException as error:  # the talk decides what it means
                    effect = talk.throw(error)
                else:
                    effect = talk.send(answer)
        except StopIteration as done:
            return cast("T", done.value)

    def send_off(self, call: Call | None) -> None:
        """Make ``call`` in another thread; nobody waits for its answer."""
        if call is not None:
            self._executor().submit(self._post_quietly, call)

    def give_turn(self) -> None:
        """Let the next writer of this process have its turn."""
        if self.turns is not None:
            self.turns.give()

    def close(self) -> None:
        """Close the sockets; the next call opens them again."""
        while True:  # the last calls of the threads may send others off
            with self._lock:
                workers, self._workers = self._workers, None
                if workers is None:
                    _close_all(self._clients)
                    return
            workers.shutdown(wait=True)

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, TakeTurn):
            turns = self.turns
            return turns is None or turns.take(self.server.turn_timeout_s)
        return self._do(effect)

    def _do(self, effect: Call | Open | Read | Leave) -> Any:
        if isinstance(effect, Call):
            return self._answer(effect)
        if isinstance(effect, Open):
            return self._begin_answer(effect.call)
        if isinstance(effect, Read):
            return effect.incoming.read(goes_on=effect.goes_on)
        return effect.incoming.close()

    async def _perform_async(self, effect: Effect) -> Any:
        if isinstance(effect, TakeTurn):
            turns = self.turns
            return turns is None or await turns.take_async(self.server.turn_timeout_s)
        answering = self._executor().submit(self._do, effect)
        try:
            return await asyncio.wrap_future(answering)
        except asyncio.CancelledError:
            answering.add_done_callback(partial(self._close_late, effect))
            raise

    def _answer(self, call: Call) -> Reply:
        client = self._open()
        ends_s = client.deadline_s()
        try:
            return self._post(client, call, ends_s)
        except ConnectionFailed as error:
            if not call.may_repeat or error.timed_out:
                raise
        return self._post(client, call, ends_s)

    def _post(self, client: HttpClient, call: Call, ends_s: float) -> Reply:
        url, headers = self.server.address_of(call), self.server.headers(call)
        return client.exchange(url, headers, call.body, ends_s)

    def _begin_answer(self, call: Call) -> Reply | Incoming:
        url, headers = self.server.address_of(call), self.server.headers(call)
        return self._open().open(url, headers, call.body or b"")

    def _close_late(self, effect: Effect, answering: Future[Any]) -> None:
        """Close the stream of an answer that nobody waits for any more."""
        found = None
        if not answering.cancelled():
            if answering.exception() is not None:
                return
            found = answering.result()
        if isinstance(effect, Call):
            self.send_off(farewell_to(effect, found))
        elif isinstance(effect, Read):
            effect.incoming.close()
        elif isinstance(effect, Open) and not isinstance(found, Reply | None):
            found.close()

    def _post_quietly(self, call: Call) -> None:
        # The server closes the stream by itself if this does not reach it.
        with suppress(Error):
            client = self._open()
            self._post(client, call, client.deadline_s())

    def _open(self) -> HttpClient:
        with self._lock:
            if not self._clients:
                # An extra; and nothing of it is needed before the first statement.
                from lockstep.engine.hrana.http_client import HttpClient, Limits

                server = self.server
                limits = Limits(
                    server.connect_timeout_s,
                    server.call_timeout_s,
                    server.stream_timeout_s,
                )
                tls = server.base_url.startswith("https:")
                self._clients.append(HttpClient(limits, uses_tls=tls))
            return self._clients[0]

    def _executor(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._workers is None:
                # Cannot be imported while the interpreter ends, and only event
                # loops need it.
                from concurrent.futures import ThreadPoolExecutor

                self._workers = ThreadPoolExecutor(
                    CONNECTIONS_MAX, thread_name_prefix="lockstep-hrana"
                )
            return self._workers


def _close_all(clients: list[HttpClient]) -> None:
    while clients:
        clients.pop().close()
