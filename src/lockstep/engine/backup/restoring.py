"""``restore_backup``: check first, keep what is there, then change it at once.

Owns when a target may be overwritten and what it is kept as. The engines' modules do
the copying.

    SQLite       backup ─copy─► partial ─check─► kept copy ─► one transaction in place
    PostgreSQL   empty: pg_restore, one transaction
                 else:  a database beside it, compare, two renames in one transaction

Invariants: a backup that is damaged never reaches the target; a target that is not
empty is kept under another name before it changes, and stays there afterwards.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockstep.engine.backup.content import (
    OnProgress,
    Step,
    TableDifference,
    compare,
    ignore_progress,
)
from lockstep.engine.backup.files import (
    check_free_space,
    copy_file,
    flush_folder,
    partial_file,
    put_in_place,
    sha256_of,
    stamp,
)
from lockstep.engine.backup.manifest import Manifest, read_manifest
from lockstep.engine.backup.served import Copier, copier_for
from lockstep.engine.backup.verifying import dumped_by, existing
from lockstep.engine.sessions import raise_classified
from lockstep.errors import (
    BackupDamaged,
    BackupFailed,
    ConfigError,
    LockstepError,
    StorageFailed,
)

if TYPE_CHECKING:
    from lockstep.engine.database import Database

READABLE = 0o666
"""Before the umask, as SQLite makes its files."""


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do.

    Attributes:
        backup: The file.
        manifest: What it holds.
        target: The database's URL, masked.
        is_empty: Whether nothing is there that could be lost.
    """

    backup: Path
    manifest: Manifest
    target: str
    is_empty: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return {
            "backup": str(self.backup),
            "created_at": self.manifest.created_at,
            "tables": len(self.manifest.user_tables),
            "rows": self.manifest.rows,
            "revisions": list(self.manifest.revisions),
            "target": self.target,
            "target_is_empty": self.is_empty,
        }


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        plan: What was meant to be done.
        kept: Where the old content is: files, or a database; empty if there was none.
    """

    plan: RestorePlan
    kept: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return {**self.plan.to_json(), "kept": list(self.kept)}


def plan_restore(
    backup: Path | str, database: Database, *, copier: Copier | None = None
) -> RestorePlan:
    """Look at backup and target; change nothing.

    Raises:
        ConfigError: The backup is not there, or is of another engine.
        BackupDamaged: It has no manifest.
    """
    path = existing(backup)
    manifest = read_manifest(path)
    url = database.url
    if manifest.engine != url.dialect_name:
        raise ConfigError(
            f"{path.name} is a backup of {manifest.engine}, and the target is "
            f"{url.dialect_name}",
            hint="a backup goes back to its own engine",
        )
    if url.in_memory or url.read_only:
        raise ConfigError(
            "a backup is restored into a file that can be written to",
            hint="name a file without mode=ro: --to sqlite:///FILE",
        )
    if url.engine_name == "libsql":
        is_empty = copier_for(database, copier).is_free(path, database)
    elif url.dialect_name == "sqlite":
        from lockstep.engine.backup.sqlite import has_tables

        assert url.path is not None, "a database that is not in memory has a path"
        try:
            is_empty = not has_tables(url.path) and not _companions(url.path)
        except sqlite3.Error as error:
            raise_classified(error)
    else:
        from lockstep.engine.backup.postgresql import is_empty as nothing_in
        from lockstep.engine.backup.postgresql import refuse_pooler

        refuse_pooler(url, database.settings.postgresql)
        is_empty = nothing_in(url)
    return RestorePlan(path, manifest, str(url), is_empty)


def restore_backup(
    backup: Path | str,
    database: Database,
    *,
    replace: bool = False,
    owners: bool = False,
    copier: Copier | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Restored:
    """Make ``database`` what it was when ``backup`` was made.

    Args:
        backup: The file that ``back_up`` made; the manifest lies beside it.
        database: The target. None of its connections may be in use.
        replace: Allow a target that holds something; it is kept under another name.
        owners: PostgreSQL: restore owners and privileges too; the roles must exist.
        copier: libSQL: fills the server's database (``lockstep.mover``).
        on_progress: Is told how far it is.

    libSQL: an empty database only; a run that was killed goes on when it is repeated.
    SQLite: one transaction on the same file, so a kill leaves the old content or the
    new one. PostgreSQL: pg_restore in one transaction into an empty database; one
    that is not empty gets a successor, which takes over its name.

    Raises:
        BackupDamaged: The backup is not what its manifest says; nothing was changed.
        BackupFailed: The target is not empty, and no ``replace``.
        Busy: Somebody has the target open.
    """
    plan = plan_restore(backup, database, copier=copier)
    if not plan.is_empty and not replace:
        raise not_empty(plan)
    if database.engine_name == "libsql":
        return _restore_served(plan, database, copier, on_progress)
    database.close()
    restore = _restore_sqlite
    if plan.manifest.engine == "postgresql":
        restore = _restore_postgresql
    try:
        return restore(plan, database, owners, on_progress)
    except LockstepError:
        raise
    except sqlite3.Error as error:
        raise_classified(error)
    except OSError as error:
        raise StorageFailed(
            f"{plan.target}: {error.strerror or error}",
            hint="check room and permissions of the folder, then repeat",
        ) from error


def _restore_served(
    plan: RestorePlan,
    database: Database,
    copier: Copier | None,
    on_progress: OnProgress,
) -> Restored:
    from lockstep.engine.backup.sqlite import check_copy

    if not plan.is_empty:
        raise not_empty(plan)
    on_progress(Step("hashing", 0, plan.backup.stat().st_size, "bytes"))
    entry = _entry_for(plan, sha256_of(plan.backup))
    problems, differences, _ = check_copy(plan.backup, entry.tables, on_progress)
    _refuse_differences(str(plan.backup), problems, differences)
    copier_for(database, copier).copy_in(plan.backup, database, on_progress)
    return Restored(plan, ())


def not_empty(plan: RestorePlan) -> BackupFailed:
    """Return the error for a target that would be overwritten."""
    if plan.target.startswith("libsql:"):
        return BackupFailed(
            f"{plan.target} is not empty, and a server keeps nothing aside",
            hint="make an empty database on the server, restore into that one, then "
            "let the application use it",
        )
    return BackupFailed(
        f"{plan.target} is not empty",
        hint="--replace keeps what it holds under another name, then replaces it",
    )


def _entry_for(plan: RestorePlan, sha256: str) -> Manifest:
    entry = plan.manifest.describing(sha256)
    if entry is None:
        raise BackupDamaged(
            f"{plan.backup} is not the file that was written: its SHA-256 differs"
        )
    return entry


def _refuse_differences(
    what: str, problems: Sequence[str], differences: Sequence[TableDifference]
) -> None:
    if problems or differences:
        names = [item.name for item in differences]
        raise BackupDamaged(
            f"{what} is not what the manifest says: "
            + "; ".join([*problems[:3], *(f"table {name}" for name in names)]),
            detail={"problems": list(problems), "tables": names},
        )


def _restore_sqlite(
    plan: RestorePlan, database: Database, owners: bool, on_progress: OnProgress
) -> Restored:
    from lockstep.engine.backup.sqlite import check_copy, let_be_written

    if owners:
        raise ConfigError("a SQLite file has no owners inside; leave --owners out")
    assert database.url.path is not None, "the plan refused a database in memory"
    # SQLite follows links to the file, and puts its journal beside that one.
    path = Path(os.path.realpath(database.url.path))
    size = plan.backup.stat().st_size
    there = path.stat().st_size if path.exists() else 0
    check_free_space(path.parent, size + 3 * there)
    with partial_file(path, mode=READABLE) as copy:

        def told(done: int) -> None:
            on_progress(Step("copying", done, size, "bytes"))

        entry = _entry_for(plan, copy_file(plan.backup, copy, told))
        problems, differences, _ = check_copy(copy, entry.tables, on_progress)
        _refuse_differences(str(plan.backup), problems, differences)
        moment = database.clock.now()
        if path.exists():
            kept = _replace(path, copy, entry, plan, database, moment, on_progress)
        else:
            kept = _set_companions_aside(path, moment)
            put_in_place(copy, path, force=False)
    let_be_written(path, database.settings.sqlite)
    return Restored(plan, tuple(kept))


def _replace(
    path: Path,
    copy: Path,
    entry: Manifest,
    plan: RestorePlan,
    database: Database,
    moment: datetime,
    on_progress: OnProgress,
) -> list[str]:
    from lockstep.engine.backup import sqlite

    kept: list[str] = []
    with sqlite.alone(path, database.settings.sqlite) as target:
        if not plan.is_empty:
            aside = path.with_name(f"{path.name}.before-restore-{stamp(moment)}")
            with partial_file(aside) as partial:
                sqlite.copy_aside(target, partial, on_progress)
                os.chmod(partial, path.stat().st_mode & 0o777)
                put_in_place(partial, aside, force=False)
            kept.append(str(aside))
        sqlite.replace_content(target, copy, on_progress)
        found = list(sqlite.read_content(target, on_progress, "comparing"))
        problems = sqlite.integrity_problems(target)
    differences = compare(entry.tables, found)
    _refuse_differences(f"{path} after the restore", problems, differences)
    return kept


def _companions(path: Path) -> list[Path]:
    """Return a log or journal whose database is gone; it may hold rows."""
    if path.exists():
        return []
    found = [Path(f"{path}{suffix}") for suffix in ("-wal", "-journal", "-shm")]
    return [item for item in found if item.exists()]


def _set_companions_aside(path: Path, moment: datetime) -> list[str]:
    # Beside the restored file they would be taken for its own.
    kept: list[str] = []
    for item in _companions(path):
        suffix = item.name.removeprefix(path.name)
        aside = path.with_name(f"{path.name}.before-restore-{stamp(moment)}{suffix}")
        put_in_place(item, aside, force=True)
        kept.append(str(aside))
    if kept:
        flush_folder(path.parent)
    return kept


def _restore_postgresql(
    plan: RestorePlan, database: Database, owners: bool, on_progress: OnProgress
) -> Restored:
    from lockstep.engine.backup import postgresql

    on_progress(Step("hashing", 0, plan.backup.stat().st_size, "bytes"))
    entry = _entry_for(plan, sha256_of(plan.backup))
    url, major = database.url, dumped_by(entry)

    def fill(target: Any) -> None:
        postgresql.restore_archive(
            plan.backup, target, major, on_progress, owners=owners
        )
        found = postgresql.read_content(target, on_progress, "comparing")
        what = "what was restored"
        _refuse_differences(what, (), compare(entry.tables, found))

    if plan.is_empty:
        fill(url)
        return Restored(plan, ())
    postgresql.refuse_others(url)
    with postgresql.successor_of(url) as successor:
        fill(successor)
        old = postgresql.take_over(url, successor, database.clock.now())
    return Restored(plan, (old,))
