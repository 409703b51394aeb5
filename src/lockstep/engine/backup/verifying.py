"""``verify_backup``: restore into scratch, compare every table, say what differs.

Owns the verdict. Damage is a result here and no error: whoever asks wants to be told
what is left of a backup, not only that something is wrong.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockstep.engine.backup.content import (
    OnProgress,
    Step,
    TableDifference,
    compare,
    ignore_progress,
    unreadable,
)
from lockstep.engine.backup.files import (
    check_free_space,
    copy_file,
    partial_file,
    sha256_of,
)
from lockstep.engine.backup.manifest import Manifest, read_manifest
from lockstep.engine.scratch import postgresql_database, scratch_server_url
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import BackupDamaged, BackupFailed, ConfigError

if TYPE_CHECKING:
    from lockstep.config import Settings


@dataclass(frozen=True, slots=True)
class Verified:
    """What restoring a backup showed.

    Attributes:
        path: The backup.
        manifest: What it should hold.
        problems: What is wrong with the file itself, as sentences.
        differences: The tables that are not what they were.
    """

    path: Path
    manifest: Manifest
    problems: tuple[str, ...]
    differences: tuple[TableDifference, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing differs."""
        return not self.problems and not self.differences

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return {
            "good": self.is_good,
            "backup": str(self.path),
            "engine": self.manifest.engine,
            "created_at": self.manifest.created_at,
            "tables": len(self.manifest.user_tables),
            "rows": self.manifest.rows,
            "problems": list(self.problems),
            "differences": [item.to_json() for item in self.differences],
        }


def verify_backup(
    backup: Path | str,
    *,
    settings: Settings | None = None,
    into: str | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Verified:
    """Restore ``backup`` into a throw-away database and compare it with its manifest.

    Args:
        backup: The file that ``back_up`` made; the manifest lies beside it.
        settings: Name a server for throw-away databases, if they do.
        into: PostgreSQL: a server on which to make the throw-away database instead.
        on_progress: Is told how far it is.

    SQLite: a copy in the temporary folder (TMPDIR). PostgreSQL: a database on a
    scratch server, an embedded one if no other is named. Both are gone afterwards.

    Raises:
        BackupDamaged: There is no manifest to compare with.
        ConfigError: The backup does not exist.
    """
    path = existing(backup)
    manifest = read_manifest(path)
    if manifest.engine == "sqlite":
        return _verify_sqlite(path, manifest, on_progress)
    on_progress(Step("hashing", 0, path.stat().st_size, "bytes"))
    entry, problems = _entry_of(manifest, sha256_of(path))
    server = into or scratch_server_url(settings)
    return _verify_postgresql(path, entry, problems, server, on_progress)


def existing(backup: Path | str) -> Path:
    """Return the absolute path of a backup that is there.

    Raises:
        ConfigError: It is not.
    """
    path = Path(os.path.abspath(backup))
    if not path.is_file():
        raise ConfigError(
            f"there is no backup {path}",
            hint="correct the name; lockstep db backup writes into backups/",
        )
    return path


def _entry_of(manifest: Manifest, sha256: str) -> tuple[Manifest, list[str]]:
    """Return the entry that describes the file, and what is wrong if none does."""
    entry = manifest.describing(sha256)
    if entry is not None:
        return entry, []
    return manifest, ["the file is not the one that was written: its SHA-256 differs"]


def _verify_sqlite(path: Path, manifest: Manifest, on_progress: OnProgress) -> Verified:
    from lockstep.engine.backup.sqlite import check_copy

    size = path.stat().st_size

    def told(done: int) -> None:
        on_progress(Step("copying", done, size, "bytes"))

    with tempfile.TemporaryDirectory(prefix="lockstep-") as folder:
        check_free_space(Path(folder), size)
        with partial_file(Path(folder) / "scratch.db") as copy:
            sha256 = copy_file(path, copy, told)
            entry, problems = _entry_of(manifest, sha256)
            found, differences, _ = check_copy(copy, entry.tables, on_progress)
    return Verified(path, entry, (*problems, *found), tuple(differences))


def _verify_postgresql(
    path: Path,
    manifest: Manifest,
    problems: list[str],
    server: str,
    on_progress: OnProgress,
) -> Verified:
    from lockstep.engine.backup.postgresql import read_content, restore_archive

    with postgresql_database(server) as url:
        scratch = DatabaseUrl.parse(url)
        try:
            restore_archive(path, scratch, dumped_by(manifest), on_progress)
        except BackupFailed as error:
            lost = tuple(unreadable(manifest.tables))
            return Verified(path, manifest, (*problems, error.message), lost)
        found = read_content(scratch, on_progress, "comparing")
    differences = tuple(compare(manifest.tables, found))
    return Verified(path, manifest, tuple(problems), differences)


def dumped_by(manifest: Manifest) -> int:
    """Return the major version of the pg_dump that wrote the archive."""
    text = manifest.program_version.partition(".")[0]
    digits = "".join(c for c in text if c.isdigit())
    if not digits:
        raise BackupDamaged("the manifest does not say which pg_dump wrote the archive")
    return int(digits[:2])
