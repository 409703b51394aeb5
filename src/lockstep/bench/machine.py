"""What the machine itself can do: the disk's flush, a round trip, its kind.

Owns the limits that no library can beat, measured beside each result so that numbers of
two machines can be compared: a thousand commits a second are poor where a flush takes
50 µs, and more than the disk allows one by one where it takes 2 ms.
"""

from __future__ import annotations

import os
import platform
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from lockstep.bench.statistics import median, percentile
from lockstep.engine.sqlite_files import MOUNT_TABLE, mount_of, read_mounts
from lockstep.version import __version__

FLUSHES = 40
FLUSH_BYTES = 4096
WRITTEN_BYTES = 32 * 1024 * 1024
WRITTEN_PIECE_BYTES = 1024 * 1024
ROUND_TRIPS = 400
WARM_UP = 20
LOOPBACK_TIMEOUT_S = 10.0
PACKAGES = (
    *("sqlalchemy", "psycopg", "asyncpg", "aiosqlite", "django"),
    *("advanced-alchemy", "alembic", "duckdb", "adbc-driver-postgresql"),
)

# A process of its own: two threads of one would wait for the interpreter's lock.
_ECHO = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as peer:
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := peer.recv(64):
        peer.sendall(data)
"""


@dataclass(frozen=True, slots=True)
class Flush:
    """How long the disk takes to say "written"."""

    median_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class Machine:
    """What the numbers were measured on.

    Attributes:
        flush: Of 4 KiB appended to a file, in the folder that is measured in.
        loopback_s: Median of one byte to another process and back.
        load: Of the last minute: another program at work spoils the numbers.
    """

    system: str
    processor: str
    cores: int
    memory_bytes: int
    disk: str
    flush: Flush
    loopback_s: float
    load: float
    versions: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return asdict(self)


def look(folder: Path) -> Machine:
    """Measure and describe the machine; the disk is that of ``folder``."""
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cores=_cores(),
        memory_bytes=_memory_bytes(),
        disk=_disk(folder),
        flush=measure_flush(folder),
        loopback_s=measure_loopback(),
        load=os.getloadavg()[0],
        versions=_versions(),
    )


def measure_flush(folder: Path, times: int = FLUSHES) -> Flush:
    """Append some kilobytes and flush them, again and again, as a log does."""
    path = folder / "flush"
    block, taken = os.urandom(FLUSH_BYTES), list[float]()
    flush = getattr(os, "fdatasync", os.fsync)  # macOS has only the one
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(times):
                file.write(block)
                started = time.perf_counter()
                flush(file.fileno())
                taken.append(time.perf_counter() - started)
    finally:
        path.unlink(missing_ok=True)
    return Flush(median(taken), percentile(taken, 0.99))


def measure_writing(folder: Path, size: int = WRITTEN_BYTES) -> float:
    """Return the seconds in which ``size`` bytes, written in a row, are on the disk."""
    path = folder / "written"
    block = os.urandom(WRITTEN_PIECE_BYTES)
    flush = getattr(os, "fdatasync", os.fsync)  # macOS has only the one
    try:
        with path.open("wb", buffering=0) as file:
            started = time.perf_counter()
            for _ in range(size // WRITTEN_PIECE_BYTES):
                file.write(block)
            flush(file.fileno())
            return time.perf_counter() - started
    finally:
        path.unlink(missing_ok=True)


def measure_loopback(times: int = ROUND_TRIPS) -> float:
    """Return the median seconds of one byte to another process and back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LOOPBACK_TIMEOUT_S)
        port: int = listener.getsockname()[1]
        with subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-I", "-S", "-c", _ECHO, str(port)],
            stdin=subprocess.DEVNULL,
        ) as process:
            connection, _ = listener.accept()
            with connection:
                taken = _echoes(connection, times)
            process.wait(LOOPBACK_TIMEOUT_S)
    return median(taken)


def _echoes(connection: socket.socket, times: int) -> list[float]:
    connection.settimeout(LOOPBACK_TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    taken: list[float] = []
    for number in range(WARM_UP + times):
        started = time.perf_counter()
        connection.sendall(b"x")
        connection.recv(64)
        if number >= WARM_UP:
            taken.append(time.perf_counter() - started)
    return taken


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _disk(folder: Path) -> str:
    """Return file system and kind of disk: ``ext4 on an SSD``."""
    try:
        table = MOUNT_TABLE.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return "unknown"
    mount = mount_of(os.path.realpath(folder), read_mounts(table))
    filesystem = mount.filesystem if mount else "unknown"
    if filesystem in ("tmpfs", "ramfs"):
        return f"{filesystem}: memory, no disk; nothing here is durable"
    device = os.stat(folder).st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    for queue in (block / "queue", block / ".." / "queue"):
        try:
            rotates = (queue / "rotational").read_text(encoding="ascii").strip()
        except OSError:
            continue
        # Virtual disks often say that they rotate; nothing more can be known here.
        kind = "a rotating or virtual disk" if rotates == "1" else "an SSD"
        return f"{filesystem} on {kind}"
    return filesystem


def _versions() -> dict[str, str]:
    found = {
        "lockstep": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
