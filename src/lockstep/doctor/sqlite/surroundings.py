"""What lies beside a SQLite file, and what a file that is none seems to be.

Owns looking at the names ``-wal``, ``-shm`` and ``-journal`` and at the first bytes
of a file that SQLite refused.

Invariant: a file that may be a live database is never opened by anything but
SQLite. Closing a second descriptor of it would cancel the locks that this very
process holds. See https://sqlite.org/howtocorrupt.html (2.2)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

GEOPACKAGE, GEOPACKAGE_1_0, MBTILES = 0x47504B47, 0x47503130, 0x4D504258
INTERCHANGE_FORMATS = {
    GEOPACKAGE: "GeoPackage",
    GEOPACKAGE_1_0: "GeoPackage",
    MBTILES: "MBTiles",
}
"""Written once and handed around, by ``PRAGMA application_id``.

See https://sqlite.org/src/file?name=magic.txt
"""

_BEGINNINGS = {
    b"\x1f\x8b": "it looks like a gzip file",
    b"PK": "it looks like a zip file",
    b"PGDM": "it looks like a dump of pg_dump",
    b"\x89PNG": "it is a picture",
    b"BEGIN": "it is SQL text",
    b"PRAGMA": "it is SQL text",
    b"CREATE": "it is SQL text",
    b"-- ": "it is SQL text",
    b"version https://git-lfs": "it is a pointer of git LFS; fetch the file first",
    b"SQLite format 3\x00": "its first page is cut off or damaged",
}
_MANY_KINDS_OF_BYTES = 200


@dataclass(frozen=True, slots=True)
class Beside:
    """The sizes of the files beside a database; None for one that is not there."""

    wal_bytes: int | None
    shm_bytes: int | None
    journal_bytes: int | None

    @classmethod
    def of(cls, path: Path) -> Beside:
        """Look beside ``path``."""
        return cls(*(_size(f"{path}-{end}") for end in ("wal", "shm", "journal")))

    @property
    def left_behind(self) -> bool:
        """Whether a WAL with content lies there and nobody has the database open."""
        return bool(self.wal_bytes) and self.shm_bytes is None


def likely_content(path: Path) -> str:
    """Return what a file that SQLite refused seems to be."""
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        return "it is empty"
    if not start.strip(b"\0"):
        return "it holds zero bytes only, as after a power cut or a sparse copy"
    for beginning, what in _BEGINNINGS.items():
        if start.startswith(beginning):
            return what
    if len(set(start)) > _MANY_KINDS_OF_BYTES:
        return "it may be encrypted (SQLCipher and others) or compressed"
    return "it does not begin as SQLite files do"


def _size(name: str) -> int | None:
    try:
        return os.stat(name).st_size
    except OSError:
        return None
