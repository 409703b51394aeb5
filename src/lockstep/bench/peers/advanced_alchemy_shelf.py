"""Advanced Alchemy: its repositories over SQLAlchemy's ORM, sync and async."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from lockstep.bench.contestants import SQLITE
from lockstep.bench.peers.sqlalchemy_shelf import OrmShelf, Part, as_durable
from lockstep.bench.scenario import Missing, Place
from lockstep.bench.shelf import PartRow, Shelf


def _repository(name: str) -> Any:
    if find_spec("advanced_alchemy") is None:
        raise Missing("needs Advanced Alchemy", hint="pip install 'lockstep-db[bench]'")
    base: Any = getattr(import_module("advanced_alchemy.repository"), name)
    return type("PartRepository", (base,), {"model_type": Part})


class AdvancedAlchemyShelf(Shelf):
    """``SQLAlchemySyncRepository`` in a session."""

    name = "Advanced Alchemy"

    def __init__(self) -> None:
        self._orm = OrmShelf(SQLITE)

    def open(self, place: Place) -> None:
        """Make the table."""
        self._kind = _repository("SQLAlchemySyncRepository")
        self._orm.open(place)

    def get(self, keys: Sequence[uuid.UUID]) -> Any:
        """Read each row in one session."""
        row: Any = None
        with Session(self._orm.engine) as session:
            parts = self._kind(session=session)
            for key in keys:
                row = parts.get(key)
        return row

    def rows(self, count: int) -> Sequence[Any]:
        """Return instances."""
        filters: Any = import_module("advanced_alchemy.filters")
        with Session(self._orm.engine) as session:
            found: Sequence[Any] = self._kind(session=session).get_many(
                filters.LimitOffset(limit=count, offset=0), order_by=("sku", False)
            )
            return found

    def insert(self, rows: Sequence[PartRow]) -> None:
        """Store instances: ``add_many``."""
        with Session(self._orm.engine) as session:
            self._kind(session=session).add_many([Part(**row) for row in rows])
            session.commit()

    def empty(self) -> None:
        """Remove every row."""
        self._orm.empty()

    def count(self) -> int:
        """Count the rows."""
        return self._orm.count()

    def close(self) -> None:
        """Close the pool."""
        self._orm.close()


class AsyncAdvancedAlchemy:
    """``SQLAlchemyAsyncRepository`` on SQLite, for the scenario of tasks."""

    name = "Advanced Alchemy, async"

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self._engine: Any = None
        self._sync = OrmShelf(SQLITE)

    def open(self, place: Place, rows: Sequence[PartRow]) -> None:
        """Make the table, then open an asynchronous engine on it."""
        from sqlalchemy.ext.asyncio import create_async_engine

        self._kind = _repository("SQLAlchemyAsyncRepository")
        self._sync.open(place)
        self._sync.insert(rows)
        url = self._sync.engine.url.set(drivername="sqlite+aiosqlite")
        self._engine = create_async_engine(url)
        event.listen(self._engine.sync_engine, "connect", as_durable)

    async def get(self, key: uuid.UUID) -> Any:
        """Read one row in a session of its own."""
        from sqlalchemy.ext.asyncio import AsyncSession

        async with AsyncSession(self._engine) as session:
            return await self._kind(session=session).get(key)

    def close(self) -> None:
        """Close both engines and the loop."""
        if self._engine is not None:
            self.runner.run(self._engine.dispose())
        self.runner.close()
        self._sync.close()
