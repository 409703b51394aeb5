"""What lies beside a SQLite file, and which formats are no application's database.

Owns looking at the names ``-wal``, ``-shm`` and ``-journal``; it opens none of them.
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


def _size(name: str) -> int | None:
    try:
        return os.stat(name).st_size
    except OSError:
        return None
