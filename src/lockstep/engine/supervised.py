"""A server that a supervisor runs for this process and that ends with it.

Owns starting the supervisor, talking to it and ending it. Which server that is, is
told by ``embedded.py`` (PostgreSQL) and ``embedded_libsql.py``.

Invariant: the server ends with its creator, also by kill -9, and nothing of it is
left on disk.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from lockstep.errors import EngineError

START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 30

_SUPERVISOR = Path(__file__).with_name("supervisor.py")


class SupervisedServer(ABC):
    """A throw-away server of this process.

    ``start`` and ``stop`` may be called from any thread, more than once. A
    forked child must not stop the server of its parent, and does not.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._creator_pid = 0
        self._lock = threading.Lock()

    @abstractmethod
    def request(self) -> dict[str, Any]:
        """Return what the supervisor must know to start it."""

    @abstractmethod
    def accept(self, answer: dict[str, Any]) -> None:
        """Keep what the supervisor said of the running server."""

    @property
    def is_running(self) -> bool:
        """It was started and not stopped."""
        return self._process is not None

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
        request = self.request()
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [sys.executable, "-I", "-S", str(_SUPERVISOR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._process, self._creator_pid = process, os.getpid()
        atexit.register(self.stop)
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
                f"the embedded {self.name} did not start: {answer['error']}",
                detail={"kind": request["kind"]},
            )
        self.accept(answer)

    def _abandon(self, process: subprocess.Popen[str]) -> None:
        self._process = None
        atexit.unregister(self.stop)
        process.communicate(timeout=STOP_TIMEOUT_S)


def writable_base() -> Path:
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
