"""A row by its key from tasks of an event loop."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, Protocol

from lockstep.bench.contestants import SQLITE, new_database
from lockstep.bench.loads import tasks_at_once
from lockstep.bench.peers.advanced_alchemy_shelf import AsyncAdvancedAlchemy
from lockstep.bench.peers.lockstep_shelf import PartRecord
from lockstep.bench.peers.raw import RawShelf
from lockstep.bench.peers.sqlalchemy_shelf import AsyncOrm
from lockstep.bench.scenario import (
    Contestant,
    Metric,
    Place,
    Round,
    Scale,
    Scenario,
    Target,
)
from lockstep.bench.shelf import PARTS, STRIDE, Get, PartRow
from lockstep.bench.workshop import Part, Rows, make_tables
from lockstep.engine import Database
from lockstep.repository import CompiledRepository

TASKS = 10
OURS = "Lockstep async_read"


class AsyncSide(Protocol):
    """One side; its loop is its own, because pools belong to loops."""

    name: str
    runner: asyncio.Runner

    def open(self, place: Place, rows: list[PartRow]) -> None:
        """Make the table and put the rows in."""
        ...

    async def get(self, key: uuid.UUID) -> Any:
        """Read one row, in a transaction of its own."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class AsyncLockstep:
    """``async_read`` and ``CompiledRepository``: one hop to a thread for each unit."""

    name = OURS

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self._db: Database | None = None

    def open(self, place: Place, rows: list[PartRow]) -> None:
        """Make the table."""
        self._db = new_database(SQLITE, place)
        make_tables(self._db)
        self._db.write(lambda unit: CompiledRepository(Part, unit).add_many(rows))

    async def get(self, key: uuid.UUID) -> Any:
        """Read one row."""
        assert self._db is not None, "open comes before"
        return await self._db.async_read(
            lambda unit: CompiledRepository(Part, unit, into=PartRecord).get(key)
        )

    def close(self) -> None:
        """Close the database and the loop."""
        if self._db is not None:
            self.runner.run(self._db.aclose())
        self.runner.close()


class AsyncGet(Contestant):
    """Tasks that each read one row after another."""

    def __init__(self, side: AsyncSide, seconds: float) -> None:
        self.name = side.name
        self._side = side
        self._seconds = seconds
        self._number = 0

    def open(self, place: Place) -> None:
        """Make the table and put a thousand parts in."""
        rows = Rows().parts(PARTS)
        self._rows = rows
        self._side.open(place, rows)

    def round(self) -> Round:
        """Let the tasks read for a while."""
        rows, side = self._rows, self._side

        async def request(task: int) -> None:
            self._number += 1
            row = rows[self._number * STRIDE % PARTS]
            found = await side.get(row["id"])
            assert found.sku == row["sku"], "the row that was asked for"

        return side.runner.run(tasks_at_once(TASKS, request, seconds=self._seconds))

    def close(self) -> None:
        """Let go of everything."""
        self._side.close()


def _contestants(scale: Scale) -> list[Contestant]:
    seconds = scale.pick(0.3, 0.02)
    sides: list[AsyncSide] = [AsyncLockstep(), AsyncOrm(), AsyncAdvancedAlchemy()]
    raw = Get(RawShelf(SQLITE), scale.pick(500, 5), 1)
    return [raw, *(AsyncGet(side, seconds) for side in sides)]


SCENARIO = Scenario(
    name="get-async",
    title="A row by its key from ten tasks, a transaction each",
    why=(
        "SQLite has no asynchronous interface, so every side hops to threads. One "
        "hop for the whole unit of work is the least there is. The target is against "
        "the raw driver without any: tuples of stored values, in one thread."
    ),
    metric=Metric.TIME,
    baseline="sqlite3",
    contestants=_contestants,
    no_limit=(
        "The work is done in this process, from memory: the raw driver beside it is "
        "the limit."
    ),
    targets=(Target(OURS, "at most", 5.0, "sqlite3"),),
)
