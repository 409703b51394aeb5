"""Databases in memory that statements make, to ask SQLite itself about them.

Owns what such a database needs that the statements do not bring.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from typing import Final

from lockstep.migrations.sqlite.tokens import meaningful, tokens

_KNOWN_COLLATIONS: Final = frozenset({"BINARY", "NOCASE", "RTRIM"})


def stand_in_for_collations(
    connection: sqlite3.Connection, statements: list[str]
) -> list[str]:
    """Let bytes be compared for every collation that statements name and we lack."""
    missing = collations_in(statements)
    for name in missing:
        connection.create_collation(name, compare_bytes)
    return missing


@contextmanager
def scratch_of(statements: list[str]) -> Generator[sqlite3.Connection]:
    """Give a database in memory that these statements have made.

    One that SQLite refuses is left out: whoever needs it says so himself.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
        stand_in_for_collations(scratch, statements)
        for sql in statements:
            with suppress(sqlite3.Error):
                scratch.execute(sql)
        yield scratch


def collations_in(statements: list[str]) -> list[str]:
    """Return the collations that statements name and SQLite does not bring."""
    found: dict[str, str] = {}
    for sql in statements:
        parts = meaningful(tokens(sql))
        for word, name in pairwise(parts):
            if word.is_word("COLLATE") and name.name is not None:
                found.setdefault(name.name.upper(), name.name)
    return [name for upper, name in found.items() if upper not in _KNOWN_COLLATIONS]


def compare_bytes(one: str, two: str) -> int:
    """Stand in for a collation that this SQLite lacks: the order of the bytes."""
    return (one > two) - (one < two)
