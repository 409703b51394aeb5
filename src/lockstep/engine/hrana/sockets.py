"""Sockets that keep a deadline: one instant by which a whole exchange has ended.

Owns the clock. HTTP libraries give each read and each write a time of its own, which
a server that sends one byte now and then extends for ever; here every operation on
a socket (to connect, to shake hands, to write, to read) has what is left until the
deadline of the thread that does it.

    with clock.until(ends_s): pool.handle_request(…) ──► Backend ──► Stream ──► socket

Invariant: nothing that begins inside of ``until`` waits on the network longer than
until then. Looking a name up is the system's own and keeps its own limits.
"""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import httpcore2 as httpcore

_PIECE_BYTES = 256 * 1024


class Clock(threading.local):
    """When the exchange of the thread that asks has to be at its end.

    ``time.monotonic()`` is meant; a thread that was told nothing has no end.
    """

    ends_s = math.inf

    @contextmanager
    def until(self, ends_s: float) -> Generator[None]:
        """Let what this thread does on sockets end by ``ends_s``."""
        self.ends_s = ends_s
        try:
            yield
        finally:
            self.ends_s = math.inf

    def left_s(self, at_most_s: float | None = None) -> float | None:
        """Return how long an operation may take; None without any limit.

        Zero or less is no time at all: the caller raises its own timeout.
        """
        left_s = self.ends_s - time.monotonic()
        if at_most_s is not None:
            left_s = min(left_s, at_most_s)
        return None if left_s == math.inf else left_s


class Stream(httpcore.NetworkStream):
    """A socket whose every operation ends by the deadline of its thread."""

    def __init__(self, inner: httpcore.NetworkStream, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has arrived, ``max_bytes`` at most; none after the last."""
        left_s = self._clock.left_s(timeout)
        if left_s is not None and left_s <= 0:
            raise httpcore.ReadTimeout("the time is over")
        return self._inner.read(max_bytes, left_s)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of ``buffer``, however slowly the other side takes it in."""
        view = memoryview(buffer)
        raw: socket.socket = self._inner.get_extra_info("socket")
        while view:
            left_s = self._clock.left_s(timeout)
            if left_s is not None and left_s <= 0:
                raise httpcore.WriteTimeout("the time is over")
            try:
                raw.settimeout(left_s)
                sent = raw.send(view[:_PIECE_BYTES])
            except TimeoutError as error:
                raise httpcore.WriteTimeout(str(error)) from error
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error
            view = view[sent:]

    def close(self) -> None:
        """Close the socket; waits for nothing."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Shake hands; the socket is closed when that fails."""
        left_s = self._clock.left_s(timeout)
        if left_s is not None and left_s <= 0:
            self.close()
            raise httpcore.ConnectTimeout("the time is over")
        safe = self._inner.start_tls(ssl_context, server_hostname, left_s)
        return Stream(safe, self._clock)

    def get_extra_info(self, info: str) -> Any:
        """Return what the socket knows; see httpcore."""
        return self._inner.get_extra_info(info)


class Backend(httpcore.NetworkBackend):
    """Makes such sockets. Thread safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of the name's addresses that answers.

        ``timeout`` is for all of them, where the stdlib gives it to each.
        """
        left_s = self._clock.left_s(timeout)
        ends_s = math.inf if left_s is None else time.monotonic() + left_s
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        refused: Exception = httpcore.ConnectError("the name has no address")
        for *_, address in found:
            left_s = ends_s - time.monotonic()
            if left_s <= 0:
                raise httpcore.ConnectTimeout("the time is over")
            try:
                inner = self._inner.connect_tcp(
                    str(address[0]),
                    port,
                    timeout=None if left_s == math.inf else left_s,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except httpcore.ConnectError as error:
                refused = error
            else:
                return Stream(inner, self._clock)
        raise refused
