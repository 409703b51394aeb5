"""Texts of a UTF-16 file that are no UTF-16: half a character, or an odd byte.

Owns finding them. SQLite puts two halves that do not belong together into one
character, and leaves a last byte out, whenever it gives such a text to anybody: no
reader sees what is stored, and so no copy is exact.

See https://sqlite.org/c3ref/c_any.html
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.long_values import LONG_BYTES
from lockstep.mover.model.profile import TableProfile
from lockstep.mover.model.sqlite import Schema

_COLUMNS_AT_ONCE: Final = 500
_FUNCTION: Final = "lockstep_is_no_utf16"


def broken_texts(
    connection: Any, schema: Schema, profiles: Mapping[str, TableProfile]
) -> Iterator[tuple[str, str, int]]:
    """Yield table, column and how many such texts it holds, where it holds some."""
    is_here = isinstance(connection, sqlite3.Connection)
    if not is_here or schema.encoding == "UTF-8":
        return
    codec = schema.encoding.lower()

    def is_broken(stored: bytes) -> bool:
        try:
            stored.decode(codec)
        except UnicodeDecodeError:
            return True
        return False

    connection.create_function(_FUNCTION, 1, is_broken, deterministic=True)
    for table, profile in profiles.items():
        long = {c.name for c in profile.columns if c.is_in_pieces}
        names = [c.name for c in profile.columns if c.counts["text"]]
        for first in range(0, len(names), _COLUMNS_AT_ONCE):
            some = names[first : first + _COLUMNS_AT_ONCE]
            terms = ", ".join(_counted(name, is_long=name in long) for name in some)
            sql = f"SELECT {terms} FROM {quote(table)}"
            counts = connection.execute(sql).fetchone()
            for name, count in zip(some, counts, strict=True):
                if count:
                    yield table, name, int(count)


def _counted(name: str, *, is_long: bool) -> str:
    """Return what counts such texts; long ones that came in pieces are none."""
    stored = f"CAST({quote(name)} AS BLOB)"
    is_asked = f"typeof({quote(name)}) = 'text'"
    if is_long:
        is_asked += f" AND length({stored}) <= {LONG_BYTES}"
    return f"total(CASE WHEN {is_asked} THEN {_FUNCTION}({stored}) END)"
