"""A shelf of parts: one row, a thousand rows, ten thousand new ones.

Owns the four things that every data layer does and that are compared with the raw
driver. Each side has a table of its own, made as its manual shows, with equal values in
it; what a side stores them as is its own business.

    Shelf ── get(keys)      each by its key, within one transaction
          ├─ rows(count)    as typed rows, in one transaction
          └─ insert(rows)   in one transaction
"""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from lockstep.bench.scenario import Contestant, Place, Round
from lockstep.bench.workshop import Rows

PARTS = 1000
STRIDE = 7
FIELDS = ("id", "version", "sku", "name", "quantity", "price", "counted_at")
COLUMNS = ", ".join(FIELDS)

PartRow = dict[str, Any]


class Shelf(ABC):
    """One side. Where a method is not offered, the side does not run that scenario.

    Attributes:
        name: What the table shows.
    """

    name: str

    @abstractmethod
    def open(self, place: Place) -> None:
        """Make an empty table of its own.

        Raises:
            Missing: What it needs is not installed.
        """

    @abstractmethod
    def get(self, keys: Sequence[uuid.UUID]) -> Any:
        """Read each row by its key, one after another; return the last one."""

    @abstractmethod
    def rows(self, count: int) -> Sequence[Any]:
        """Return ``count`` rows in the order of ``sku``."""

    @abstractmethod
    def insert(self, rows: Sequence[PartRow]) -> None:
        """Store new rows, durably."""

    @abstractmethod
    def empty(self) -> None:
        """Remove every row."""

    @abstractmethod
    def count(self) -> int:
        """Return how many rows there are."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything."""

    def prepare(self, rows: Sequence[PartRow]) -> Sequence[Any]:
        """Return ``rows`` as ``insert`` takes them; not timed.

        For raw drivers, whose callers have the stored form at hand already.
        """
        return rows

    def sku_of(self, row: Any) -> str:
        """Return one column of what ``get`` and ``rows`` return."""
        return row.sku


class _OnShelf(Contestant):
    """A contestant that works on a shelf."""

    def __init__(self, shelf: Shelf, times: int) -> None:
        self.name = shelf.name
        self._shelf = shelf
        self._times = times
        self._number = 0

    def open(self, place: Place) -> None:
        """Make the table and put a thousand parts in."""
        self._shelf.open(place)
        parts = Rows().parts(PARTS)
        self._keys = [row["id"] for row in parts]
        self._skus = [row["sku"] for row in parts]
        self._shelf.insert(self._shelf.prepare(parts))

    def close(self) -> None:
        """Let go of the shelf."""
        self._shelf.close()


class Get(_OnShelf):
    """Rows by their keys: ``unit`` of them within one transaction, again and again.

    Args:
        shelf: Where.
        times: Transactions in a round.
        unit: Rows in each; a single one shows the transaction's cost as well.
    """

    def __init__(self, shelf: Shelf, times: int, unit: int = 100) -> None:
        super().__init__(shelf, times)
        self._unit = unit

    def round(self) -> Round:
        """Read them."""
        units = [self._next() for _ in range(self._times)]
        get = self._shelf.get
        started = time.perf_counter()
        for unit in units:
            get(unit)
        elapsed = time.perf_counter() - started
        return Round(self._times * self._unit, elapsed)

    def _next(self) -> list[uuid.UUID]:
        first = self._number
        self._number += self._unit
        keys = self._keys
        return [keys[n * STRIDE % PARTS] for n in range(first, self._number)]

    def check(self) -> list[str]:
        """Look whether a key gives its own row."""
        place = 3 * STRIDE
        row = self._shelf.get([self._keys[place]])
        found = self._shelf.sku_of(row)
        return [] if found == self._skus[place] else [f"asked for one, got {found}"]


class ThousandRows(_OnShelf):
    """All thousand parts, in order."""

    def round(self) -> Round:
        """Read them all."""
        started = time.perf_counter()
        for _ in range(self._times):
            self._shelf.rows(PARTS)
        return Round(self._times, time.perf_counter() - started)

    def check(self) -> list[str]:
        """Look whether they are all there, in order."""
        found = [self._shelf.sku_of(row) for row in self._shelf.rows(PARTS)]
        return [] if found == self._skus else ["other rows than were put in"]


class BulkInsert(_OnShelf):
    """Many new rows in one transaction, into an empty table.

    Args:
        shelf: Where.
        count: How many.
    """

    def __init__(self, shelf: Shelf, count: int) -> None:
        super().__init__(shelf, 1)
        self._count = count

    def round(self) -> Round:
        """Empty the table, then put them in."""
        self._shelf.empty()
        rows = self._shelf.prepare(Rows().parts(self._count))
        started = time.perf_counter()
        self._shelf.insert(rows)
        return Round(1, time.perf_counter() - started)

    def check(self) -> list[str]:
        """Count them."""
        found = self._shelf.count()
        return [] if found == self._count else [f"{found} rows, not {self._count}"]
