"""Writers through the typed repository: version checked, audit row, durable.

Owns the audited table and that request on every side. Each writer changes a row of its
own and knows the version it has; a stale one would be refused. Afterwards every
acknowledged change has raised a version by one and left one audit row.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lockstep.bench.contestants import (
    PATIENCE_S,
    POSTGRESQL,
    SQLITE,
    TITLES,
    new_database,
)
from lockstep.bench.loads import tasks_at_once, threads_at_once
from lockstep.bench.scenario import Contestant, Missing, Place, Round
from lockstep.bench.workshop import Rows
from lockstep.bench.writers import POOL_SIZE, asyncpg_pool
from lockstep.engine import Database
from lockstep.engine.unit import Unit
from lockstep.repository import AuditTrail, CompiledRepository, Repository
from lockstep.schema import BigInteger, Portable, Text, UuidKey, Versioned

_FIELDS = ("id", "version", "bin", "quantity")
_ROW = "SELECT id, version, bin, quantity FROM stock WHERE id = ?"
_UPDATE = (
    "UPDATE stock SET quantity = ?, version = version + 1 WHERE id = ? AND version = ?"
)
_ENTRY = (
    "INSERT INTO audit_log (id, at, actor, action, table_name, row_key, before, after)"
    " VALUES (?, ?, ?, 'update', 'stock', ?, ?, ?)"
)


class Base(Portable, DeclarativeBase):
    """A registry of its own: an audit model audits every model of its base."""


class Stock(UuidKey, Versioned, Base):
    """What lies in a bin."""

    __tablename__ = "stock"

    bin: Mapped[str] = mapped_column(Text(40))
    quantity: Mapped[int] = mapped_column(BigInteger)


class StockHistory(AuditTrail, Base):
    """Who changed what."""


class _Audited(Contestant):
    """Writers that each change a row of their own, again and again.

    Args:
        engine: Where.
        count: How many writers.
        seconds: How long a round lasts.
    """

    def __init__(self, name: str, engine: str, count: int, seconds: float) -> None:
        self.name = name
        self._engine = engine
        self._count = count
        self._seconds = seconds
        self._db: Database | None = None

    @property
    def db(self) -> Database:
        """The database that the tables were made in."""
        assert self._db is not None, "open comes before"
        return self._db

    def open(self, place: Place) -> None:
        """Make the tables and one row for each writer."""
        self._db = new_database(
            self._engine,
            place,
            write={"timeout_s": PATIENCE_S, "queue_max": 10_000},
            pool={"size": POOL_SIZE, "timeout_s": PATIENCE_S},
        )
        Base.metadata.create_all(self.db.engine)
        rows = Rows()
        self._keys = [rows.key() for _ in range(self._count)]
        self._versions = [1] * self._count
        values = [
            {"id": key, "version": 1, "bin": f"B-{number}", "quantity": 0}
            for number, key in enumerate(self._keys)
        ]
        with self.db.write_session() as session:
            session.execute(sa.insert(Stock), values)

    def _change(self, writer: int) -> dict[str, Any]:
        return {"quantity": self._versions[writer]}

    def check(self) -> list[str]:
        """Compare every version and the audit's length with what was acknowledged."""
        with self.db.read_session() as session:
            rows = session.execute(sa.select(Stock.id, Stock.version))
            versions = {key: version for key, version in rows}
            audited = session.execute(
                sa.select(sa.func.count()).select_from(StockHistory)
            ).scalar_one()
        expected = dict(zip(self._keys, self._versions, strict=True))
        wrong = sum(versions[key] != expected[key] for key in expected)
        changes = sum(self._versions) - self._count
        problems = [f"{wrong} rows have another version"] if wrong else []
        if audited != changes:
            problems.append(f"{audited} audit rows for {changes} changes")
        return problems

    def proof(self) -> str:
        """Say how many changes were looked for."""
        return f"all {sum(self._versions) - self._count:,} audited"

    def close(self) -> None:
        """Close the database."""
        if self._db is not None:
            self._db.close()


class CompiledWriters(_Audited):
    """``CompiledRepository.update`` in ``db.write``."""

    def __init__(
        self, engine: str, count: int, seconds: float, *, tasks: bool = False
    ) -> None:
        way = "async_write" if tasks else "write"
        name = f"Lockstep db.{way}, {TITLES[engine]}"
        super().__init__(name, engine, count, seconds)
        self._tasks = tasks
        self._runner: asyncio.Runner | None = None

    def open(self, place: Place) -> None:
        """Make the tables."""
        super().open(place)
        if self._tasks:
            self._runner = asyncio.Runner()

    def _function(self, writer: int) -> Callable[[Unit], None]:
        key, values = self._keys[writer], self._change(writer)
        expected = self._versions[writer]

        def write(unit: Unit) -> None:
            stock = CompiledRepository(Stock, unit)
            stock.update(key, values, expected_version=expected)

        return write

    def round(self) -> Round:
        """Let the writers work."""
        db = self.db
        if self._runner is not None:
            return self._runner.run(self._in_tasks(db))

        def request(writer: int) -> None:
            db.write(self._function(writer), actor="bench")
            self._versions[writer] += 1

        return threads_at_once(self._count, request, seconds=self._seconds)

    async def _in_tasks(self, db: Database) -> Round:
        async def request(writer: int) -> None:
            await db.async_write(self._function(writer), actor="bench")
            self._versions[writer] += 1

        return await tasks_at_once(self._count, request, seconds=self._seconds)

    def close(self) -> None:
        """Close the database and the loop."""
        super().close()
        if self._runner is not None:
            self._runner.close()


class WritersByHand(CompiledWriters):
    """The same four statements in ``db.async_write``, on ``sqlite3`` itself.

    What is left for Python to do here is what no library can spare it.
    """

    def __init__(self, count: int, seconds: float) -> None:
        super().__init__(SQLITE, count, seconds, tasks=True)
        self.name = "sqlite3 by hand in db.async_write"

    def _function(self, writer: int) -> Callable[[Unit], None]:
        key, version = str(self._keys[writer]), self._versions[writer]

        def write(unit: Unit) -> None:
            execute = unit.driver.execute
            was = execute(_ROW, (key,)).fetchone()
            done = execute(_UPDATE, (version, key, version))
            assert done.rowcount == 1, "nobody else changes this row"
            became = execute(_ROW, (key,)).fetchone()
            changed = [
                (name, old, new)
                for name, old, new in zip(_FIELDS, was, became, strict=True)
                if old != new
            ]
            at = datetime.now(UTC).isoformat()
            before = json.dumps({name: old for name, old, _ in changed})
            after = json.dumps({name: new for name, _, new in changed})
            identity = json.dumps({"id": key})
            entry = (str(uuid.uuid4()), at, unit.actor, identity, before, after)
            execute(_ENTRY, entry)

        return write


class SessionWriters(_Audited):
    """``Repository.update`` in a write session for each request."""

    def __init__(self, engine: str, count: int, seconds: float) -> None:
        name = f"Lockstep sessions, {TITLES[engine]}"
        super().__init__(name, engine, count, seconds)

    def round(self) -> Round:
        """Let the writers work."""

        def request(writer: int) -> None:
            with self.db.write_session(actor="bench") as session:
                Repository(Stock, session).update(
                    self._keys[writer],
                    self._change(writer),
                    expected_version=self._versions[writer],
                )
            self._versions[writer] += 1

        return threads_at_once(self._count, request, seconds=self._seconds)


class AsyncpgAudited(_Audited):
    """The same two statements by hand, on asyncpg with a pool of twenty."""

    def __init__(self, count: int, seconds: float) -> None:
        name = f"asyncpg, pool of {POOL_SIZE}, by hand"
        super().__init__(name, POSTGRESQL, count, seconds)
        self._runner: asyncio.Runner | None = None
        self._pool: Any = None

    def open(self, place: Place) -> None:
        """Make the tables and open the pool.

        Raises:
            Missing: asyncpg is not installed.
        """
        if find_spec("asyncpg") is None:
            raise Missing("needs asyncpg", hint="pip install 'lockstep-db[bench]'")
        super().open(place)
        self._asyncpg: Any = import_module("asyncpg")
        self._insert = _insert_of(Base.metadata.tables["audit_log"])
        self._runner = asyncio.Runner()
        self._pool = self._runner.run(asyncpg_pool(self.db))

    def round(self) -> Round:
        """Let the writers work."""
        assert self._runner is not None, "open comes before"
        pool = self._pool

        async def request(writer: int) -> None:
            async with pool.acquire() as connection, connection.transaction():
                await self._one(connection, writer)
            self._versions[writer] += 1

        wanted: Callable[[int], Awaitable[object]] = request
        return self._runner.run(
            tasks_at_once(self._count, wanted, seconds=self._seconds)
        )

    async def _one(self, connection: Any, writer: int) -> None:
        key, version = self._keys[writer], self._versions[writer]
        done = await connection.execute(
            "UPDATE stock SET quantity = $1, version = version + 1"
            " WHERE id = $2 AND version = $3",
            version,
            key,
            version,
        )
        assert done == "UPDATE 1", "nobody else changes this row"
        before = {"id": str(key), "quantity": version - 1, "version": version}
        after = {"id": str(key), "quantity": version, "version": version + 1}
        values = {
            "id": uuid.uuid4(),
            "at": datetime.now(UTC),
            "actor": "bench",
            "action": "update",
            "table_name": "stock",
            "row_key": json.dumps(str(key)),
            "before": json.dumps(before),
            "after": json.dumps(after),
        }
        names = self._insert[1]
        await connection.execute(self._insert[0], *(values[name] for name in names))

    def close(self) -> None:
        """Close the pool, its loop and the database."""
        if self._runner is not None:
            if self._pool is not None:
                self._runner.run(self._pool.close())
            self._runner.close()
        super().close()


def _insert_of(table: sa.Table) -> tuple[str, list[str]]:
    names = [column.name for column in table.columns]
    marks = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    listed = ", ".join(names)
    return f"INSERT INTO {table.name} ({listed}) VALUES ({marks})", names  # noqa: S608
