"""A database on a disk that several hosts, or a sync program, may touch."""

from __future__ import annotations

import re
from pathlib import Path

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.engine.sqlite_files import network_mount_of

_SYNCED = re.compile(
    r"^(dropbox( \(.+\))?|onedrive( - .+)?|google ?drive|googledrive|my drive|"
    r"icloud ?drive|com~apple~clouddocs|mobile documents|nextcloud|owncloud|"
    r"pclouddrive|syncthing)$",
    re.IGNORECASE,
)


def examine(context: SqliteContext) -> Findings:
    """Look up the mount, and the names of the folders above the file."""
    path = context.path.resolve()
    mount = network_mount_of(path)
    if mount is not None:
        wal = context.opened.uses_wal
        yield CHECK.finding(
            "problem" if wal else "warning",
            context.name,
            f"the file lies on {mount.point}, a network or shared-folder file system "
            f"({mount.filesystem})" + (", and is in WAL mode" if wal else ""),
            mend="keep the file on a local disk of the one host that uses it (in a "
            "container: a named volume, no bind mount of the desktop); for several "
            "hosts use PostgreSQL. Until then at least: one host only, no WAL",
            evidence={"mount": mount.point, "filesystem": mount.filesystem},
        )
    folder = _synced_folder(path)
    if folder is not None:
        yield CHECK.finding(
            "warning",
            context.name,
            f"the file lies in a folder that a program keeps in sync ({folder})",
            why="The program copies the file and its -wal at different moments and "
            "knows nothing of locks: the copy is torn, and a 'conflicted copy' may "
            "replace the database while it is open.",
            mend="keep the database outside, and put backups made by SQLite into the "
            "folder",
            command="sqlite3 app.db \"VACUUM INTO 'synced/app-backup.db'\"",
            evidence={"folder": folder},
        )


def _synced_folder(path: Path) -> str | None:
    return next((part for part in path.parts[:-1] if _SYNCED.match(part)), None)


CHECK = Check(
    name="file-system",
    looks_for="A file on NFS, SMB, 9p, virtiofs and the like, or in a synced folder.",
    why="Their locks cannot be trusted, so two writers may write at once; WAL needs "
    "all processes on one host, because the -shm file is shared memory. Damage is not "
    "certain, it is only a matter of time and load.",
    sqlite=examine,
    needs_file=True,
)
