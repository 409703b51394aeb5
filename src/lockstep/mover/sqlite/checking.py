"""What SQLite itself says of a file: whether its pages hold together.

Owns the question before a move. A damaged page is met when it is read, but rows can
also be missing without a word: a page that nobody points at any more holds them.

    quick_check       each page, each record, each row's place: a twentieth of a move
    integrity_check   and whether each index has each row

See https://sqlite.org/pragma.html#pragma_integrity_check
"""

from __future__ import annotations

import sqlite3
from typing import Final

LINES_MAX: Final = 10
"""SQLite stops behind so many, of a file that is damaged all over."""

_OF_VALUES: Final = ("NULL value in ",)
"""What a row has against its table's words; the profile counts those."""


def damage_of(
    connection: sqlite3.Connection, *, is_full: bool, knows_all: bool
) -> list[str]:
    """Return what SQLite finds wrong with the pages of a file; mostly nothing.

    Args:
        connection: In a read transaction.
        is_full: Compare indexes with their tables, too.
        knows_all: Whether every table and index could be parsed; pages of others
            look as if nobody used them.

    Raises:
        sqlite3.OperationalError: It cannot be asked: a function is missing here.
    """
    what = "integrity_check" if is_full else "quick_check"
    # What a check says of the rows is no damage, and may need a function.
    connection.execute("PRAGMA ignore_check_constraints = ON")
    try:
        rows = connection.execute(f"PRAGMA main.{what}({LINES_MAX})").fetchall()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_ERROR:
            raise
        return [f"the file could not be checked: {error}"]
    finally:
        connection.execute("PRAGMA ignore_check_constraints = OFF")
    lines = [line for (text,) in rows for line in str(text).splitlines()]
    return [
        line
        for line in lines
        if line != "ok"
        and not line.startswith(("*** in database", *_OF_VALUES))
        and (knows_all or "never used" not in line)
    ]
