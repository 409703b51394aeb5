"""What a database holds, as one short line per table: rows and a digest.

Owns the digest's definition, so that a backup, its copy and what is restored from it
can be compared on any machine and any version of an engine. It knows no file.

    row ──► canonical text ──► SHA-256 ──► its first two 64-bit words, each summed

A sum does not depend on the order of the rows, and two equal rows count twice (a
XOR would let them cancel each other).

    SQLite       Python's ``repr`` of the row: type and value of each column
    PostgreSQL   the row as text under fixed settings, hashed by the server

Digests of the two engines are not comparable; the mover's cells are.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

CATALOGS = frozenset({"sqlite_schema", "pg_class", "pg_constraint"})
"""Lists of what else there is (indexes, constraints, views), digested like tables."""

_WORD = 1 << 64
_FIRST_WORDS = struct.Struct(">QQ")


@dataclass(frozen=True, slots=True)
class Step:
    """How far a long task is.

    Attributes:
        task: What is being done.
        done: Of what ``unit`` says.
        total: None when nobody knows yet.
        unit: ``pages``, ``tables``, ``rows`` or ``bytes``.
    """

    task: str
    done: int
    total: int | None
    unit: str


OnProgress = Callable[[Step], None]


def ignore_progress(step: Step) -> None:
    """Be told, and do nothing."""


@dataclass(frozen=True, slots=True)
class TableContent:
    """One table as of one snapshot.

    Attributes:
        name: As the engine spells it; PostgreSQL: with its schema.
        columns: In the table's order; generated ones are left out on SQLite.
        rows: How many.
        digest: 32 hexadecimal digits.
    """

    name: str
    columns: tuple[str, ...]
    rows: int
    digest: str


class RowSum:
    """Adds up the digests of rows, in any order."""

    def __init__(self) -> None:
        self.rows = 0
        self._first = 0
        self._second = 0

    def add(self, canonical: bytes) -> None:
        """Count one row."""
        first, second = _FIRST_WORDS.unpack_from(hashlib.sha256(canonical).digest())
        self.rows += 1
        self._first += first
        self._second += second

    def add_sums(self, rows: int, first: int, second: int) -> None:
        """Count rows whose words the server has summed, as signed integers."""
        self.rows += rows
        self._first += first
        self._second += second

    @property
    def digest(self) -> str:
        """The two sums as 32 hexadecimal digits."""
        return f"{self._first % _WORD:016x}{self._second % _WORD:016x}"


@dataclass(frozen=True, slots=True)
class TableDifference:
    """A table that is not what was expected; None where there is no such table."""

    name: str
    expected_rows: int | None
    actual_rows: int | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return {
            "name": self.name,
            "expected_rows": self.expected_rows,
            "actual_rows": self.actual_rows,
            "reason": self.reason,
        }


def compare(
    expected: Iterable[TableContent], actual: Iterable[TableContent]
) -> list[TableDifference]:
    """Return the tables that differ, by name; none when both hold the same.

    Example:
        >>> compare([TableContent("part", ("id",), 2, "00")], [])[0].reason
        'the table is missing'
    """
    wanted = {table.name: table for table in expected}
    found = {table.name: table for table in actual}
    differences: list[TableDifference] = []
    for name in sorted(wanted.keys() | found.keys()):
        want, have = wanted.get(name), found.get(name)
        reason = _reason(want, have)
        if reason:
            rows = (want.rows if want else None, have.rows if have else None)
            differences.append(TableDifference(name, *rows, reason))
    return differences


def unreadable(expected: Iterable[TableContent]) -> list[TableDifference]:
    """Return every expected table as one of which nothing can be known."""
    reason = "it cannot be read"
    return [TableDifference(each.name, each.rows, None, reason) for each in expected]


def _reason(want: TableContent | None, have: TableContent | None) -> str:
    if want is None:
        return "the table was not in the backup"
    if have is None:
        return "the table is missing"
    if want.columns != have.columns:
        return "the columns differ"
    if want.rows != have.rows:
        return f"{want.rows:,} rows expected, {have.rows:,} found"
    return "" if want.digest == have.digest else "the values differ"
