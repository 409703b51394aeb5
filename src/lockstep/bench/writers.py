"""Many writers, one kind of request: two rows inserted and one changed, durable.

Owns that request on every side, and the count of what was acknowledged: afterwards the
database must hold exactly that, or the side has lost something.

    hot      every request changes the same row (a counter, a stock)
    spread   each writer changes a row of its own
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lockstep.bench.contestants import (
    LIBSQL,
    PATIENCE_S,
    POSTGRESQL,
    SQLITE,
    TITLES,
    connect_sqlite,
    new_database,
)
from lockstep.bench.loads import tasks_at_once, threads_at_once
from lockstep.bench.scenario import Contestant, Missing, Place, Round
from lockstep.engine import Database
from lockstep.engine.unit import Unit

POOL_SIZE = 20
HOT_ROW = 1
NOTE = "INSERT INTO note (writer, text) VALUES ({0}, {1})"
LINE = "INSERT INTO line (writer, amount) VALUES ({0}, {1})"
STOCK = "UPDATE stock SET quantity = quantity + 1 WHERE id = {0}"
TEXT = "the pump leaks again, third time this week"
AMOUNT = 3

_KEYS = {
    SQLITE: "INTEGER PRIMARY KEY",
    POSTGRESQL: "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    LIBSQL: "INTEGER PRIMARY KEY",
}


def make_tables(db: Database, writers: int) -> None:
    """Make three tables and one stock row for each writer."""
    key = _KEYS[db.engine_name]
    with db.write_session() as session:
        run = session.connection().exec_driver_sql
        run(f"CREATE TABLE note (id {key}, writer BIGINT NOT NULL, text TEXT NOT NULL)")
        run(f"CREATE TABLE line (id {key}, writer BIGINT NOT NULL, amount BIGINT)")
        run("CREATE TABLE stock (id BIGINT PRIMARY KEY, quantity BIGINT NOT NULL)")
        rows = ", ".join(f"({number + 1}, 0)" for number in range(writers))
        run(f"INSERT INTO stock (id, quantity) VALUES {rows}")  # noqa: S608 - numbers


class Writers(Contestant):
    """Writers at once, each doing one request after another.

    Args:
        name: What the table shows.
        engine: Where they write.
        count: How many.
        seconds: How long a round lasts; None: one request of each.
        hot: Whether all change the same row.
    """

    def __init__(
        self,
        name: str,
        engine: str,
        count: int,
        seconds: float | None,
        *,
        hot: bool = True,
    ) -> None:
        self.name = name
        self._engine = engine
        self._count = count
        self._seconds = seconds
        self._hot = hot
        self._acknowledged = 0
        self._db: Database | None = None

    @property
    def db(self) -> Database:
        """The database that the tables were made in."""
        assert self._db is not None, "open comes before"
        return self._db

    @property
    def path(self) -> Path:
        """The SQLite file."""
        assert self.db.url.path is not None, "contestants use files"
        return self.db.url.path

    def open(self, place: Place) -> None:
        """Make the tables."""
        db = new_database(
            self._engine, place, write={"timeout_s": PATIENCE_S, "queue_max": 10_000}
        )
        self._db = db
        make_tables(db, self._count)
        self.use(db)

    def use(self, db: Database) -> None:
        """Get ready to write to a database whose tables are there."""
        self._db = db

    def stock_row(self, writer: int) -> int:
        """Return the row that this writer changes."""
        return HOT_ROW if self._hot else writer + 1

    @abstractmethod
    def load(self) -> Round:
        """Let the writers work once."""

    def round(self) -> Round:
        """Let the writers work, and remember what they were told."""
        done = self.load()
        self._acknowledged += done.operations
        return done

    def check(self) -> list[str]:
        """Compare what was acknowledged with what is there."""
        with self.db.read_session() as session:
            run = session.connection().exec_driver_sql
            found = {
                "note": run("SELECT count(*) FROM note").scalar_one(),
                "line": run("SELECT count(*) FROM line").scalar_one(),
                "stock": int(run("SELECT sum(quantity) FROM stock").scalar_one()),
            }
        return [
            f"{self._acknowledged - there} of {self._acknowledged} acknowledged "
            f"writes are not in {table}"
            for table, there in found.items()
            if there != self._acknowledged
        ]

    def proof(self) -> str:
        """Say how many writes were looked for."""
        return f"all {self._acknowledged:,} found"

    def close(self) -> None:
        """Close the database."""
        if self._db is not None:
            self._db.close()


class LockstepWriters(Writers):
    """``db.write`` from threads, or ``db.async_write`` from tasks."""

    def __init__(
        self,
        engine: str,
        count: int,
        seconds: float | None,
        *,
        tasks: bool = False,
        hot: bool = True,
    ) -> None:
        way = "async_write" if tasks else "write"
        super().__init__(
            f"Lockstep db.{way}, {TITLES[engine]}", engine, count, seconds, hot=hot
        )
        self._tasks = tasks

    def use(self, db: Database) -> None:
        """Make one function for each writer."""
        super().use(db)
        self._functions = [self._function(number) for number in range(self._count)]
        self._runner = asyncio.Runner() if self._tasks else None

    def _function(self, writer: int) -> Callable[[Unit], None]:
        note, line = NOTE.format(":w", ":t"), LINE.format(":w", ":a")
        stock, row = STOCK.format(":r"), self.stock_row(writer)

        def write(unit: Unit) -> None:
            unit.send(note, {"w": writer, "t": TEXT})
            unit.send(line, {"w": writer, "a": AMOUNT})
            unit.send(stock, {"r": row})

        return write

    def load(self) -> Round:
        """Let the writers work once."""
        functions, db = self._functions, self.db
        if self._runner is None:
            return threads_at_once(
                self._count,
                lambda number: db.write(functions[number]),
                seconds=self._seconds,
            )
        return self._runner.run(
            tasks_at_once(
                self._count,
                lambda number: db.async_write(functions[number]),
                seconds=self._seconds,
            )
        )

    def close(self) -> None:
        """Close the database, then the loop."""
        super().close()
        runner = getattr(self, "_runner", None)
        if runner is not None:
            runner.close()


class OneClient(Writers):
    """One client that commits one request after another, in a session each."""

    def __init__(self, engine: str, seconds: float) -> None:
        super().__init__(f"one client, {TITLES[engine]}", engine, 1, seconds)

    def load(self) -> Round:
        """Let it write."""
        note, line = NOTE.format(":w", ":t"), LINE.format(":w", ":a")
        stock = STOCK.format(":r")

        def request(writer: int) -> None:
            with self.db.write_session() as session:
                session.execute(sa.text(note), {"w": writer, "t": TEXT})
                session.execute(sa.text(line), {"w": writer, "a": AMOUNT})
                session.execute(sa.text(stock), {"r": self.stock_row(writer)})

        return threads_at_once(1, request, seconds=self._seconds)


class ConnectionPerRequest(Writers):
    """What many programs do: ``sqlite3.connect``, three statements, commit, close.

    Everything as Python and SQLite have it by default, five seconds of patience
    included; the file is in WAL mode, which flatters it.
    """

    def __init__(self, count: int, seconds: float | None) -> None:
        super().__init__("sqlite3, a connection each", SQLITE, count, seconds)

    def load(self) -> Round:
        """Let the writers work once."""
        path = self.path

        def request(writer: int) -> None:
            connection = sqlite3.connect(path)
            try:
                _three_statements(connection, writer, self.stock_row(writer))
                connection.commit()
            finally:
                connection.close()

        return threads_at_once(self._count, request, seconds=self._seconds)


class BeginImmediate(Writers):
    """What careful programs do: a connection per thread, ``BEGIN IMMEDIATE``."""

    def __init__(self, count: int, seconds: float | None) -> None:
        super().__init__("sqlite3, BEGIN IMMEDIATE", SQLITE, count, seconds)
        self._connections: list[sqlite3.Connection] = []

    def use(self, db: Database) -> None:
        """Open one connection for each writer."""
        super().use(db)
        self._connections += [connect_sqlite(self.path) for _ in range(self._count)]

    def load(self) -> Round:
        """Let the writers work once."""

        def request(writer: int) -> None:
            connection = self._connections[writer]
            connection.execute("BEGIN IMMEDIATE")
            try:
                _three_statements(connection, writer, self.stock_row(writer))
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

        return threads_at_once(self._count, request, seconds=self._seconds)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()
        super().close()


class Processes(Writers):
    """Writers in several processes, all on one SQLite file.

    Args:
        way: ``lockstep`` or ``immediate``.
        processes: How many.
        count: Writers in each of them.
        seconds: How long a round lasts.
    """

    def __init__(self, way: str, processes: int, count: int, seconds: float) -> None:
        names = {"lockstep": "Lockstep db.write", "immediate": "BEGIN IMMEDIATE"}
        super().__init__(names[way], SQLITE, processes * count, seconds)
        self._way = way
        self._workers = processes
        self._each = count
        self._processes: list[subprocess.Popen[str]] = []

    def open(self, place: Place) -> None:
        """Make the tables, start the processes and wait until all are ready."""
        super().open(place)
        for _ in range(self._workers):
            process = subprocess.Popen(
                [sys.executable, "-m", "lockstep.bench.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                text=True,
            )
            self._processes.append(process)
            request = {
                "way": self._way,
                "path": str(self.path),
                "writers": self._each,
                "seconds": self._seconds,
            }
            _tell(process, json.dumps(request))
        for process in self._processes:
            line = _hear(process)
            assert line == "ready", f"a worker did not start: {line}"

    def load(self) -> Round:
        """Let all processes write at once."""
        for process in self._processes:
            _tell(process, "go")
        answers: list[dict[str, Any]] = [
            json.loads(_hear(process)) for process in self._processes
        ]
        taken = tuple(second for answer in answers for second in answer["taken"])
        longest = max(float(answer["elapsed"]) for answer in answers)
        refused = sum(int(answer["refused"]) for answer in answers)
        return Round(len(taken), longest, taken, refused)

    def close(self) -> None:
        """End the processes, then close the database."""
        for process in self._processes:
            # They end when nobody speaks to them any more.
            process.communicate(timeout=PATIENCE_S)
        super().close()


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin, "started with a pipe"
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout, "started with a pipe"
    return process.stdout.readline().strip()


def _three_statements(connection: sqlite3.Connection, writer: int, row: int) -> None:
    connection.execute(NOTE.format("?", "?"), (writer, TEXT))
    connection.execute(LINE.format("?", "?"), (writer, AMOUNT))
    connection.execute(STOCK.format("?"), (row,))


async def asyncpg_pool(db: Database) -> Any:
    """Open asyncpg's pool on a database that we made."""
    asyncpg: Any = import_module("asyncpg")
    url = db.url.sqlalchemy_url()
    host = url.query.get("host") or url.host
    port = url.query.get("port") or url.port
    return await asyncpg.create_pool(
        host=host,
        port=int(str(port or 5432)),
        user=url.username,
        password=str(url.password) if url.password else None,
        database=url.database,
        min_size=POOL_SIZE,
        max_size=POOL_SIZE,
    )


class AsyncpgPool(Writers):
    """asyncpg with a pool of twenty: the fastest driver, as its manual shows it."""

    def __init__(self, count: int, seconds: float | None, *, hot: bool) -> None:
        rows = "hot row" if hot else "spread rows"
        super().__init__(
            f"asyncpg, pool of {POOL_SIZE}, {rows}", POSTGRESQL, count, seconds, hot=hot
        )
        self._runner: asyncio.Runner | None = None
        self._pool: Any = None

    def open(self, place: Place) -> None:
        """Open the pool.

        Raises:
            Missing: asyncpg is not installed.
        """
        if find_spec("asyncpg") is None:
            raise Missing("needs asyncpg", hint="pip install 'lockstep-db[bench]'")
        super().open(place)
        self._runner = asyncio.Runner()
        self._pool = self._runner.run(asyncpg_pool(self.db))

    def load(self) -> Round:
        """Let the writers work once."""
        assert self._runner is not None, "open comes before"
        pool = self._pool
        note, line = NOTE.format("$1", "$2"), LINE.format("$1", "$2")
        stock = STOCK.format("$1")

        async def request(writer: int) -> None:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(note, writer, TEXT)
                await connection.execute(line, writer, AMOUNT)
                await connection.execute(stock, self.stock_row(writer))

        wanted: Callable[[int], Awaitable[object]] = request
        return self._runner.run(
            tasks_at_once(self._count, wanted, seconds=self._seconds)
        )

    def close(self) -> None:
        """Close the pool, its loop and the database."""
        if self._runner is not None:
            if self._pool is not None:
                self._runner.run(self._pool.close())
            self._runner.close()
        super().close()
