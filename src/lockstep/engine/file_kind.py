"""What a file that SQLite refused seems to be, by its first bytes.

Owns the beginnings of the files that people take for a database: what they packed,
dumped or encrypted.

Invariant: a file that may be a live database is never opened by anything but SQLite.
Closing a second descriptor of it would cancel the locks that this very process holds.
See https://sqlite.org/howtocorrupt.html (2.2)
"""

from __future__ import annotations

from pathlib import Path

_SQL = "it is SQL text"
_BEGINNINGS = {
    b"\x1f\x8b": "it looks like a gzip file; unpack it first",
    b"PK\x03\x04": "it looks like a zip file; unpack it first",
    b"\xfd7zXZ\x00": "it looks like an xz file; unpack it first",
    b"BZh": "it looks like a bzip2 file; unpack it first",
    b"\x28\xb5\x2f\xfd": "it looks like a zstd file; unpack it first",
    b"PGDM": "it looks like a dump of pg_dump",
    b"--\n-- PostgreSQL": "it is a dump of PostgreSQL as SQL text",
    b"\x89PNG": "it is a picture",
    b"\xff\xd8\xff": "it is a picture",
    b"%PDF": "it is a PDF",
    **dict.fromkeys((b"BEGIN", b"PRAGMA", b"CREATE", b"--"), _SQL),
    b"version https://git-lfs": "it is a pointer of git LFS; fetch the file first",
    b"SQLite format 3\x00": "its first page is cut off or damaged",
    b"** This file contains an SQLite 2": "it is a database of SQLite 2",
    b"\x00\x01\x00\x00Standard": "it is a database of Microsoft Access",
}
_DUCKDB = slice(8, 12)
_LOOKED_AT_BYTES = 4096
_MANY_KINDS_OF_BYTES = 200


def likely_content(path: Path) -> str:
    """Return what a file that SQLite refused seems to be; never raises ``OSError``."""
    try:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT_BYTES)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if not start:
        return "it is empty"
    if not start.strip(b"\0"):
        return "it holds zero bytes only, as after a power cut or a sparse copy"
    for beginning, what in _BEGINNINGS.items():
        if start.startswith(beginning):
            return what
    if start[_DUCKDB] == b"DUCK":
        return "it is a database of DuckDB"
    if len(set(start)) > _MANY_KINDS_OF_BYTES:
        return "it may be encrypted (SQLCipher and others) or compressed"
    # Of UTF-8 that is cut off at the end, the rest is text all the same.
    if start.decode("utf-8", "ignore").replace("\n", "").isprintable():
        return "it is text, and does not begin as SQLite files do"
    return "it does not begin as SQLite files do"
