"""The order in which a table's rows lie, and how a range of them is asked for.

Owns what tells a row from all others without reading it: its rowid or, in a table
WITHOUT ROWID, the values of its primary key. Rows lie sorted by it, so SQLite finds
both ends of a range at once, whatever the rows between them hold.

    rowid > ? AND rowid <= ?             (a, b) > (?, ?) AND (a, b) <= (?, ?)

Invariant: ranges lie side by side, in order, and have each row once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.model.sqlite import Table
from lockstep.mover.model.values import Value
from lockstep.mover.sqlite.rows import decoding

Key = tuple[Value, ...]
"""A row's rowid, or the values of its primary key."""

_COLLATIONS: Final = frozenset({"BINARY", "NOCASE", "RTRIM"})
"""By another one rows may lie in an order that a stand-in does not know."""


class OutOfOrder(Exception):
    """The rows do not lie in the order that the table says: it is damaged."""


@dataclass(frozen=True, slots=True)
class RowRange:
    """Some rows that lie side by side.

    Attributes:
        after: The key that they lie behind; None where they are the first.
        last: Of the last one.
        rows: How many at most.
    """

    after: Key | None
    last: Key
    rows: int


def order_of(table: Table) -> RowOrder | None:
    """Return the order of a table's rows; None where no range can be asked for."""
    if table.rowid_name is not None:
        return RowOrder(table.name, (quote(table.rowid_name),))
    if not table.without_rowid or table.problem:
        return None
    parts = [
        part for index in table.indexes if index.origin == "pk" for part in index.parts
    ]
    columns = [table.column(part.column or "") for part in parts]
    is_usual = all(
        # SQLite goes along the key only where nothing else compares its columns.
        column is not None and part.collation == column.collation
        for part, column in zip(parts, columns, strict=True)
    )
    is_known = _COLLATIONS.issuperset(part.collation for part in parts)
    if not parts or not is_usual or not is_known:
        return None
    if len({part.descending for part in parts}) > 1:
        return None
    return RowOrder(table.name, tuple(quote(part.column or "") for part in parts))


@dataclass(frozen=True)
class RowOrder:
    """What rows of a table are sorted by.

    Attributes:
        table: Its name.
        terms: The rowid, or the columns of the primary key; quoted.
    """

    table: str
    terms: tuple[str, ...]

    @property
    def one(self) -> str:
        """The condition for one row, whose key is bound."""
        return " AND ".join(f"{term} = ?" for term in self.terms)

    def within(self, some: RowRange) -> tuple[str, list[Value]]:
        """Return the condition for a range, and what is bound."""
        if some.after is None:
            return self._compared("<="), [*some.last]
        both = f"{self._compared('>')} AND {self._compared('<=')}"
        return both, [*some.after, *some.last]

    def ranges(self, connection: sqlite3.Connection, rows: int) -> Iterator[RowRange]:
        """Yield ranges of so many rows, the last one of fewer.

        Raises:
            OutOfOrder: One would begin where it has begun before.
            sqlite3.OperationalError: A key is no UTF-8.
        """
        backwards = ", ".join(f"{term} DESC" for term in self.terms)
        last = self._found(connection, f"ORDER BY {backwards} LIMIT 1")
        listed, after = ", ".join(self.terms), None
        step = f"ORDER BY {listed} LIMIT 1 OFFSET {rows - 1}"
        while last is not None and after != last:
            end = self._found(connection, step, after) or last
            yield RowRange(after, end, rows)
            after = end

    def halves(self, connection: sqlite3.Connection, some: RowRange) -> list[RowRange]:
        """Return the two halves of a range, or itself where it has half the rows."""
        half = some.rows // 2
        order = f"ORDER BY {', '.join(self.terms)} LIMIT 1 OFFSET {half - 1}"
        middle = self._found(connection, order, some.after)
        if middle is None or middle == some.last:
            return [RowRange(some.after, some.last, half)]
        return [
            RowRange(some.after, middle, half),
            RowRange(middle, some.last, some.rows - half),
        ]

    def _compared(self, sign: str) -> str:
        marks = ", ".join("?" * len(self.terms))
        return f"({', '.join(self.terms)}) {sign} ({marks})"

    def _found(
        self, connection: sqlite3.Connection, rest: str, after: Key | None = None
    ) -> Key | None:
        """Return the key of a row behind another one; None where there is none."""
        listed, values = ", ".join(self.terms), [*(after or ())]
        behind = self._compared(">") if values else "1"
        where = f" WHERE {behind}" if values else ""
        # A damaged index is never what rows are found by.
        sql = f"SELECT {listed}, {behind} FROM {quote(self.table)} NOT INDEXED"
        with decoding(connection, is_clean=True):
            row: Any = connection.execute(f"{sql}{where} {rest}", values * 2).fetchone()
        if row is None:
            return None
        if not row[-1]:
            raise OutOfOrder
        return tuple(row[:-1])
