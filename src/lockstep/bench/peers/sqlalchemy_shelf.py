"""SQLAlchemy by itself: Core and ORM, sync and async, with its own column types."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from lockstep.bench.contestants import SQLITE
from lockstep.bench.scenario import Place
from lockstep.bench.shelf import PartRow, Shelf


class Base(DeclarativeBase):
    """A registry of its own."""


class Part(Base):
    """The part, in SQLAlchemy's types."""

    __tablename__ = "part"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    sku: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    quantity: Mapped[int]
    price: Mapped[Decimal] = mapped_column(sa.Numeric(12, 2))
    counted_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))


TABLE = Part.__table__


class _SqlalchemyShelf(Shelf):
    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._made: sa.Engine | None = None

    @property
    def engine(self) -> sa.Engine:
        """SQLAlchemy's engine."""
        assert self._made is not None, "open comes before"
        return self._made

    def open(self, place: Place) -> None:
        """Make the table."""
        if self._engine == SQLITE:
            url = f"sqlite:///{place.folder() / 'bench.db'}"
        else:
            url = place.postgresql().replace("postgresql://", "postgresql+psycopg://")
        engine = sa.create_engine(url)
        self._made = engine
        if self._engine == SQLITE:
            event.listen(engine, "connect", as_durable)
        Base.metadata.create_all(engine)

    def empty(self) -> None:
        """Remove every row."""
        with self.engine.begin() as connection:
            connection.execute(sa.delete(Part))

    def count(self) -> int:
        """Count the rows."""
        with self.engine.connect() as connection:
            return connection.execute(
                sa.select(sa.func.count()).select_from(Part)
            ).scalar_one()

    def close(self) -> None:
        """Close the pool."""
        if self._made is not None:
            self._made.dispose()


def as_durable(connection: Any, record: Any) -> None:
    """Set what Lockstep sets: WAL, and a commit that waits for the disk."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


class CoreShelf(_SqlalchemyShelf):
    """SQLAlchemy Core: rows."""

    name = "SQLAlchemy Core"

    def get(self, keys: Sequence[uuid.UUID]) -> Any:
        """Read each row on one connection."""
        row: Any = None
        with self.engine.connect() as connection:
            for key in keys:
                row = connection.execute(
                    sa.select(TABLE).where(TABLE.c.id == key)
                ).one()
        return row

    def rows(self, count: int) -> Sequence[Any]:
        """Return rows."""
        with self.engine.connect() as connection:
            statement = sa.select(TABLE).order_by(TABLE.c.sku).limit(count)
            return connection.execute(statement).all()

    def insert(self, rows: Sequence[PartRow]) -> None:
        """Store mappings."""
        with self.engine.begin() as connection:
            connection.execute(sa.insert(Part), list(rows))


class OrmShelf(_SqlalchemyShelf):
    """SQLAlchemy's ORM: instances in a session."""

    name = "SQLAlchemy ORM"

    def get(self, keys: Sequence[uuid.UUID]) -> Any:
        """Read each row in one session."""
        row: Any = None
        with Session(self.engine) as session:
            for key in keys:
                row = session.get(Part, key)
        return row

    def rows(self, count: int) -> Sequence[Any]:
        """Return instances."""
        with Session(self.engine) as session:
            return session.scalars(
                sa.select(Part).order_by(Part.sku).limit(count)
            ).all()

    def insert(self, rows: Sequence[PartRow]) -> None:
        """Add instances."""
        with Session(self.engine) as session:
            session.add_all([Part(**row) for row in rows])
            session.commit()


class AsyncOrm:
    """SQLAlchemy's asynchronous ORM on SQLite, for the scenario of tasks."""

    name = "SQLAlchemy async ORM"

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self._engine: Any = None
        self._sync: OrmShelf | None = None

    def open(self, place: Place, rows: Sequence[PartRow]) -> None:
        """Make the table, then open an asynchronous engine on it."""
        from sqlalchemy.ext.asyncio import create_async_engine

        sync = OrmShelf(SQLITE)
        sync.open(place)
        self._sync = sync
        sync.insert(rows)
        url = sync.engine.url.set(drivername="sqlite+aiosqlite")
        self._engine = create_async_engine(url)
        event.listen(self._engine.sync_engine, "connect", as_durable)

    async def get(self, key: uuid.UUID) -> Any:
        """Read one row in a session of its own."""
        from sqlalchemy.ext.asyncio import AsyncSession

        async with AsyncSession(self._engine) as session:
            return await session.get(Part, key)

    def close(self) -> None:
        """Close both engines and the loop."""
        if self._engine is not None:
            self.runner.run(self._engine.dispose())
        self.runner.close()
        if self._sync is not None:
            self._sync.close()
