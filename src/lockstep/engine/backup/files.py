"""Files that appear whole or not at all.

Owns partial files, the disk's flush, publishing under the final name and keeping the
newest N. It knows neither SQLite nor PostgreSQL.

    .NAME.x1f3.partial ──fsync──► NAME          an atomic link or rename,
                                                then fsync of the folder

Invariants: nothing half written ever has the final name; a backup that is there is not
touched without ``force``, and with it stays whole until the new one takes its place;
partial files of a process that was killed are removed by the next run, and those of
one that is still at work are not.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lockstep.engine.backup.manifest import (
    SUFFIX,
    Manifest,
    manifest_path,
    read_manifest,
)
from lockstep.errors import BackupDamaged, BackupFailed, StorageFailed

PRIVATE = 0o600
"""A backup holds everything the database holds, so only its owner reads it."""

COPY_BYTES = 1024 * 1024
SPARE_BYTES = 16 * 1024 * 1024
"""Free space that is left for the manifest and for everybody else."""

NUMBER_MAX = 999

_PARTIAL = re.compile(r"\.[^/]+\.[0-9a-f]{8}\.partial(-journal|-wal|-shm)?")
_STAMP = "%Y%m%dT%H%M%SZ"


def stamp(moment: datetime) -> str:
    """Return the moment as names carry it.

    Example:
        >>> stamp(datetime(2026, 11, 21, 3, 5, tzinfo=UTC))
        '20261121T030500Z'
    """
    return moment.astimezone(UTC).strftime(_STAMP)


@contextmanager
def partial_file(final: Path, *, mode: int = PRIVATE) -> Generator[Path]:
    """Yield a new empty file beside ``final``; it is gone after the block.

    Raises:
        StorageFailed: The folder is missing or cannot be written to.
    """
    folder = final.parent
    with _folder_in_use(folder):
        partial = folder / f".{final.name}.{secrets.token_hex(4)}.partial"
        try:
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        except OSError as error:
            raise StorageFailed(
                f"no file can be made in {folder}: {error.strerror}",
                hint="check the folder's permissions, or name another one",
            ) from error
        try:
            yield partial
        finally:
            for suffix in ("", "-journal", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{partial}{suffix}")


@contextmanager
def _folder_in_use(folder: Path) -> Generator[None]:
    """Hold a shared lock on ``folder``; first remove what killed runs left in it.

    Every run holds the lock, so whoever gets it alone knows that no partial file
    belongs to anybody.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StorageFailed(
            f"the folder {folder} cannot be opened: {error.strerror}",
            hint="make it, or name another",
        ) from error
    try:
        # A network file system may have no locks: then nothing is removed.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for entry in list(os.scandir(folder)):
                if _PARTIAL.fullmatch(entry.name):
                    os.unlink(entry.path)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def check_free_space(folder: Path, needed_bytes: int) -> None:
    """Refuse to begin what cannot end.

    Raises:
        StorageFailed: The file system of ``folder`` has less room than that.
    """
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + SPARE_BYTES:
        raise StorageFailed(
            f"{folder} has {free:,} bytes free, and this needs {needed_bytes:,}",
            hint="make room, or choose another folder",
            detail={"free_bytes": free, "needed_bytes": needed_bytes},
        )


def flush_file(path: Path) -> None:
    """Bring a file's content to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Bring a folder's names to the disk."""
    flush_file(folder)


def sha256_of(path: Path) -> str:
    """Return the hash of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_file(source: Path, target: Path, on_bytes: Callable[[int], None]) -> str:
    """Copy the content of ``source`` over ``target``; return its SHA-256.

    What is hashed is what was written, read once: the file cannot change between.
    """
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as reader, target.open("r+b") as writer:
        while block := reader.read(COPY_BYTES):
            digest.update(block)
            writer.write(block)
            done += len(block)
            on_bytes(done)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def put_in_place(partial: Path, final: Path, *, force: bool) -> None:
    """Give ``partial`` its final name, at once and for good.

    Raises:
        BackupFailed: There is a file of that name, and no ``force``.
    """
    if force:
        os.replace(partial, final)
    else:
        _link(partial, final)
    flush_folder(final.parent)


def _link(partial: Path, final: Path) -> None:
    try:
        os.link(partial, final)
    except FileExistsError as error:
        raise exists(final) from error
    except OSError as error:
        # FAT and some network file systems have no links; nothing is atomic and
        # exclusive there, so looking first is the best there is.
        if final.exists():
            raise exists(final) from error
        os.rename(partial, final)


def exists(final: Path) -> BackupFailed:
    """Return the error for a name that is taken."""
    return BackupFailed(
        f"{final} exists", hint="choose another name, or --force to replace it"
    )


def publish(partial: Path, final: Path, manifest: Manifest, *, force: bool) -> None:
    """Give a finished backup and its manifest their names.

    Raises:
        BackupFailed: There is a file of that name, and no ``force``.
    """
    if final.exists() and not force:
        raise exists(final)
    before = _manifest_of(final)
    _write_manifest(final, replace(manifest, previous=before))
    try:
        put_in_place(partial, final, force=force)
    except BackupFailed:
        # Another run was faster; its backup gets its manifest back.
        if before is not None:
            _write_manifest(final, before)
        raise
    if before is not None:
        _write_manifest(final, manifest)


def _manifest_of(final: Path) -> Manifest | None:
    """Return the manifest that describes the backup of this name, if there is one."""
    try:
        found = read_manifest(final)
    except BackupDamaged:
        return None
    if not final.exists():
        return found.alone()
    return (
        found.alone() if found.previous is None else found.describing(sha256_of(final))
    )


def _write_manifest(final: Path, manifest: Manifest) -> None:
    path = manifest_path(final)
    with partial_file(path) as partial:
        partial.write_text(manifest.text(), encoding="utf-8")
        flush_file(partial)
        os.replace(partial, path)
        flush_folder(path.parent)


def free_name(folder: Path, prefix: str, suffix: str, moment: datetime) -> Path:
    """Return ``folder/prefix-20261121T030500Z.suffix``, numbered if taken.

    The number is higher than every one of that second, so names sort by age also
    after older backups were removed.
    """
    name = f"{prefix}-{stamp(moment)}"
    taken = [
        split_name(path)[1]
        for path in folder.iterdir()
        if split_name(path)[0] == prefix and path.name.startswith(name)
    ]
    if not taken:
        return folder / f"{name}{suffix}"
    number = int(max(taken).rpartition("-")[2]) + 1
    if number > NUMBER_MAX:
        raise BackupFailed(
            f"{folder} has {NUMBER_MAX} backups of this second",
            hint="wait a second, or name the file",
        )
    return folder / f"{name}-{number}{suffix}"


def rotate(newest: Path, source: str, keep: int) -> list[Path]:
    """Remove the older backups of ``source`` beside ``newest``; keep ``keep``.

    Only files that ``free_name`` named, with a manifest of the same database, are
    candidates; everything else in the folder is somebody's.

    Returns:
        What was removed, oldest first.
    """
    assert keep >= 1, "the newest backup is always kept"
    prefix, _ = split_name(newest)
    mine: list[tuple[str, Path]] = []
    for path in newest.parent.iterdir():
        found = split_name(path)
        if found[0] != prefix or path.suffix != newest.suffix:
            continue
        manifest = _manifest_of(path)
        if manifest is not None and manifest.source == source:
            mine.append((found[1], path))
    removed: list[Path] = []
    for _, path in sorted(mine)[:-keep]:
        if path == newest:
            continue
        # The backup first: a manifest alone claims nothing that is there.
        path.unlink(missing_ok=True)
        manifest_path(path).unlink(missing_ok=True)
        removed.append(path)
    if removed:
        flush_folder(newest.parent)
    return removed


_NAMED = re.compile(r"(.+)-(\d{8}T\d{6}Z)(?:-(\d{1,3}))?\.(?:db|dump)")


def split_name(path: Path) -> tuple[str, str]:
    """Return prefix and sortable time of a name that ``free_name`` made.

    Example:
        >>> split_name(Path("shop-20261121T030500Z.db"))
        ('shop', '20261121T030500Z-001')
    """
    found = _NAMED.fullmatch(path.name)
    if found is None or path.name.endswith(SUFFIX):
        return "", ""
    return found[1], f"{found[2]}-{int(found[3] or 1):03d}"
