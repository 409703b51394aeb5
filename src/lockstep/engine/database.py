"""``Database``: one URL, real engines, sessions, and the way to close them.

Owns the life of the engines and nothing of what a dialect needs (``sqlite.py``,
``postgresql.py``) or what a session promises (``sessions.py``).

    Database(url) ──first use──► settings ──► backend ──► engine, async_engine
                                                           └─► pools, hooks

Invariants: the constructor opens nothing (no file, no socket, no setting is
read); one ``Database`` may be used by any number of threads and tasks; no text
made from it shows a secret.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lockstep.clock import SYSTEM_CLOCK, Clock
from lockstep.engine.capabilities import Capabilities
from lockstep.engine.classify import classify
from lockstep.engine.pool import AsyncCountedPool, CountedPool, PoolStatistics
from lockstep.engine.postgresql import PostgresqlBackend
from lockstep.engine.sessions import (
    ACTOR,
    CLOCK,
    DATABASE,
    async_session_scope,
    session_scope,
)
from lockstep.engine.sqlite import SqliteBackend
from lockstep.engine.urls import DatabaseUrl, DialectName
from lockstep.errors import EngineError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

    from lockstep.config import Settings


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """What ``Database.describe`` found out.

    Attributes:
        url: Masked.
        dialect_name: ``sqlite`` or ``postgresql``.
        version: Of the SQLite library or the server.
        size_bytes: Of the file, or of the server's database.
        facts: What only this dialect has (journal mode, time zone, …).
        pool: The numbers of the pools.
    """

    url: str
    dialect_name: str
    version: str
    size_bytes: int
    facts: dict[str, Any]
    pool: PoolStatistics

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return asdict(self)


class Database:
    """A database, by URL: a SQLite file, SQLite in memory, or PostgreSQL.

    Args:
        url: Any of the forms that :meth:`DatabaseUrl.parse` reads; None takes
            ``LOCKSTEP_URL``, ``DATABASE_URL``, ``[tool.lockstep]`` or, outside
            production, ``sqlite:///local.db``.
        settings: Everything else; read at first use when None.
        clock: What sessions ask for the time.

    Example:
        >>> db = Database("sqlite://")
        >>> with db.write_session() as session:
        ...     _ = session.execute(sa.text("CREATE TABLE part (name TEXT) STRICT"))
        >>> db.close()

    Thread and task safe. After ``close()`` it opens itself again when used; a
    database in memory is empty then.
    """

    def __init__(
        self,
        url: str | sa.URL | Path | None = None,
        *,
        settings: Settings | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._given_url = None if url is None else DatabaseUrl.parse(url)
        self._given_settings = settings
        self._clock = clock
        self._lock = threading.RLock()
        self._engine: sa.Engine | None = None
        self._async_engine: AsyncEngine | None = None

    @cached_property
    def settings(self) -> Settings:
        """The settings; read from their sources at first use."""
        if self._given_settings is not None:
            return self._given_settings
        from lockstep.config import load_settings

        url = self._given_url
        return load_settings(url=None if url is None else url.unmasked())

    @cached_property
    def url(self) -> DatabaseUrl:
        """Which database this is; ``str()`` and ``repr()`` are masked."""
        if self._given_url is not None:
            return self._given_url
        settings = self.settings
        assert settings.url is not None, "load_settings chooses a URL or raises"
        # A relative file of pyproject.toml, and the default, lie in the project's
        # folder, so that they are one file wherever a command is started.
        of_project = settings.provenance.get("url") in ("pyproject.toml", "default")
        base = settings.root if of_project else None
        return DatabaseUrl.parse(settings.url, base=base)

    @property
    def dialect_name(self) -> DialectName:
        """``sqlite`` or ``postgresql``."""
        return self.url.dialect_name

    @property
    def clock(self) -> Clock:
        """What sessions ask for the time."""
        return self._clock

    @cached_property
    def _backend(self) -> SqliteBackend | PostgresqlBackend:
        if self.dialect_name == "sqlite":
            return SqliteBackend(self.url, self.settings)
        return PostgresqlBackend(self.url, self.settings)

    @property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine. SQLite: a transaction begins IMMEDIATE."""
        with self._lock:
            if self._engine is None:
                self._engine = sa.create_engine(
                    self.url.sqlalchemy_url(), **self._arguments(CountedPool)
                )
                self._backend.install(self._engine)
            return self._engine

    @property
    def async_engine(self) -> AsyncEngine:
        """The async engine, with a pool of its own."""
        with self._lock:
            if self._async_engine is None:
                from sqlalchemy.ext.asyncio import create_async_engine

                self._async_engine = create_async_engine(
                    self.url.sqlalchemy_url(async_=True),
                    **self._arguments(AsyncCountedPool),
                )
                self._backend.install(self._async_engine.sync_engine)
            return self._async_engine

    def _arguments(self, pool: type[Any]) -> dict[str, Any]:
        settings = self.settings.pool
        return {
            **self._backend.engine_arguments(),
            "poolclass": pool,
            "pool_size": settings.size,
            "max_overflow": settings.overflow_max,
            "pool_timeout": settings.timeout_s,
            "pool_recycle": settings.recycle_s,
            # Values of rows may be secrets; errors and logs show none of them.
            "hide_parameters": True,
        }

    @contextmanager
    def write_session(self, *, actor: str | None = None) -> Iterator[Session]:
        """Open a session that commits at the end and rolls back on an error.

        Args:
            actor: Who does it; audit rows and ``Audited`` columns name them.

        SQLite: the transaction holds the write lock from its first statement.

        Raises:
            LockstepError: What the database refused, classified.
        """
        with session_scope(self.engine, self._info(actor), commit=True) as session:
            yield session

    @contextmanager
    def read_session(self) -> Iterator[Session]:
        """Open a session that sees one snapshot and cannot write.

        SQLite: a deferred transaction with an authorizer that denies writing.
        PostgreSQL: ``REPEATABLE READ READ ONLY``.

        Raises:
            ReadOnlySession: Something in it tried to write.
        """
        engine = self.engine.execution_options(**self._backend.read_options)
        with session_scope(engine, self._info(None), commit=False) as session:
            yield session

    def async_write_session(
        self, *, actor: str | None = None
    ) -> AbstractAsyncContextManager[AsyncSession]:
        """Open :meth:`write_session` for asyncio."""
        return async_session_scope(self.async_engine, self._info(actor), commit=True)

    def async_read_session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open :meth:`read_session` for asyncio."""
        engine = self.async_engine.execution_options(**self._backend.read_options)
        return async_session_scope(engine, self._info(None), commit=False)

    def _info(self, actor: str | None) -> dict[str, Any]:
        return {ACTOR: actor, CLOCK: self._clock, DATABASE: self}

    @cached_property
    def capabilities(self) -> Capabilities:
        """What this database can do; asks it once."""
        with self._translated(), self._reading() as connection:
            return self._backend.capabilities(connection)

    def ping(self) -> float:
        """Ask the database for an answer; return how many seconds it took."""
        started = time.perf_counter()
        with self._translated(), self._reading() as connection:
            connection.exec_driver_sql("SELECT 1")
        return time.perf_counter() - started

    def describe(self) -> DatabaseInfo:
        """Ask the database what it is."""
        with self._translated(), self._reading() as connection:
            facts = self._backend.facts(connection)
        return DatabaseInfo(
            url=str(self.url),
            dialect_name=self.dialect_name,
            version=facts.pop("version"),
            size_bytes=facts.pop("size_bytes"),
            facts=facts,
            pool=self.pool_statistics(),
        )

    def pool_statistics(self) -> PoolStatistics:
        """Return the numbers of the pools that are open, added up."""
        pools: list[Any] = []
        if self._engine is not None:
            pools.append(self._engine.pool)
        if self._async_engine is not None:
            pools.append(self._async_engine.sync_engine.pool)
        s = self.settings.pool
        if not pools:
            return PoolStatistics(s.size + s.overflow_max, s.size, 0, 0, 0, s.timeout_s)
        total: PoolStatistics = pools[0].statistics()
        for pool in pools[1:]:
            total = total + pool.statistics()
        return total

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        engine = self.engine.execution_options(**self._backend.read_options)
        with engine.connect() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            meaning = classify(error)
            if meaning is None:
                raise
            raise meaning from error

    def close(self) -> None:
        """Close every connection; sessions that are open keep theirs.

        Raises:
            EngineError: The async engine was used and a loop runs: ``aclose()``.
        """
        if self._async_engine is not None:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                asyncio.run(self.aclose())
            else:
                raise EngineError(
                    "the async engine cannot be closed from inside a running loop",
                    hint="await db.aclose()",
                )
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None
            if "_backend" in self.__dict__:
                self._backend.close()

    async def aclose(self) -> None:
        """Close every connection of both engines."""
        with self._lock:
            engine, self._async_engine = self._async_engine, None
        if engine is not None:
            await engine.dispose()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        if self._given_url is None and "url" not in self.__dict__:
            return "Database(<from settings>)"
        return f"Database({str(self.url)!r})"
