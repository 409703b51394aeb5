"""Whether the files that a connection has open still have their names.

A file that was deleted or replaced stays what its open connections write to: they
are told of success, and with the last of them everything is gone. The same happens
with a ``-wal`` or ``-shm`` that a clean-up took for rubbish; whoever opens the database
next does not see what is in the one without a name. SQLite looks in rollback mode
alone (``SQLITE_READONLY_DBMOVED``).

Owns what was opened, as device and inode, and the comparison. It costs a microsecond
for each file, so writers ask before each transaction.

See https://www.sqlite.org/howtocorrupt.html (2.4, 4)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from lockstep.errors import StorageFailed

_LOG = ("-wal", "-shm")

_File: TypeAlias = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True, slots=True)
class OpenedFiles:
    """What a connection opened: each file by its name, with links resolved."""

    files: tuple[tuple[str, _File], ...]

    @classmethod
    def of(cls, path: str) -> OpenedFiles:
        """Return the database that a connection has just opened; no log is yet."""
        return cls(tuple(_found([path])))

    def with_log(self) -> OpenedFiles:
        """Return them with the log and its index, once the connection has read.

        Raises:
            StorageFailed: There is only one of the two. Connections of a process
                share the index, so a new one would not make it again.
        """
        logs = [name + suffix for name, _ in self.files[:1] for suffix in _LOG]
        found = dict(_found(logs))
        missing = [name for name in logs if name not in found]
        if found and missing:
            raise _lost(missing[0], "is gone")
        return OpenedFiles((*self.files[:1], *found.items()))

    def check(self) -> None:
        """Refuse to go on with files that have lost their names.

        Raises:
            StorageFailed: One is gone, or another one has its name.
        """
        for name, file in self.files:
            try:
                now = os.stat(name)
            except FileNotFoundError:
                raise _lost(name, "is gone") from None
            except OSError:
                continue  # rights were dropped: nothing can be said
            if (now.st_dev, now.st_ino) != file:
                raise _lost(name, "is another file")


def _found(names: Iterable[str]) -> Iterator[tuple[str, _File]]:
    for name in names:
        with suppress(OSError):
            found = os.stat(name)
            yield name, (found.st_dev, found.st_ino)


def _lost(name: str, what: str) -> StorageFailed:
    if name.endswith(_LOG):
        hint = (
            "close every program that has the database open before another one opens "
            "it: the last to close takes what was written into the database"
        )
    else:
        hint = (
            "close every program that has it open, move its -wal and -shm away, which "
            "belong to the file that was there, and put the right one in place"
        )
    return StorageFailed(
        f"{name} {what}: it was deleted, moved or replaced while the database was "
        "open; nothing more is written",
        hint=hint,
        detail={"file": name},
    )
