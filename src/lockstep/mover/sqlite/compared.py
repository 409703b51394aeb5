"""A SQLite file that a comparison reads as the target of a move.

Owns that it is opened as a source is: in one read transaction, never made, never
written to, not even by the checkpoint that closing a file in WAL mode would be.
"""

from __future__ import annotations

from lockstep.mover.sqlite.opening import Source
from lockstep.mover.sqlite.target import SqliteTarget


class ComparedFile(SqliteTarget):
    """A target that is only read.

    Args:
        source: The file, opened; it is closed with this.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source.connection, str(source.path))
        self._source = source
        self.notices = source.notices

    def check_unchanged(self) -> None:
        """Raise ``SourceChanged`` if what was read is not one state."""
        self._source.check_unchanged()

    def close(self) -> None:
        """End the read transaction."""
        self._source.close()
