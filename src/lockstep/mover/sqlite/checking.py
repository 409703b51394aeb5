"""What SQLite itself says of a file: whether its pages hold together.

Owns the question before a move. A damaged page is met when it is read, but rows can
also be missing without a word: a page that nobody points at any more holds them.

    quick_check       each page, each record, each row's place: a twentieth of a move
    integrity_check   and whether each index has each row

See https://sqlite.org/pragma.html#pragma_integrity_check
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any, Final

LINES_MAX: Final = 10
"""Of damage; a file that is damaged all over is not read to its end."""

_ASKED_MAX: Final = 1_000_000
"""Where SQLite stops: what it says of values must not hide damage behind them."""

_OF_VALUES: Final = (
    *("NULL value in", "CHECK constraint failed", "non-"),
    *("TEXT value in", "NUMERIC value in"),
)


def is_about_values(line: str) -> bool:
    """Whether a line of a check is about a row's values, and no damage of the file.

    They break a NOT NULL, a CHECK or a type that the table declares.
    """
    return line.startswith(_OF_VALUES)


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
        with closing(connection.execute(f"PRAGMA main.{what}({_ASKED_MAX})")) as rows:
            return list(islice(_damage(rows, knows_all), LINES_MAX))
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_ERROR:
            raise
        return [f"the file could not be checked: {error}"]
    finally:
        connection.execute("PRAGMA ignore_check_constraints = OFF")


def _damage(rows: Iterable[tuple[Any]], knows_all: bool) -> Iterator[str]:
    for (text,) in rows:
        for line in str(text).splitlines():
            is_said_of_all = line == "ok" or line.startswith("*** in database")
            is_expected = not knows_all and "never used" in line
            if not (is_said_of_all or is_expected or is_about_values(line)):
                yield line
