"""The raw drivers: ``sqlite3`` and ``psycopg``, tuples in and out.

The lower bound: nothing is converted, so on SQLite a key is text and a price a number
of cents. ``TypedByHand`` is what a program writes that wants typed rows and has no data
layer: the same statements, and each value converted in its place.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from lockstep.bench.contestants import DRIVERS, SQLITE, Driver, new_database
from lockstep.bench.scenario import Place
from lockstep.bench.shelf import COLUMNS, FIELDS, PartRow, Shelf
from lockstep.bench.workshop import make_tables

_BY_KEY = f"SELECT {COLUMNS} FROM part WHERE id = ?"  # noqa: S608 - constants
_IN_ORDER = f"SELECT {COLUMNS} FROM part ORDER BY sku LIMIT ?"  # noqa: S608
_INSERT = f"INSERT INTO part ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608


class RawShelf(Shelf):
    """A driver's connection on the table that Lockstep makes."""

    def __init__(self, engine: str) -> None:
        self.name = DRIVERS[engine]
        self._engine = engine
        self._driver: Driver | None = None

    @property
    def _here(self) -> Driver:
        assert self._driver is not None, "open comes before"
        return self._driver

    def open(self, place: Place) -> None:
        """Make the table with Lockstep, then let go of it."""
        with new_database(self._engine, place) as db:
            make_tables(db)
            self._driver = Driver(self._engine, db)

    def get(self, keys: Sequence[uuid.UUID]) -> Any:
        """Read each row."""
        driver = self._here
        if self._engine == SQLITE:
            stored: list[Any] = [str(key) for key in keys]
            execute = driver.raw.execute
            execute("BEGIN")
            row: Any = None
            for key in stored:
                row = execute(_BY_KEY, (key,)).fetchone()
            execute("COMMIT")
            return row
        row = None
        with driver.raw.transaction():
            for key in keys:
                row = driver.execute(_BY_KEY, (key,)).fetchone()
        return row

    def rows(self, count: int) -> Sequence[Any]:
        """Return rows as tuples."""
        found: Sequence[Any] = self._here.execute(_IN_ORDER, (count,)).fetchall()
        return found

    def prepare(self, rows: Sequence[PartRow]) -> Sequence[Any]:
        """Return tuples in the stored form."""
        if self._engine != SQLITE:
            return [tuple(row[name] for name in FIELDS) for row in rows]
        return [
            (
                str(row["id"]),
                *(row[name] for name in ("version", "sku", "name", "quantity")),
                int(row["price"] * 100),
                row["counted_at"].isoformat(timespec="microseconds")[:-6] + "Z",
            )
            for row in rows
        ]

    def insert(self, rows: Sequence[Any]) -> None:
        """Store tuples: ``executemany``."""
        raw = self._here.raw
        if self._engine == SQLITE:
            raw.execute("BEGIN IMMEDIATE")
            raw.executemany(_INSERT, rows)
            raw.execute("COMMIT")
            return
        with raw.transaction(), raw.cursor() as cursor:
            cursor.executemany(_INSERT.replace("?", "%s"), rows)

    def empty(self) -> None:
        """Remove every row."""
        self._here.execute("DELETE FROM part")

    def count(self) -> int:
        """Count the rows."""
        row = self._here.execute("SELECT count(*) FROM part").fetchone()
        return int(row[0])

    def sku_of(self, row: Any) -> str:
        """Return the third column."""
        return str(row[2])

    def close(self) -> None:
        """Close the connection."""
        if self._driver is not None:
            self._driver.close()


class TypedRow(NamedTuple):
    """A part as a program's own typed row."""

    id: uuid.UUID
    version: int
    sku: str
    name: str
    quantity: int
    price: Decimal
    counted_at: datetime


class TypedByHand(RawShelf):
    """``sqlite3`` with the conversions written by hand: typed rows in and out."""

    def __init__(self) -> None:
        super().__init__(SQLITE)
        self.name = "sqlite3, typed by hand"

    def get(self, keys: Sequence[uuid.UUID]) -> Any:
        """Read each row and convert it."""
        execute = self._here.raw.execute
        execute("BEGIN")
        row: Any = None
        for key in keys:
            row = _typed(execute(_BY_KEY, (str(key),)).fetchone())
        execute("COMMIT")
        return row

    def rows(self, count: int) -> Sequence[Any]:
        """Return typed rows."""
        return [_typed(row) for row in super().rows(count)]

    def prepare(self, rows: Sequence[PartRow]) -> Sequence[Any]:
        """Return the rows as they are: converting them is part of the work."""
        return rows

    def insert(self, rows: Sequence[PartRow]) -> None:
        """Convert the rows, then store them."""
        super().insert(super().prepare(rows))

    def sku_of(self, row: Any) -> str:
        """Return the column by its name."""
        return str(row.sku)


def _typed(row: Any) -> TypedRow:
    key, version, sku, name, quantity, cents, moment = row
    return TypedRow(
        uuid.UUID(key),
        version,
        sku,
        name,
        quantity,
        Decimal(cents).scaleb(-2),
        datetime.fromisoformat(moment),
    )
