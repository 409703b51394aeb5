"""HTTP/1.1 as the driver needs it: a request, an answer, one deadline for both.

Owns the pool of sockets, how long an exchange may take, how large an answer may be,
and which of our errors a failure of the network is. It knows no Hrana.

    exchange()  whole answers: from the first byte sent to the last one read
    open()      answers in pieces: up to the headers; then so long for each row, and
                so long for all of them

Invariants: no call waits longer than it was told, whatever the server does; no more
than ``ANSWER_BYTES_MAX`` of a whole answer is held, also of one that was packed
small; redirects are not followed and no proxy of the environment is asked.
"""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn
from weakref import finalize

import httpcore2 as httpcore

from lockstep.engine.hrana.effects import Reply
from lockstep.engine.hrana.errors import ConnectionFailed, InterfaceError, TlsFailed
from lockstep.engine.hrana.sockets import Backend, Clock
from lockstep.version import __version__

CONNECTIONS_MAX = 100
"""Sockets that all connections to one server share, per process."""

IDLE_S = 5.0
"""How long an unused socket is kept; servers close theirs soon after that."""

ANSWER_BYTES_MAX = 256 * 1024 * 1024
"""Of a whole answer; libsql-server sends 10 MB unless it is told otherwise."""

_PIECE_BYTES_MAX = 1024 * 1024
"""How much of a packed answer is unpacked at once."""

_OK = 200
_FAILURES = (
    *(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError),
    *(httpcore.UnsupportedProtocol, OSError),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one waits.

    Attributes:
        connect_s: For a connection, and again for its TLS.
        call_s: For a whole exchange; of a streamed answer for its headers, and
            then for each of its rows.
        stream_s: For all that is waited for during a streamed answer.
    """

    connect_s: float
    call_s: float
    stream_s: float


class HttpClient:
    """Sockets to one server, and to those that it names. Thread safe."""

    def __init__(self, limits: Limits, *, uses_tls: bool) -> None:
        self._limits = limits
        self._clock = Clock()
        self._pool = httpcore.ConnectionPool(
            # Reading the certificates of the system takes as long as a hundred calls.
            ssl_context=ssl.create_default_context() if uses_tls else None,
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=IDLE_S,
            network_backend=Backend(self._clock),
        )

    def deadline_s(self) -> float:
        """Return when an exchange that begins now has to be at its end."""
        return time.monotonic() + self._limits.call_s

    def exchange(
        self, url: str, headers: dict[str, str], body: bytes | None, ends_s: float
    ) -> Reply:
        """Make a request and return its answer, whatever its status.

        Raises:
            ConnectionFailed: No whole answer came by ``ends_s``.
            TlsFailed: The server is not who it says.
            InterfaceError: The answer is too large, or packed in an unknown way.
        """
        with self._clock.until(ends_s), _as_ours():
            response = self._begin(url, headers, body, ends_s)
            try:
                return _reply(response)
            finally:
                response.close()

    def open(self, url: str, headers: dict[str, str], body: bytes) -> Reply | Arriving:
        """Make a request whose answer, if it is a good one, is read in pieces."""
        ends_s = self.deadline_s()
        with self._clock.until(ends_s), _as_ours():
            response = self._begin(url, headers, body, ends_s)
            if response.status == _OK:
                return Arriving(response, self._limits, self._clock)
            try:
                return _reply(response)
            finally:
                response.close()

    def close(self) -> None:
        """Close the sockets."""
        self._pool.close()

    def _begin(
        self, url: str, headers: dict[str, str], body: bytes | None, ends_s: float
    ) -> httpcore.Response:
        given = {
            "accept": "*/*",
            "accept-encoding": "gzip",
            "user-agent": f"lockstep/{__version__}",
            **headers,
        }
        if body is not None:
            given["content-length"] = str(len(body))
        waits = {
            "connect": self._limits.connect_s,
            "pool": max(ends_s - time.monotonic(), 0),
        }
        request = httpcore.Request(
            "GET" if body is None else "POST",
            url,
            headers=list(given.items()),
            content=body,
            extensions={"timeout": waits},
        )
        return self._pool.handle_request(request)


class Arriving:
    """An answer that is read piece by piece; its socket is free after the last."""

    def __init__(
        self, response: httpcore.Response, limits: Limits, clock: Clock
    ) -> None:
        self._response = response
        self._clock = clock
        self._row_s = self._row_left_s = limits.call_s
        self._left_s = limits.stream_s
        self._is_closed = False
        self._pieces = _unpacked(response)
        finalize(self, response.close).atexit = False

    def read(self, *, goes_on: bool = False) -> bytes:
        """Return the next bytes; none after the last.

        ``goes_on`` says that the last piece brought no row to its end, so that the
        time which the row may take goes on too. What passes between two calls is
        the caller's and is not counted.

        Raises:
            ConnectionFailed: The row, or the whole answer, took too long.
        """
        if self._is_closed:
            return b""
        if not goes_on:
            self._row_left_s = self._row_s
        began_s = time.monotonic()
        ends_s = began_s + min(self._row_left_s, self._left_s)
        try:
            with self._clock.until(ends_s), _as_ours():
                return next(self._pieces, b"")
        finally:
            waited_s = time.monotonic() - began_s
            self._row_left_s -= waited_s
            self._left_s -= waited_s

    def close(self) -> None:
        """Close the socket, unless the answer had come to its end."""
        self._is_closed = True
        with suppress(Exception):  # nobody waits for it any more
            self._response.close()


def _reply(response: httpcore.Response) -> Reply:
    wait = _header_of(response, b"retry-after")
    # A date is allowed too; servers of databases send seconds.
    wait_s = float(wait) if wait.isdecimal() and len(wait) < 10 else None
    return Reply(response.status, _whole(response), wait_s)


def _whole(response: httpcore.Response) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in _unpacked(response):
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            raise InterfaceError(
                f"the answer has more than {ANSWER_BYTES_MAX >> 20} MiB: ask for "
                "fewer rows, or read them as they arrive",
                disconnected=True,
            )
    return b"".join(pieces)


def _unpacked(response: httpcore.Response) -> Iterator[bytes]:
    """Yield the body in pieces that are not empty."""
    packing = _header_of(response, b"content-encoding").lower()
    pieces = filter(None, response.iter_stream())
    if packing in ("", "identity"):
        return pieces
    if packing == "gzip":
        return _inflated(pieces)
    raise InterfaceError("the answer is packed in a way that was not asked for")


def _header_of(response: httpcore.Response, wanted: bytes) -> str:
    found = [value for name, value in response.headers if name.lower() == wanted]
    return b",".join(found).decode("latin-1").strip()


def _inflated(pieces: Iterator[bytes]) -> Generator[bytes]:
    """Unpack gzip, never more than ``_PIECE_BYTES_MAX`` at once."""
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        for packed in pieces:
            rest = packed
            while rest:
                if piece := inflater.decompress(rest, _PIECE_BYTES_MAX):
                    yield piece
                rest = inflater.unconsumed_tail
    except zlib.error as error:
        raise ConnectionFailed(f"the answer cannot be unpacked: {error}") from error
    if not inflater.eof:
        raise ConnectionFailed("the server's answer ended in the middle")


@contextmanager
def _as_ours() -> Generator[None]:
    try:
        yield
    except _FAILURES as error:
        _raise_failed(error)


def _tls_error_in(error: BaseException) -> ssl.SSLError | None:
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, ssl.SSLError):
        inner = inner.__cause__ or inner.__context__
    return inner


def _raise_failed(error: Exception) -> NoReturn:
    timed_out = isinstance(error, httpcore.TimeoutException)
    refused = _tls_error_in(error)
    # Only these are certain to come before the first byte is sent.
    unsent = isinstance(
        error, httpcore.ConnectError | httpcore.ConnectTimeout | httpcore.PoolTimeout
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
