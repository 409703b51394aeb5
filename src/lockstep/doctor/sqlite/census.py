"""What kinds of values the columns of a table really hold.

Owns one pass over a table that counts, per column, the storage classes SQLite
keeps with each value, and the extremes that other checks ask for. It reads no
value into Python.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lockstep.doctor.sqlite.bites import Progress, aggregates
from lockstep.schema.names import quote_identifier as quoted

if TYPE_CHECKING:
    from lockstep.doctor.catalog import Column, Table
    from lockstep.doctor.sqlite.questions import SqliteQuestions

COLUMNS_PER_PASS = 100
"""SQLite's answer has at most 2,000 columns; each takes eleven here."""


@dataclass(slots=True)
class ColumnCensus:
    """The values of one column, counted.

    Attributes:
        integers, reals, texts, blobs: Values of each storage class.
        empty_texts: Texts of length 0, counted among ``texts``.
        smallest, largest: Of the integers; None without one.
        longest: Characters of the longest text.
        odd_booleans: Integers other than 0 and 1.
        cents: Reals with at most two decimals, or integers.
        odd_cents: Those whose cents are no multiple of five.
    """

    integers: int = 0
    reals: int = 0
    texts: int = 0
    blobs: int = 0
    empty_texts: int = 0
    odd_booleans: int = 0
    cents: int = 0
    odd_cents: int = 0
    smallest: int | None = None
    largest: int | None = None
    longest: int = 0

    @property
    def values(self) -> int:
        """How many values are not NULL."""
        return self.integers + self.reals + self.texts + self.blobs

    def add(self, part: list[Any]) -> None:
        """Add the counts of one bite, in the order of ``_expressions``."""
        counts = [value or 0 for value in part[:8]]
        self.integers += counts[0]
        self.reals += counts[1]
        self.texts += counts[2]
        self.blobs += counts[3]
        self.empty_texts += counts[4]
        self.odd_booleans += counts[5]
        self.cents += counts[6]
        self.odd_cents += counts[7]
        smallest, largest, longest = part[8:]
        if smallest is not None:
            self.smallest = min(smallest, _or(self.smallest, smallest))
            self.largest = max(largest, _or(self.largest, largest))
        self.longest = max(self.longest, longest or 0)


@dataclass(slots=True)
class TableCensus(Progress):
    """The census of one table."""

    columns: dict[str, ColumnCensus] = field(
        default_factory=lambda: dict[str, ColumnCensus]()
    )


def take_census(database: SqliteQuestions, table: Table) -> TableCensus:
    """Count the values of every column of ``table``."""
    census = TableCensus()
    for start in range(0, len(table.columns), COLUMNS_PER_PASS):
        columns = table.columns[start : start + COLUMNS_PER_PASS]
        progress = Progress()
        expressions = [part for column in columns for part in _expressions(column)]
        counted = {column.name: ColumnCensus() for column in columns}
        for values in aggregates(database, table, expressions, progress):
            parts = iter(values)
            for column in columns:
                counted[column.name].add([next(parts) for _ in range(11)])
        census.columns |= counted
        census.looked_at = progress.looked_at
        census.is_complete = progress.is_complete
    return census


def _or(known: int | None, other: int) -> int:
    return other if known is None else known


def _expressions(column: Column) -> list[str]:
    name = quoted(column.name)
    kind = f"typeof({name})"
    numeric = column.family in (
        "integer",
        "boolean",
        "other",
        "time",
        "date",
        "decimal",
    )
    money = column.family in ("real", "decimal", "other")
    text = column.length_max is not None
    hundredfold = f"{name} * 100.0"
    # A binary fraction is off by a part of itself.
    near = f"max(0.000001, abs({hundredfold}) * 0.00000000000001)"
    cents = f"abs({hundredfold} - round({hundredfold})) < {near}"
    return [
        *(f"sum({kind} = '{word}')" for word in ("integer", "real", "text", "blob")),
        f"sum({name} = '')",
        f"sum({kind} = 'integer' AND {name} NOT IN (0, 1))"
        if column.family == "boolean"
        else "0",
        f"sum({cents})" if money else "0",
        f"sum({cents} AND CAST(round({name} * 100.0) AS INTEGER) % 5 <> 0)"
        if money
        else "0",
        f"min(CASE WHEN {kind} = 'integer' THEN {name} END)" if numeric else "NULL",
        f"max(CASE WHEN {kind} = 'integer' THEN {name} END)" if numeric else "NULL",
        f"max(CASE WHEN {kind} = 'text' THEN length({name}) END)" if text else "0",
    ]
