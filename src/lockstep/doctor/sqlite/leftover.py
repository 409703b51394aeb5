"""A -wal that lies beside a database that nobody has open: does it belong to it?

Owns reading the headers of both files, from private copies. SQLite replays whatever
valid log lies beside a file when it is opened next, also one of another file or of
an older state, and so writes foreign pages over good ones.

A log that belongs continues the file. The change counter in its first pages is the
file's or the next one (SQLite counts once per connection and log, not per commit), its
schema is no older and its encoding the same; or a checkpoint was under way, and the
file's first page is one of the log's.

See https://sqlite.org/fileformat2.html (1.3.6, 4.1)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAGIC = (0x377F0682, 0x377F0683)
_HEADER_BYTES, _FRAME_BYTES = 32, 24
_HEAD_BYTES = 100
_PAGE_BYTES_MIN = 512
_ROLLBACK = 1
_COUNTER, _SCHEMA_COOKIE, _ENCODING = 24, 40, 56
_FIRST_PAGES_MAX = 1_000
"""A checkpoint that was under way wrote one of the last ones."""
FRAMES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class LeftWal:
    """What the headers of a database and of the -wal beside it say.

    Attributes:
        is_log: Whether the -wal begins as SQLite's logs do.
        frames: Pages of whole transactions in it.
        fits_pages: Whether both have pages of the same size.
        expects_wal: Whether the database says that it is in WAL mode.
        counter: The database's change counter.
        log_counter: The first one in the log; None where no transaction wrote the
            first page, and nothing can be told.
        continues: Whether the log can be the continuation of the database.
    """

    is_log: bool
    frames: int
    fits_pages: bool
    expects_wal: bool
    counter: int
    log_counter: int | None
    continues: bool

    @property
    def fault(self) -> str:
        """Why the log does not belong to the database; empty when it may."""
        if not self.is_log or not self.frames:
            return ""
        if not self.fits_pages:
            return "its pages have another size than the database's"
        if not self.expects_wal:
            return "the database itself is in rollback-journal mode"
        if self.log_counter is not None and not self.continues:
            return (
                f"it leads to state {self.log_counter:,} of a database, and this one "
                f"is at state {self.counter:,} with another content"
            )
        return ""


def read_left_wal(database: Path, wal: Path) -> LeftWal:
    """Return what the headers of private copies of both files say."""
    with database.open("rb") as file:
        head = file.read(_HEAD_BYTES).ljust(_HEAD_BYTES, b"\0")
        page_bytes = _number(head, 16, 2)
        page_bytes = 65_536 if page_bytes == 1 else page_bytes
        file.seek(0)
        first_page = file.read(page_bytes)
    with wal.open("rb") as file:
        header = file.read(_HEADER_BYTES).ljust(_HEADER_BYTES, b"\0")
        log_page_bytes = _number(header, 8)
        is_log = _number(header, 0) in _MAGIC and log_page_bytes >= _PAGE_BYTES_MIN
        frames, first_pages = 0, list[bytes]()
        if is_log:
            frames, first_pages = _frames(file, log_page_bytes, header[16:24])
    return LeftWal(
        is_log=is_log,
        frames=frames,
        fits_pages=page_bytes == log_page_bytes,
        expects_wal=head[18] > _ROLLBACK and head[19] > _ROLLBACK,
        counter=_number(head, _COUNTER),
        log_counter=_number(first_pages[0], _COUNTER) if first_pages else None,
        continues=_continues(first_page, first_pages),
    )


def _continues(page: bytes, logged: list[bytes]) -> bool:
    """Return whether the first pages in a log can follow ``page``, or hold it."""
    if not logged or page in logged:
        return True
    first = logged[0]
    return (
        _number(first, _COUNTER) - _number(page, _COUNTER) in (0, 1)
        and _number(first, _SCHEMA_COOKIE) >= _number(page, _SCHEMA_COOKIE)
        and _number(page, _ENCODING) in (0, _number(first, _ENCODING))
    )


def _frames(file: BinaryIO, page_bytes: int, salts: bytes) -> tuple[int, list[bytes]]:
    """Return how many pages of whole transactions there are, and the first pages."""
    whole, kept, pending = 0, list[bytes](), list[bytes]()
    size = os.fstat(file.fileno()).st_size
    for number in range(FRAMES_MAX):
        start = _HEADER_BYTES + number * (_FRAME_BYTES + page_bytes)
        if start + _FRAME_BYTES + page_bytes > size:
            break
        file.seek(start)
        frame = file.read(_FRAME_BYTES)
        if frame[8:16] != salts:
            break  # of an earlier turn of the log
        if _number(frame, 0) == 1:
            pending = [*pending, file.read(page_bytes)][-_FIRST_PAGES_MAX:]
        if _number(frame, 4):
            whole = number + 1
            kept = [*kept[:1], *[*kept[1:], *pending][-_FIRST_PAGES_MAX:]]
            pending = []
    return whole, kept


def _number(data: bytes, at: int, size: int = 4) -> int:
    return int.from_bytes(data[at : at + size], "big")
