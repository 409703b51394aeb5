"""What the tests of ``db.write`` share: a table, and a writer that is held up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine import Database, Unit

CREATE = "CREATE TABLE part (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n >= 0))"
ADD = "INSERT INTO part (id, n) VALUES (:id, :n)"
RAISE = "UPDATE part SET n = n + 1 WHERE id = 1"


def adding(key: int, n: int = 0) -> Callable[[Unit], int]:
    def add(unit: Unit) -> int:
        unit.execute(ADD, {"id": key, "n": n})
        return key

    return add


def rows(db: Database) -> dict[int, int]:
    def read(unit: Unit) -> dict[int, int]:
        return dict(unit.execute("SELECT id, n FROM part ORDER BY id").fetchall())

    return db.read(read)


def with_parts(make_database: MakeDatabase, engine: str) -> Database:
    """Make the table, with one row.

    A batch stays open until nobody waits, so that those who queue behind a function
    that is held up share its transaction on a slow machine too.
    """
    db = make_database(engine, write={"batch_s_max": 10})
    db.write(lambda unit: unit.execute(CREATE))
    db.write(adding(1))
    return db


class Held:
    """Keeps the writer inside a function until it is let go."""

    def __init__(self, db: Database) -> None:
        self._inside, self._go = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self.result = self._pool.submit(db.write, self._hold)
        assert self._inside.wait(10)

    def _hold(self, unit: Unit) -> str:
        self._inside.set()
        assert self._go.wait(10)
        return "held"

    def let_go(self) -> None:
        self._go.set()
        self._pool.shutdown()


def queued(db: Database, count: int) -> None:
    """Wait until ``count`` functions wait for the writer."""
    lane = db._units._writing
    deadline = time.monotonic() + 10
    while len(lane._queue) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)
