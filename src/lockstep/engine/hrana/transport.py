"""HTTP: the only place of the driver that does I/O.

Owns the clients, their deadlines, the token and what may be sent twice. Every call
has a deadline: a server that hangs is an error, never a wait without end.

Invariants: the token is only sent to the server that was named, and never in clear
where that one is reached by TLS; a request is sent again once, and only if the
caller says that it may be and the first try ended without an answer (a connection
that the server had closed meanwhile), never after a deadline.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar, cast
from urllib.parse import SplitResult, urlsplit
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
    TlsFailed,
    UnsafeRedirect,
)
from lockstep.engine.hrana.wire import farewell_to

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")

_OK = 200
LOOPBACK = "127.0.0.1"

CONNECTIONS_MAX = 100
"""Sockets that all connections to one server share, per process."""


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
        auth_token: Sent as ``Authorization: Bearer``; None sends nothing.
        connect_timeout_s: For reaching the server.
        call_timeout_s: For the answer to one call.
        turn_timeout_s: For the turn to write among the threads of this process.
    """

    base_url: str
    auth_token: str | None = field(default=None, repr=False)
    connect_timeout_s: float = 10.0
    call_timeout_s: float = 30.0
    turn_timeout_s: float = 5.0

    def address_of(self, call: Call) -> str:
        """Return the URL that ``call`` goes to.

        Raises:
            UnsafeRedirect: The server redirects from TLS to clear text, or to what
                is no HTTP at all.
        """
        base = urlsplit(call.base_url or self.base_url)
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
        """Return the headers of ``call``."""
        headers = {"content-type": call.content_type} if call.content_type else {}
        base = urlsplit(call.base_url or self.base_url)
        if _is_loopback_name(base):
            headers["host"] = base.netloc
        if self.auth_token:
            headers["authorization"] = f"Bearer {self.auth_token}"
        return headers


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
        self._clients: list[Any] = []
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
            return effect.incoming.read()
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
        try:
            return self._post(call)
        except ConnectionFailed as error:
            if not call.may_repeat or error.timed_out:
                raise
        return self._post(call)

    def _post(self, call: Call) -> Reply:
        import httpx2

        client = self._open()
        try:
            response = client.request(
                "GET" if call.body is None else "POST",
                self.server.address_of(call),
                content=call.body,
                headers=self.server.headers(call),
            )
        except (httpx2.TransportError, httpx2.DecodingError, OSError) as error:
            _raise_failed(error)
        return Reply(response.status_code, response.content)

    def _begin_answer(self, call: Call) -> Reply | Incoming:
        import httpx2

        client = self._open()
        request = client.build_request(
            "POST",
            self.server.address_of(call),
            content=call.body,
            headers=self.server.headers(call),
        )
        try:
            response = client.send(request, stream=True)
            if response.status_code == _OK:
                return _Arriving(response)
            try:
                return Reply(response.status_code, response.read())
            finally:
                response.close()
        except (httpx2.TransportError, httpx2.DecodingError, OSError) as error:
            _raise_failed(error)

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
        elif isinstance(found, _Arriving):
            found.close()

    def _post_quietly(self, call: Call) -> None:
        # The server closes the stream by itself if this does not reach it.
        with suppress(Error):
            self._post(call)

    def _open(self) -> Any:
        with self._lock:
            if not self._clients:
                import httpx2

                self._clients.append(httpx2.Client(**_arguments(self.server)))
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


class _Arriving:
    """An answer that is read piece by piece; its socket is free after the last."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._pieces: Iterator[bytes] = filter(None, response.iter_bytes())
        finalize(self, response.close).atexit = False

    def read(self) -> bytes:
        """Return the next bytes; none after the last."""
        import httpx2

        try:
            return next(self._pieces, b"")
        except (httpx2.TransportError, httpx2.DecodingError, OSError) as error:
            _raise_failed(error)
        except httpx2.StreamError:
            return b""  # it was closed

    def close(self) -> None:
        """Close the socket, unless the answer had come to its end."""
        with suppress(Exception):  # nobody waits for it any more
            self._response.close()


def _close_all(clients: list[Any]) -> None:
    while clients:
        clients.pop().close()


def _arguments(server: Server) -> dict[str, Any]:
    import httpx2

    tls = server.base_url.startswith("https:")
    return {
        "timeout": httpx2.Timeout(
            server.call_timeout_s, connect=server.connect_timeout_s
        ),
        "limits": httpx2.Limits(
            max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX
        ),
        # Reading the certificates of the system takes as long as a hundred calls.
        "verify": ssl.create_default_context() if tls else False,
        # A proxy of the environment is for the web, not for a database.
        "trust_env": False,
        "follow_redirects": False,
    }


def _tls_error_in(error: BaseException) -> ssl.SSLError | None:
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, ssl.SSLError):
        inner = inner.__cause__ or inner.__context__
    return inner


def _raise_failed(error: Exception) -> NoReturn:
    import httpx2

    timed_out = isinstance(error, httpx2.TimeoutException)
    refused = _tls_error_in(error)
    # Only these are certain to come before the first byte is sent.
    unsent = isinstance(
        error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout
    )
    # The variables of its frames hold the token, and crash reporters show them.
    inner: BaseException | None = error
    while inner is not None:
        inner.__traceback__ = None
        inner = inner.__cause__ or inner.__context__
    if refused is not None and unsent:
        raise TlsFailed(
            f"no safe connection to the libSQL server can be made ({refused})",
            is_untrusted=isinstance(refused, ssl.SSLCertVerificationError),
        ) from error
    what = "did not answer in time" if timed_out else "cannot be reached"
    raise ConnectionFailed(
        f"the libSQL server {what} ({type(error).__name__}: {error})",
        sent=not unsent,
        timed_out=timed_out,
    ) from error
