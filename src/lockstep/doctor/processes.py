"""Which processes have a file open, and with which SQLite libraries.

Owns reading Linux's /proc. Elsewhere, and for processes of other users, there is
nothing to see, and the answer is empty.

Invariant: it looks at names of files and mapped libraries only, never into memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
PROCESSES_MAX = 20_000

_LIBRARIES = (
    ("the system's libsqlite3", re.compile(r"/libsqlite3\.so[.\d]*$")),
    ("apsw", re.compile(r"/apsw/.*\.so$|/apsw[^/]*\.so$")),
    ("libsql", re.compile(r"/libsql[^/]*/.*\.so$|/libsql[^/]*\.(so|node)$")),
    ("pysqlite3", re.compile(r"/pysqlite3/.*\.so$")),
    ("sqlcipher", re.compile(r"/sqlcipher3/.*\.so$|/libsqlcipher\.so[.\d]*$")),
    ("turso", re.compile(r"/(turso|pyturso|limbo)/.*\.so$")),
    ("better-sqlite3", re.compile(r"/better_sqlite3\.node$")),
    ("node-sqlite3", re.compile(r"/node_sqlite3\.node$")),
)
_STDLIB = re.compile(r"/_sqlite3[^/]*\.so$")
_SYSTEM = "the system's libsqlite3"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has the file open.

    Attributes:
        pid: Its number.
        program: The name of its program.
        libraries: The SQLite libraries that it has loaded.
    """

    pid: int
    program: str
    libraries: tuple[str, ...]


def holders_of(path: Path, *, proc: Path = PROC) -> list[Holder]:
    """Return the processes that have ``path`` open, this one excepted."""
    try:
        file = path.stat()
    except OSError:
        return []
    found: list[Holder] = []
    for entry in _processes(proc):
        if int(entry.name) != os.getpid() and _has_open(entry, file):
            libraries = libraries_in(_read(entry / "maps"))
            program = _read(entry / "comm").strip()
            found.append(Holder(int(entry.name), program, libraries))
    return found


def libraries_in(maps: str) -> tuple[str, ...]:
    """Return the SQLite libraries named in the text of ``/proc/PID/maps``."""
    files = {
        line.split(maxsplit=5)[5].strip()
        for line in maps.splitlines()
        if len(line.split(maxsplit=5)) == 6
    }
    found = {
        name
        for name, pattern in _LIBRARIES
        if any(pattern.search(file) for file in files)
    }
    if _SYSTEM not in found and any(_STDLIB.search(file) for file in files):
        # A Python whose sqlite3 module carries the library within itself.
        found.add("Python's own sqlite3")
    return tuple(sorted(found))


def _processes(proc: Path) -> Iterator[Path]:
    try:
        names = [name for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return
    for name in names[:PROCESSES_MAX]:
        yield proc / name


def _has_open(process: Path, file: os.stat_result) -> bool:
    folder = process / "fd"
    try:
        names = os.listdir(folder)
    except OSError:  # gone, or somebody else's
        return False
    for name in names:
        try:
            status = os.stat(folder / name)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) == (file.st_dev, file.st_ino):
            return True
    return False


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
