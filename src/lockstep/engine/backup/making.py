"""``back_up``: one verb for every engine.

Owns the names of backups and the order of things: make, check, describe, publish, and
only then remove old ones. The engines' modules do the copying.

Invariant: until the new backup is whole, checked and on the disk, the old ones are as
they were.
"""

from __future__ import annotations

import os
import re
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockstep.engine.backup.content import OnProgress, ignore_progress
from lockstep.engine.backup.files import (
    exists,
    free_name,
    partial_file,
    publish,
    rotate,
    sha256_of,
)
from lockstep.engine.backup.manifest import Manifest, manifest_path
from lockstep.engine.backup.served import Copier, copier_for
from lockstep.engine.sessions import raise_classified
from lockstep.errors import (
    ConfigError,
    LockstepError,
    StorageFailed,
)
from lockstep.version import __version__

if TYPE_CHECKING:
    from lockstep.engine.database import Database

SUFFIXES = {"sqlite": ".db", "postgresql": ".dump"}


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was made.

    Attributes:
        path: The backup.
        manifest: What it holds.
        removed: Older backups that ``keep`` let go.
    """

    path: Path
    manifest: Manifest
    removed: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        made = self.manifest
        return {
            "backup": str(self.path),
            "manifest": str(manifest_path(self.path)),
            "engine": made.engine,
            "created_at": made.created_at,
            "size_bytes": made.size_bytes,
            "tables": len(made.user_tables),
            "rows": made.rows,
            "revisions": list(made.revisions),
            "foreign_key_violations": made.foreign_key_violations,
            "removed": [str(path) for path in self.removed],
        }


def back_up(
    database: Database,
    target: Path | str,
    *,
    force: bool = False,
    keep: int | None = None,
    copier: Copier | None = None,
    on_progress: OnProgress = ignore_progress,
) -> BackedUp:
    """Copy ``database`` while others write to it; check the copy; give it its name.

    Args:
        database: What to back up. It is read, never changed.
        target: A file; or a folder (it exists, or the text ends with ``/``), where
            the backup is named after the database and the time.
        force: Replace ``target`` if it exists.
        keep: In a folder: afterwards keep only this many backups of this database.
        copier: libSQL: copies the server's database (``lockstep.mover``).
        on_progress: Is told how far it is.

    SQLite and libSQL: an ordinary SQLite file, in one piece. PostgreSQL: an archive of
    ``pg_dump -Fc``. Beside it stands ``NAME.manifest.json``.

    Raises:
        BackupFailed: The target exists, or the copy is not equal to the source.
        StorageFailed: There is no room; nothing is left behind.
    """
    if database.engine_name == "libsql":
        copier = copier_for(database, copier)
    into_folder = _is_folder(target)
    if keep is not None and not into_folder:
        raise ConfigError(
            "keeping the newest backups needs a folder, not one file",
            hint="lockstep db backup backups/ --keep 7",
        )
    if keep is not None and keep < 1:
        raise ConfigError("the newest backup is always kept; --keep is 1 or more")
    moment = database.clock.now()  # in UTC, as every clock of ours
    path = Path(os.path.abspath(target))
    if into_folder:
        path.mkdir(parents=True, exist_ok=True)
        suffix = SUFFIXES[database.dialect_name]
        path = free_name(path, _name_of(database), suffix, moment)
    if path.exists() and not force:
        raise exists(path)
    _refuse_the_database_itself(database, path)
    try:
        with partial_file(path) as partial:
            manifest = _make(database, partial, moment, copier, on_progress)
            publish(partial, path, manifest, force=force)
    except LockstepError:
        raise
    except sqlite3.Error as error:
        raise_classified(error)
    except OSError as error:
        raise StorageFailed(
            f"{path}: {error.strerror or error}",
            hint="check room and permissions of the folder, then repeat",
        ) from error
    removed = [] if keep is None else rotate(path, manifest.source, keep)
    return BackedUp(path, manifest, tuple(removed))


def _is_folder(target: Path | str) -> bool:
    return str(target).endswith(os.sep) or Path(target).is_dir()


def _name_of(database: Database) -> str:
    path = database.url.path
    if path is not None:
        return path.stem
    url = database.url
    name = url.sqlalchemy_url().database if not url.in_memory else ""
    if url.engine_name == "libsql":
        name = name or url.sqlalchemy_url().host
    return re.sub(r"[^\w.-]+", "_", name or "memory")


def _refuse_the_database_itself(database: Database, path: Path) -> None:
    ours = database.url.path
    if ours is None or not (ours.exists() and path.exists()):
        return
    if os.path.samefile(ours, path):
        raise ConfigError(f"{path} is the database itself", hint="name another file")


def _make(
    database: Database,
    partial: Path,
    moment: datetime,
    copier: Copier | None,
    on_progress: OnProgress,
) -> Manifest:
    common: dict[str, Any] = {
        "engine": database.dialect_name,
        "lockstep_version": __version__,
        "created_at": moment.isoformat(),
        "source": str(database.url),
    }
    settings = database.settings
    if database.dialect_name == "sqlite":
        from lockstep.engine.backup.sqlite import copy_database, describe_copy

        if database.url.in_memory:
            database.ping()  # a memory database lives while its Database is open
        if database.engine_name == "libsql":
            copier_for(database, copier).copy_out(database, partial, on_progress)
            copied = describe_copy(partial, on_progress)
        else:
            copied = copy_database(database.url, settings.sqlite, partial, on_progress)
        common |= {
            "engine_version": sqlite3.sqlite_version,
            "program_version": "",
            "revisions": copied.revisions,
            "foreign_key_violations": copied.foreign_key_violations,
            "tables": copied.tables,
        }
    else:
        from lockstep.engine.backup.postgresql import dump_database

        dumped = dump_database(database.url, settings.postgresql, partial, on_progress)
        common |= {
            "engine_version": dumped.server_version,
            "program_version": dumped.program.version,
            "revisions": dumped.revisions,
            "foreign_key_violations": 0,
            "tables": dumped.tables,
        }
    size = partial.stat().st_size
    return Manifest(**common, size_bytes=size, sha256=sha256_of(partial))
