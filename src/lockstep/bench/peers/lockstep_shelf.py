"""Lockstep: rows through its repositories, in units of work and in sessions."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from lockstep.bench.contestants import TITLES, new_database
from lockstep.bench.scenario import Place
from lockstep.bench.shelf import PartRow, Shelf
from lockstep.bench.workshop import Part, make_tables
from lockstep.engine import Database
from lockstep.repository import CompiledRepository, Repository


class PartRecord(NamedTuple):
    """A part as a plain typed row."""

    id: uuid.UUID
    version: int
    sku: str
    name: str
    quantity: int
    price: Decimal
    counted_at: datetime


class LockstepShelf(Shelf):
    """Through ``CompiledRepository``: into records, or into instances of the model."""

    def __init__(self, engine: str, *, records: bool = True) -> None:
        kind = "records" if records else "instances"
        self.name = f"Lockstep, {TITLES[engine]}, {kind}"
        self._engine = engine
        self._into = PartRecord if records else None
        self._db: Database | None = None

    @property
    def db(self) -> Database:
        """The database."""
        assert self._db is not None, "open comes before"
        return self._db

    def open(self, place: Place) -> None:
        """Make the table."""
        self._db = new_database(self._engine, place)
        make_tables(self._db)

    def _parts(self, unit: Any) -> Any:
        return CompiledRepository(Part, unit, into=self._into)

    def get(self, keys: Sequence[uuid.UUID]) -> Any:
        """Read each row in one unit of work."""

        def read(unit: Any) -> Any:
            get, row = self._parts(unit).get, None
            for key in keys:
                row = get(key)
            return row

        return self.db.read(read)

    def rows(self, count: int) -> Sequence[Any]:
        """Return typed rows."""
        return self.db.read(
            lambda unit: self._parts(unit).list(order_by=Part.sku, limit=count)
        )

    def insert(self, rows: Sequence[PartRow]) -> None:
        """Store mappings."""
        self.db.write(lambda unit: self._parts(unit).add_many(rows, returning=False))

    def empty(self) -> None:
        """Remove every row."""
        self.db.write(lambda unit: unit.execute("DELETE FROM part"))

    def count(self) -> int:
        """Count the rows."""
        return int(self.db.read(lambda unit: self._parts(unit).count()))

    def close(self) -> None:
        """Close the database."""
        if self._db is not None:
            self._db.close()


class OrmRepositoryShelf(LockstepShelf):
    """Through ``Repository`` in a session: instances that belong to it."""

    def __init__(self, engine: str) -> None:
        super().__init__(engine, records=False)
        self.name = f"Lockstep, {TITLES[engine]}, sessions"

    def open(self, place: Place) -> None:
        """Make the table."""
        self._db = new_database(self._engine, place)
        make_tables(self._db)

    def get(self, keys: Sequence[uuid.UUID]) -> Any:
        """Read each row in one session."""
        with self.db.read_session() as session:
            parts, row = Repository(Part, session), None
            for key in keys:
                row = parts.get(key)
            return row

    def rows(self, count: int) -> Sequence[Any]:
        """Return instances."""
        with self.db.read_session() as session:
            return Repository(Part, session).list(order_by=Part.sku, limit=count)

    def insert(self, rows: Sequence[PartRow]) -> None:
        """Store mappings."""
        with self.db.write_session() as session:
            Repository(Part, session).add_many(rows, returning=False)

    def count(self) -> int:
        """Count the rows."""
        with self.db.read_session() as session:
            return Repository(Part, session).count()
