"""A server of bytes: it answers each request with what it was told, as it was told.

No HTTP library: what is sent is a list of pieces with pauses between them, so that
an answer can be slow, cut, endless, packed or wrong in every way a socket allows.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


class RawServer:
    """Answers with ``script(number)``: pieces of bytes, and seconds to wait.

    Attributes:
        requests: Headers and body of each request, in the order they came.
        keeps_alive: Whether the connection stays open behind an answer.
    """

    def __init__(self, script: Any, *, reads: bool = True) -> None:
        self.requests: list[bytes] = []
        self.keeps_alive = True
        self._script = script
        self._reads = reads
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            connected, _ = self._listener.accept()
            thread = threading.Thread(target=self._serve, args=(connected,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connected: socket.socket) -> None:
        connected.settimeout(0.05)
        with connected, suppress(OSError):
            while not self._over.is_set():
                if self._reads and not self._read(connected):
                    return
                for piece in self._script(len(self.requests)):
                    if isinstance(piece, bytes):
                        connected.sendall(piece)
                    elif self._over.wait(piece):
                        return
                if not self.keeps_alive:
                    return

    def _read(self, connected: socket.socket) -> bool:
        received = b""
        while b"\r\n\r\n" not in received:
            if not (piece := self._receive(connected)):
                return False
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(body) < length:
            if not (piece := self._receive(connected)):
                return False
            body += piece
        self.requests.append(head + b"\r\n\r\n" + body)
        return True

    def _receive(self, connected: socket.socket) -> bytes:
        while not self._over.is_set():
            with suppress(TimeoutError):
                return connected.recv(65536)
        return b""


def answer(
    *results: dict[str, Any], baton: str | None = None, base_url: str | None = None
) -> bytes:
    """Return the body of a pipeline's answer."""
    told = [{"type": "ok", "response": result} for result in results]
    return json.dumps({"baton": baton, "base_url": base_url, "results": told}).encode()


def executed(*rows: Any) -> dict[str, Any]:
    """Return an ``execute`` response with one column of integers."""
    return {
        "type": "execute",
        "result": {
            "cols": [{"name": "n"}],
            "rows": [[{"type": "integer", "value": str(row)}] for row in rows],
            "affected_row_count": 0,
            "last_insert_rowid": None,
        },
    }


CLOSED = {"type": "close"}


def whole(body: bytes, *headers: bytes) -> bytes:
    """Return an answer with its length."""
    lines = [*headers, b"content-length: %d" % len(body)]
    return HEAD + b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a body in chunks, without its end."""
    yield HEAD + b"transfer-encoding: chunked\r\n\r\n"
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)


def dripping(text: bytes, every_s: float = 0.02) -> Iterator[bytes | float]:
    """Yield ``text`` one byte at a time."""
    for position in range(len(text)):
        yield text[position : position + 1]
        yield every_s


def for_ever(piece: bytes, every_s: float = 0.0) -> Iterator[bytes | float]:
    """Yield ``piece`` without end, for a minute at most."""
    ends_s = time.monotonic() + 60
    while time.monotonic() < ends_s:
        yield piece
        yield every_s
