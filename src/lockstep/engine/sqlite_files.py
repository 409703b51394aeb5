"""Where a SQLite file lies, and who else in this process has it open.

Owns two refusals. A network file system: its locks cannot be trusted, and WAL
needs all processes on one host. A second SQLite library on the same file: POSIX
locks belong to the process, so one library closing the file cancels the locks of
the other, and committed rows are lost without an error.

Both are found by asking the operating system, not by trying: the mount table,
and the file descriptors of this process that point at the same inode.

See https://sqlite.org/howtocorrupt.html (2.1, 2.2)
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.errors import (
    NetworkFilesystem,
    OpenAtFork,
    SecondSqliteLibrary,
    StorageFailed,
    Unexaminable,
)

if TYPE_CHECKING:
    from lockstep.config import SqliteSettings

MOUNT_TABLE = Path("/proc/self/mountinfo")

NETWORK_FILESYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs"),
        *("afpfs", "webdav", "davfs", "coda", "9p", "virtiofs", "drvfs", "ceph"),
        *("glusterfs", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2", "orangefs"),
        *("pvfs2", "panfs", "vboxsf", "vmhgfs", "prl_fs", "osxfs", "fakeowner"),
        *("grpcfuse", "acfs", "moosefs", "juicefs"),
        *("fuse.sshfs", "fuse.grpcfuse", "fuse.osxfs", "fuse.glusterfs"),
        *("fuse.ceph", "fuse.ceph-fuse", "fuse.davfs2", "fuse.smbnetfs"),
        *("fuse.vmhgfs-fuse", "fuse.juicefs", "fuse.mfs", "fuse.s3fs", "fuse.afp"),
        *("fuse.gvfsd-fuse", "fuse.cephfs", "fuse.curlftpfs", "fuse.s3ql"),
        *("fuse.google-drive-ocamlfuse", "fuse.onedriver", "fuse.pcloud"),
        *(
            "fuse.gcsfuse",
            "fuse.goofys",
            "fuse.rclone",
            "fuse.blobfuse2",
            "fuse.lizardfs",
        ),
    }
)

SQLITE_LIBRARIES = (
    *("apsw", "libsql", "libsql_experimental", "pysqlite3", "sqlcipher3"),
    *("pysqlcipher3", "turso", "limbo", "duckdb", "chdb"),
)
"""Python modules that bring a SQLite of their own, or another program that
writes its files."""

_LOOKS = 3
_LOOK_AGAIN_S = 0.01
_OCTAL = re.compile(r"\\([0-7]{3})")


def check_is_there(path: Path) -> None:
    """Refuse to look at a file that is not there; SQLite would make an empty one.

    Raises:
        Unexaminable: There is no such file, or it is a link to nothing.
    """
    if path.exists():
        return
    if path.is_symlink():
        raise Unexaminable(
            f"{path} is a link to {path.readlink()}, which is not there",
            hint="mend the link, or name the file itself",
        )
    raise Unexaminable(
        f"there is no {path}",
        hint="correct the name; lockstep migrate upgrade makes a project's database",
        detail={"path": str(path)},
    )


def check_folder(path: Path, *, read_only: bool) -> None:
    """Say clearly what SQLite calls "unable to open database file"."""
    if path.is_dir():
        raise StorageFailed(
            f"{path} is a folder, not a database file",
            hint="name the file in it",
        )
    if path.exists() and not path.is_file():
        raise StorageFailed(
            f"{path} is a pipe or a device, not a database file", hint="name a file"
        )
    if not path.parent.is_dir():
        raise StorageFailed(
            f"the folder {path.parent} does not exist",
            hint="make it, or correct the URL (sqlite:////absolute, sqlite:///relative)",
        )
    if read_only and not path.exists():
        raise StorageFailed(
            f"{path} does not exist, and a read-only URL makes no file",
            hint="correct the name, or leave mode=ro out to make it",
        )


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the mount table: where, and of which type."""

    point: str
    filesystem: str


def read_mounts(table: str) -> list[Mount]:
    """Return the mounts that ``table`` (Linux's mountinfo) lists, in its order.

    See https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
    """
    mounts: list[Mount] = []
    for line in table.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if separator and len(fields) >= 5 and after:
            point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4])
            mounts.append(Mount(point, after.split(" ", 1)[0]))
    return mounts


def mount_of(path: str, mounts: list[Mount]) -> Mount | None:
    """Return the mount that ``path`` (absolute, links resolved) lies on.

    The longest mount point wins; of two at one place the later one, which
    covers the earlier.
    """
    best: Mount | None = None
    for mount in mounts:
        point = mount.point.rstrip("/") + "/"
        inside = path == mount.point or path.startswith(point)
        if inside and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def check_filesystem(path: Path, settings: SqliteSettings) -> None:
    """Refuse a file on a network file system, unless the settings allow it.

    Linux only; where there is no mount table nothing is refused.
    """
    if settings.allow_network_filesystem:
        return
    mount = network_mount_of(path)
    if mount is not None:
        raise NetworkFilesystem(
            f"{path} lies on {mount.point}, a network file system "
            f"({mount.filesystem}); SQLite cannot trust its locks",
            detail={
                "path": str(path),
                "mount": mount.point,
                "filesystem": mount.filesystem,
            },
        )


def network_mount_of(path: Path) -> Mount | None:
    """Return the network or shared-folder mount that ``path`` lies on, if it does.

    Linux only; where there is no mount table the answer is None.
    """
    try:
        table = MOUNT_TABLE.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    mount = mount_of(os.path.realpath(path), read_mounts(table))
    if mount is None or mount.filesystem.lower() not in NETWORK_FILESYSTEMS:
        return None
    return mount


@dataclass(slots=True)
class _Count:
    """Our connections to one file: now, and the most since there was none.

    SQLite keeps the descriptor of a closed connection while others hold locks
    and gives it to the next one, so ``highest`` bounds its descriptors.
    """

    now: int = 0
    highest: int = 0


_open_lock = threading.Lock()
_open: dict[str, _Count] = {}
_left_open: set[str] = set()
"""The files of which SQLite remembers what this process's parent did with them."""


def note_opening(path: Path) -> None:
    """Count a connection to ``path``, before its descriptor exists.

    Raises:
        OpenAtFork: This process must not open the file.
    """
    name = os.path.realpath(path)
    if name in _left_open:
        raise OpenAtFork(f"{path} was in use when this process was forked")
    with _open_lock:
        count = _open.setdefault(name, _Count())
        count.now += 1
        count.highest = max(count.highest, count.now)


def note_closed(path: Path) -> None:
    """Count a connection less."""
    name = os.path.realpath(path)
    with _open_lock:
        count = _open.get(name)
        if count is not None:
            count.now -= 1
            if count.now <= 0:
                del _open[name]


def is_open_here(path: Path) -> bool:
    """Whether connections of this process's databases have ``path`` open."""
    return _ours(path) > 0


def forget_connections(left_open: set[str]) -> None:
    """Start counting anew: a forked child opened none of its parent's.

    A thread of the parent may have held the lock, and does not exist here.

    Args:
        left_open: The files that must not be opened here.
    """
    global _open_lock
    _open_lock = threading.Lock()
    _open.clear()
    _left_open.update(left_open)


def foreign_libraries() -> list[str]:
    """Return the other SQLite libraries that this process has imported."""
    return [name for name in SQLITE_LIBRARIES if name in sys.modules]


def check_second_library(path: Path, settings: SqliteSettings) -> None:
    """Refuse a file that another SQLite library of this process has open.

    It has, when one is imported and more descriptors point at the file than our
    connections explain. A plain ``sqlite3.connect`` of the program itself counts
    as foreign then: it cannot be told apart.
    """
    if settings.allow_second_library:
        return
    foreign = foreign_libraries()
    if not foreign:
        return
    looks = 1
    while (found := descriptors_of(path)) > _ours(path):
        if looks == _LOOKS:
            raise SecondSqliteLibrary(
                f"{path} is open in this process by another library "
                f"(imported: {', '.join(foreign)})",
                detail={"path": str(path), "libraries": foreign, "descriptors": found},
            )
        # One of our own may be between its last use and its close.
        time.sleep(_LOOK_AGAIN_S)
        looks += 1


def _ours(path: Path) -> int:
    with _open_lock:
        count = _open.get(os.path.realpath(path))
        return count.highest if count else 0


def descriptors_of(path: Path) -> int:
    """Return how many descriptors of this process point at ``path``."""
    try:
        file = path.stat()
        names = os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")
    except OSError:
        return 0
    found = 0
    for name in names:
        try:
            status = os.fstat(int(name))
        except (OSError, ValueError):
            continue  # closed meanwhile, as the listing's own descriptor is
        found += (status.st_dev, status.st_ino) == (file.st_dev, file.st_ino)
    return found
