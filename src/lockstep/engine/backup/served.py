"""A libSQL server's database as a SQLite file, and back.

Owns what a backup needs of whoever copies between the two. The copier stands above
this package (``lockstep.mover``), so that the caller gives it; without one a server
is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lockstep.errors import UnsupportedCapability

if TYPE_CHECKING:
    from lockstep.engine.backup.content import OnProgress
    from lockstep.engine.database import Database


class Copier(Protocol):
    """Copies a whole database, every cell compared, between a server and a file."""

    def copy_out(self, database: Database, path: Path, told: OnProgress) -> None:
        """Fill the empty file ``path`` with one state of the server's database.

        Raises:
            BackupFailed: The copy is not the same.
        """
        ...

    def copy_in(self, path: Path, database: Database, told: OnProgress) -> None:
        """Fill the server's empty database, or go on where a killed run stopped.

        Raises:
            BackupFailed: The copy is not the same.
        """
        ...

    def is_free(self, path: Path, database: Database) -> bool:
        """Return whether nothing is there but what ``copy_in`` of ``path`` made."""
        ...


def copier_for(database: Database, copier: Copier | None) -> Copier:
    """Return the copier, or say where one is.

    Raises:
        UnsupportedCapability: None was given.
    """
    if copier is None:
        raise UnsupportedCapability(
            f"{database.url} is copied by the mover, and none was given",
            hint="back_up(…, copier=lockstep.mover.ServerCopier()); the command does",
        )
    return copier
