"""A private libsql-server: started in a moment, nothing left behind.

Owns the life of one throw-away server for tests, scratch databases and trying
things out, and the databases (the server calls them namespaces) on it.

Invariants: no fixed port; the server ends with its creator, also by kill -9; it
listens on the loopback only.

``python -m lockstep.engine.embedded_libsql`` starts one and prints its URL.
"""

from __future__ import annotations

import http.client
import threading
from typing import Any, ClassVar
from urllib.parse import urlsplit

from lockstep.engine.sqld_binary import find_sqld
from lockstep.engine.supervised import SupervisedServer, writable_base
from lockstep.errors import EngineError

ADMIN_TIMEOUT_S = 30


class EmbeddedLibsql(SupervisedServer):
    """A throw-away libsql-server of this process.

    Args:
        arguments: More of the server's own command line, for instance
            ``--auth-jwt-key-file``.

    Example:
        >>> with EmbeddedLibsql() as server:  # doctest: +SKIP
        ...     Database(server.create("shop"))
    """

    name: ClassVar[str] = "libsql-server"

    def __init__(self, *arguments: str) -> None:
        super().__init__()
        self._arguments = arguments
        self.port = 0
        self.admin_port = 0
        self.pid = 0

    @property
    def url(self) -> str:
        """The URL of the database that is always there."""
        assert self.is_running, "the server is not running"
        return f"http://localhost:{self.port}"

    def url_of(self, database: str) -> str:
        """Return the URL of ``database`` on this server (it need not exist)."""
        assert self.is_running, "the server is not running"
        return f"http://{database}.localhost:{self.port}"

    def create(self, database: str) -> str:
        """Make an empty database; return its URL.

        Raises:
            EngineError: There is one of this name, or the server refuses it.
        """
        self._administer("POST", f"/v1/namespaces/{database}/create", b"{}")
        return self.url_of(database)

    def fork(self, source: str, target: str) -> str:
        """Make ``target`` with everything that is in ``source``; return its URL."""
        self._administer("POST", f"/v1/namespaces/{source}/fork/{target}", b"{}")
        return self.url_of(target)

    def drop(self, database: str) -> None:
        """Remove a database with everything in it."""
        self._administer("DELETE", f"/v1/namespaces/{database}", None)

    @staticmethod
    def name_in(url: str) -> str:
        """Return which database of its server a URL names."""
        host = urlsplit(url).hostname or ""
        return host.partition(".")[0]

    def request(self) -> dict[str, Any]:
        """Return what the supervisor must know to start it."""
        return {
            "kind": "libsql",
            "base": str(writable_base()),
            "binary": str(find_sqld()),
            "arguments": list(self._arguments),
        }

    def accept(self, answer: dict[str, Any]) -> None:
        """Keep what the supervisor said of the running server."""
        self.port, self.admin_port = answer["port"], answer["admin_port"]
        self.pid = answer["pid"]

    def _administer(self, method: str, path: str, body: bytes | None) -> None:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.admin_port, timeout=ADMIN_TIMEOUT_S
        )
        try:
            headers = {"content-type": "application/json"} if body else {}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            said = response.read().decode(errors="replace")
        except OSError as error:
            raise EngineError(f"libsql-server does not answer: {error}") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise EngineError(f"libsql-server refuses {method} {path}: {said[:500]}")


def main() -> None:
    """Start a server, print its URL, end with Ctrl-C or the end of stdin."""
    with EmbeddedLibsql() as server:
        print(server.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
