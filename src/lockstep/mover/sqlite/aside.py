"""A copy of somebody's file, where reading it in place would change something.

Owns the folder of the copy among the temporary ones, and its end. A folder is its
owner's as long as that holds the lock in it, which ends with the process however that
ends; what was left by one that was killed, the next one removes.

    lockstep-source-…/  owner                      locked by whom the copy belongs to
                        source, -wal, -journal     as they lay there at one instant

Invariant: no folder is removed whose lock is held, or was not yet taken: a lock has
its name only once it is held.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lockstep.errors import SourceChanged, StorageFailed
from lockstep.mover.failures import is_full

if TYPE_CHECKING:
    fcntl: Any
else:
    try:
        import fcntl
    except ImportError:  # Windows
        fcntl = None

_PREFIX: Final = "lockstep-source-"
_LOCK: Final = "owner"
_COPY_ATTEMPTS: Final = 5


class Aside:
    """A copy of a file, its WAL and its journal as they were at one instant.

    Args:
        path: Whose; it is only read.

    Attributes:
        path: The copy.

    Raises:
        SourceChanged: It is written to all the time.
        StorageFailed: There is no room for a copy.
    """

    def __init__(self, path: Path) -> None:
        _remove_abandoned()
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = -1
        self.path = self._folder / "source"
        try:
            self._lock = _locked(self._folder)
            self._copy(path)
        except BaseException as error:
            self.close()
            if is_full(error):
                raise _no_room(path, self._folder.parent) from error
            raise

    def _copy(self, path: Path) -> None:
        for _ in range(_COPY_ATTEMPTS):
            before = fingerprint(path)
            for ending in ("", "-wal", "-journal"):
                copy = beside(self.path, ending)
                if beside(path, ending).exists():
                    shutil.copyfile(beside(path, ending), copy)
                else:
                    copy.unlink(missing_ok=True)  # of an attempt before
            if fingerprint(path) == before:
                return
        raise SourceChanged(f"{path} is written to all the time")

    def close(self) -> None:
        """Remove the copy."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _locked(folder: Path) -> int:
    """Lock a folder for this process; return the descriptor that holds the lock."""
    draft = folder / f"{_LOCK}.new"
    descriptor = os.open(draft, os.O_CREAT | os.O_RDWR, 0o600)
    if fcntl is not None:
        # Without a lock there is no name for it either, and nobody removes the folder.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(folder / _LOCK)
    return descriptor


def _remove_abandoned() -> None:
    """Remove the copies whose owners have ended without doing so."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # One that is gone by now is gone.
        with suppress(OSError):
            if fcntl is None or folder.lstat().st_uid != os.getuid():
                continue
            descriptor = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def _no_room(path: Path, folder: Path) -> StorageFailed:
    return StorageFailed(
        f"{path} can be read from a copy only, for which there is no room in {folder}",
        hint="make room there, or name another folder by TMPDIR; a file that its "
        "own program has opened and closed again needs no copy",
        detail={"path": str(path), "folder": str(folder)},
    )


def fingerprint(path: Path) -> str:
    """Return the size and time of a file and of its WAL."""
    parts: list[str] = []
    for name in (path, beside(path, "-wal")):
        try:
            status = name.stat()
        except FileNotFoundError:
            continue
        if status.st_size:
            parts.append(f"{status.st_size}:{status.st_mtime_ns}")
    return " ".join(parts)


def beside(path: Path, ending: str) -> Path:
    """Return what lies beside a file under its name and an ending."""
    return path.with_name(path.name + ending)
