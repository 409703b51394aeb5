"""A proxy between a client and a server that cuts the connection at a byte."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Literal

Way = Literal["request", "answer"]

_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: a reset, nothing more is delivered


class CuttingProxy:
    """Passes bytes on, up to the one where it is told to cut, once.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        passed: How many bytes went each way since it was last told something.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.pass_all()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def pass_all(self) -> None:
        """Cut nothing from now on."""
        with self._lock:
            self.passed: dict[Way, int] = {"request": 0, "answer": 0}
            self._left: dict[Way, int] = {}

    def cut_after(self, count: int, way: Way, *, resets: bool) -> None:
        """Cut the connection on which the ``count``-th byte from now on goes."""
        self.pass_all()
        with self._lock:
            self._left[way] = count
            self._resets = resets

    def close(self) -> None:
        """Stop; connections end with their other side."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            for args in ((client, server, "request"), (server, client, "answer")):
                thread = threading.Thread(target=self._pass_on, args=args)
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket, way: Way) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                allowed, is_cut = self._allowed(len(piece), way)
                target.sendall(piece[:allowed])
                if is_cut:
                    self._cut(source, target)
                    break
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if way == "answer":
            source.close()
            target.close()

    def _allowed(self, size: int, way: Way) -> tuple[int, bool]:
        with self._lock:
            self.passed[way] += size
            left = self._left.get(way)
            if left is None:
                return size, False
            if size < left:
                self._left[way] = left - size
                return size, False
            self._left.clear()
            return left, True

    def _cut(self, source: socket.socket, target: socket.socket) -> None:
        if self._resets:
            for end in (source, target):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
