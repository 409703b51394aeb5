"""Which rows of a source were noted as not carried, asked for while it is compared.

Owns the notes of one table, by the marks of its rows. A row that the target lacks is
accounted for once for each note of it, whoever refused it when it was copied: a codec,
which refuses it again where it is read, or the target, which has no such row.

Invariant: a row that nobody noted is never accounted for; memory does not grow with
the notes, which lie in a temporary file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import chain
from typing import Final

_CACHE_KIB: Final = 4_096


class Account:
    """The notes of a table.

    Args:
        marks: One for each row that was not carried.

    Attributes:
        taken: How many rows are accounted for.
    """

    def __init__(self, marks: Iterable[bytes] = ()) -> None:
        self.taken = 0
        self._scratch: sqlite3.Connection | None = None
        listed = iter(marks)
        first = next(listed, None)
        if first is not None:
            self._scratch = _noted(chain([first], listed))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was noted."""
        return self._scratch is None

    def take(self, mark: bytes) -> bool:
        """Return whether a row is accounted for by a note that no other row has got."""
        if self._scratch is None:
            return False
        found = self._scratch.execute(
            "UPDATE note SET taken = taken + 1 WHERE mark = ? AND taken < noted",
            (mark,),
        )
        self.taken += found.rowcount
        return found.rowcount == 1

    def begin_anew(self) -> None:
        """Give all notes back: the table is read again from its beginning."""
        self.taken = 0
        if self._scratch is not None:
            self._scratch.execute("UPDATE note SET taken = 0 WHERE taken > 0")

    def close(self) -> None:
        """Let go of the temporary file."""
        if self._scratch is not None:
            self._scratch.close()


def _noted(marks: Iterable[bytes]) -> sqlite3.Connection:
    scratch = sqlite3.connect("", isolation_level=None)
    scratch.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    scratch.execute(
        "CREATE TABLE note (mark BLOB PRIMARY KEY, noted INTEGER, taken INTEGER) "
        "WITHOUT ROWID"
    )
    scratch.execute("BEGIN")
    scratch.executemany(
        "INSERT INTO note VALUES (?, 1, 0) "
        "ON CONFLICT (mark) DO UPDATE SET noted = noted + 1",
        ((mark,) for mark in marks),
    )
    return scratch
