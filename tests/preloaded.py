"""Run ``python -m MODULE`` or ``python -c PROGRAM`` without waiting for imports.

Most of what a command costs a test is the import of SQLAlchemy, Alembic and the
terminal's libraries. One process per test run imports them once and forks for each
command. The fork has a folder, an environment, arguments, streams and an exit of
its own, and nothing has run in it but imports.

    test ── words, folder, environment, streams ──> server ── fork ──> command
    test <── its process id, how it ended ───────── server <── wait ───┘

Tests about how a process starts (imports, terminals, signals) start real ones, and
so does ``run`` where a process would start differently: another program, other
options of the interpreter, other variables that it reads while it starts.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import types
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TextIO

import lockstep

DEADLINE_S = 120
MODULES = (
    *("alembic.autogenerate", "alembic.command", "alembic.config"),
    *("rich.columns", "rich.table", "rich_click.rich_help_rendering"),
    *("sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.pysqlite"),
)
# What the interpreter itself reads when it starts begins so.
STARTING = ("PYTHON", "LC_", "LANG", "LD_")

_NUMBER = struct.Struct("!i")
_one_at_a_time = threading.Lock()


def run(
    words: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a program until it ends, by a fork if it is Python's."""
    folder = str(cwd or Path.cwd())
    environment = dict(os.environ if env is None else env)
    if _starts_differently(words, environment):
        return subprocess.run(
            words,
            cwd=folder,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    request = json.dumps([words[1:], folder, environment]).encode() + b"\n"
    with _one_at_a_time, ThreadPoolExecutor(3) as pool:
        (their_in, in_), (out, their_out), (err, their_err) = (
            os.pipe() for _ in range(3)
        )
        pid = _send(request, their_in, their_out, their_err)
        pool.submit(_write, in_, stdin)
        said, complained = pool.submit(_read, out), pool.submit(_read, err)
        code = _wait(pid, words)
    return subprocess.CompletedProcess(words, code, said.result(), complained.result())


def _starts_differently(words: Sequence[str], environment: Mapping[str, str]) -> bool:
    if words[0] != sys.executable or words[1] not in ("-c", "-m"):
        return True
    here, there = (
        {name: value for name, value in variables.items() if name.startswith(STARTING)}
        for variables in (os.environ, environment)
    )
    return here != there


@functools.cache
def _server() -> socket.socket:
    """Start the process that imports; it ends when this one does."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
        )
    atexit.register(_stop, process, ours)
    return ours


def _stop(process: subprocess.Popen[bytes], server: socket.socket) -> None:
    server.close()
    process.wait(DEADLINE_S)


def _send(request: bytes, *streams: int) -> int:
    server = _server()
    server.settimeout(DEADLINE_S)
    sent = socket.send_fds(server, [request], streams)
    server.sendall(request[sent:])
    for stream in streams:
        os.close(stream)
    return _number()


def _wait(pid: int, words: Sequence[str]) -> int:
    try:
        return _number()
    except TimeoutError as error:
        os.kill(pid, signal.SIGKILL)
        _number()
        raise subprocess.TimeoutExpired(words, DEADLINE_S) from error


def _number() -> int:
    answer = _server().recv(_NUMBER.size, socket.MSG_WAITALL)
    assert answer, "the process that has imported everything is gone"
    return _NUMBER.unpack(answer)[0]


def _write(stream: int, text: str) -> None:
    with open(stream, "w") as file, contextlib.suppress(BrokenPipeError):
        file.write(text)


def _read(stream: int) -> str:
    with open(stream) as file:
        return file.read()


# The other side: the process that has imported, and its forks.


def _import() -> None:
    for name in MODULES:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(lockstep.__path__, "lockstep."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _become_a_command(test: socket.socket) -> list[str]:
    """Fork for each request; return in the fork, with the command's words."""
    while True:
        request, streams, _, _ = socket.recv_fds(test, 65536, 3)
        if not request:
            sys.exit()
        while not request.endswith(b"\n"):
            request += test.recv(65536)
        pid = os.fork()
        if pid == 0:
            test.close()
            words, folder, environment = json.loads(request)
            _dress(folder, environment, streams)
            return words
        for stream in streams:
            os.close(stream)
        test.sendall(_NUMBER.pack(pid))
        _, status = os.waitpid(pid, 0)
        test.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(status)))


def _dress(folder: str, environment: dict[str, str], streams: list[int]) -> None:
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.dup2(streams[number], number)
        os.close(streams[number])
        setattr(sys, name, _like(getattr(sys, name), number))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def _like(stream: TextIO, number: int) -> IO[Any]:
    """Make a standard stream anew: whether it can seek is asked only once."""
    return open(
        number,
        stream.mode,
        buffering=1 if stream.line_buffering else -1,
        encoding=stream.encoding,
        errors=stream.errors,
        closefd=False,
    )


def _command(way: str, what: str, *words: str) -> None:
    """Do what the interpreter does with ``-c`` and ``-m``."""
    if way == "-m":
        sys.argv[:] = [what, *words]
        sys.path[0] = os.getcwd()
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = ["-c", *words]
        sys.path[0] = ""
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)


if __name__ == "__main__":
    _import()
    gc.collect()
    gc.freeze()
    _command(*_become_a_command(socket.socket(fileno=os.dup(0))))
