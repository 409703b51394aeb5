"""Which rows an earlier move noted as odd, asked for while its target is read back.

Owns the notes of one table, by the digests of their lines. Rows of equal lines are
interchangeable: of three, two of them odd, any two get the two notes.

Invariant: memory does not grow with the notes; they lie in a temporary file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Final

from lockstep.mover.blocks.encoding import OddRow

_CACHE_KIB: Final = 4_096


class OddNotes:
    """The notes of a table.

    Args:
        rows: What was noted.
    """

    def __init__(self, rows: Iterable[OddRow]) -> None:
        # Closed by whoever lets go of the read, which another thread may be.
        self._scratch = sqlite3.connect(
            "", isolation_level=None, check_same_thread=False
        )
        self._scratch.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._scratch.execute(
            "CREATE TABLE note (digest BLOB, number INTEGER, cells TEXT, "
            "PRIMARY KEY (digest, number)) WITHOUT ROWID"
        )
        self._scratch.execute("BEGIN")
        self._scratch.executemany(
            "INSERT INTO note VALUES (?, ?, ?)",
            ((odd.row, place, json.dumps(odd.cells)) for place, odd in enumerate(rows)),
        )

    def take(self, digest: bytes) -> OddRow | None:
        """Return a note that no row has got yet; None where there is none."""
        found = self._scratch.execute(
            "SELECT number, cells FROM note WHERE digest = ? LIMIT 1", (digest,)
        ).fetchone()
        if found is None:
            return None
        number, cells = found
        self._scratch.execute(
            "DELETE FROM note WHERE digest = ? AND number = ?", (digest, number)
        )
        return OddRow(digest, tuple((name, kind) for name, kind in json.loads(cells)))

    def close(self) -> None:
        """Let go of the temporary file."""
        self._scratch.close()
