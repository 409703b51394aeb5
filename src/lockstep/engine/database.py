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
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from sqlalchemy.orm import Session

from lockstep.clock import SYSTEM_CLOCK, Clock
from lockstep.engine.async_engines import AsyncEngines, BoundEngine, dispose_apart
from lockstep.engine.capabilities import Capabilities
from lockstep.engine.forks import gate
from lockstep.engine.pool import AsyncCountedPool, CountedPool, PoolStatistics
from lockstep.engine.postgresql import PostgresqlBackend
from lockstep.engine.sessions import (
    ACTOR,
    CLOCK,
    DATABASE,
    async_session_scope,
    raise_classified,
    session_scope,
)
from lockstep.engine.sqlite import SqliteBackend
from lockstep.engine.sqlite_files import forget_connections
from lockstep.engine.unit import Unit
from lockstep.engine.units import Units, WriteStatistics
from lockstep.engine.urls import DatabaseUrl, DialectName, EngineName
from lockstep.engine.write_turns import forget_turns
from lockstep.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

    from lockstep.config import Settings
    from lockstep.engine.libsql import LibsqlBackend


R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """What ``Database.describe`` found out.

    Attributes:
        url: Masked.
        engine_name: ``sqlite``, ``libsql`` or ``postgresql``.
        dialect_name: Of its SQL: ``sqlite`` (also of libSQL) or ``postgresql``.
        version: Of the SQLite library or the server.
        size_bytes: Of the file, or of the server's database.
        facts: What only this dialect has (journal mode, time zone, …).
        pool: The numbers of the pools.
    """

    url: str
    engine_name: str
    dialect_name: str
    version: str
    size_bytes: int
    facts: dict[str, Any]
    pool: PoolStatistics

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return asdict(self)


class Database:
    """A database, by URL: a SQLite file or memory, a libSQL server, PostgreSQL.

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
        self._reading_engine: sa.Engine | None = None
        self._units_open: Units | None = None
        self._async_engines = AsyncEngines(self._create_async_engine)
        _databases.add(self)

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
        if settings.url is None:
            raise ConfigError(
                "these settings name no database", hint="give a URL, or load_settings()"
            )
        # A relative file of pyproject.toml, and the default, lie in the project's
        # folder, so that they are one file wherever a command is started.
        of_project = settings.provenance.get("url") in ("pyproject.toml", "default")
        base = settings.root if of_project else None
        return DatabaseUrl.parse(settings.url, base=base)

    @property
    def engine_name(self) -> EngineName:
        """``sqlite`` (a file, or memory), ``libsql`` (a server) or ``postgresql``."""
        return self.url.engine_name

    @property
    def dialect_name(self) -> DialectName:
        """Which SQL it speaks: ``sqlite`` (also libSQL) or ``postgresql``."""
        return self.url.dialect_name

    @property
    def clock(self) -> Clock:
        """What sessions ask for the time."""
        return self._clock

    @cached_property
    def _backend(self) -> SqliteBackend | LibsqlBackend | PostgresqlBackend:
        if self.engine_name == "sqlite":
            return SqliteBackend(self.url, self.settings)
        if self.engine_name == "libsql":
            # Only who uses it pays for it.
            from lockstep.engine.libsql import LibsqlBackend

            return LibsqlBackend(self.url, self.settings)
        return PostgresqlBackend(self.url, self.settings)

    @property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine. SQLite: every transaction begins IMMEDIATE."""
        with self._lock:
            if self._engine is None:
                self._engine = sa.create_engine(
                    self._backend.engine_url(async_=False),
                    **self._arguments(CountedPool),
                )
                self._backend.install(self._engine)
            return self._engine

    @property
    def async_engine(self) -> AsyncEngine:
        """The async engine of the running event loop, with a pool of its own."""
        return self._async_engines.current().engine

    @property
    def reader(self) -> sa.Engine:
        """The engine whose transactions only read; it shares the pool."""
        with self._lock:
            engine = self.engine
            if self._reading_engine is None:
                options = self._backend.read_options
                self._reading_engine = engine.execution_options(**options)
            return self._reading_engine

    def _create_async_engine(self) -> BoundEngine:
        from sqlalchemy.ext.asyncio import create_async_engine

        with self._lock:
            engine = create_async_engine(
                self._backend.engine_url(async_=True),
                **self._arguments(AsyncCountedPool),
            )
            self._backend.install(engine.sync_engine)
            reader = engine.execution_options(**self._backend.read_options)
            return BoundEngine(engine, reader)

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
    def write_session(self, *, actor: str | None = None) -> Generator[Session]:
        """Open a session that commits at the end and rolls back on an error.

        Args:
            actor: Who does it; audit rows and ``Audited`` columns name them.

        SQLite: the transaction holds the write lock from its first statement.

        Raises:
            LockstepError: What the database refused, classified.
        """
        with session_scope(self.engine, self._info(actor), read_only=False) as session:
            yield session

    @contextmanager
    def read_session(self) -> Generator[Session]:
        """Open a session that sees one snapshot and cannot write.

        SQLite: a deferred transaction with an authorizer that denies writing.
        libSQL: a deferred transaction in which the driver sends only what reads.
        PostgreSQL: ``REPEATABLE READ READ ONLY``.

        Raises:
            ReadOnlySession: Something in it tried to write, or an object of it
                was changed.
        """
        with session_scope(self.reader, self._info(None), read_only=True) as session:
            yield session

    def async_write_session(
        self, *, actor: str | None = None
    ) -> AbstractAsyncContextManager[AsyncSession]:
        """Open :meth:`write_session` for asyncio."""
        return async_session_scope(
            self.async_engine, self._info(actor), read_only=False
        )

    def async_read_session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open :meth:`read_session` for asyncio."""
        reader = self._async_engines.current().reader
        return async_session_scope(reader, self._info(None), read_only=True)

    def _info(self, actor: str | None) -> dict[str, Any]:
        return {ACTOR: actor, CLOCK: self._clock, DATABASE: self}

    def write(
        self,
        function: Callable[[Unit], R],
        *,
        actor: str | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> R:
        """Run a function in a transaction that many callers share.

        Functions of all threads and tasks are run one after another by one writer,
        each between savepoints, and committed together. The call returns when the
        commit is durable. A function that raises fails alone: what it did is undone
        and its error raised here.

        Args:
            function: Gets a ``Unit``; what it returns is returned. Keep it short,
                everybody waits for it; let it change nothing but the database,
                because it runs again when a constraint that is checked at the
                commit, a full disk or a failure of isolation took back the
                transaction it shared.
            actor: Who does it; audit rows and ``Audited`` columns name them.
            timeout_s: How long it may wait for its turn; ``LOCKSTEP_WRITE__TIMEOUT_S``
                by default. Once begun, it runs to its end.
            idempotency_key: A write with a key that was used before is not done
                again: what the first one returned, a JSON value, is returned.

        Raises:
            Busy: Its turn did not come in time; nothing was written.
            OutcomeUnknown: The connection was lost during the commit.

        Example:
            >>> db = Database("sqlite://")
            >>> _ = db.write(lambda unit: unit.execute("CREATE TABLE t (n INTEGER)"))
            >>> db.write(lambda u: u.execute("INSERT INTO t VALUES (1)").rowcount)
            1
            >>> db.close()

        SQLite: the writer holds the write lock only while it has work; sessions
        and other processes get it between two batches. PostgreSQL: rows that a
        function locks stay locked until the batch is committed.
        """
        return self._units.write(function, actor, timeout_s, idempotency_key)

    async def async_write(
        self,
        function: Callable[[Unit], R],
        *,
        actor: str | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> R:
        """Run :meth:`write` from asyncio: one hop to the writer and back.

        A task that is cancelled while its function waits withdraws it; later, it is
        written all the same.
        """
        return await self._units.write_async(
            function, actor, timeout_s, idempotency_key
        )

    def read(self, function: Callable[[Unit], R]) -> R:
        """Run a function in one snapshot that cannot write; return what it returns.

        Fetch inside what is wanted: afterwards its cursors are of no use.
        """
        try:
            return self._units.read(function)
        except Exception as error:
            raise_classified(error)

    async def async_read(
        self, function: Callable[[Unit], R], *, timeout_s: float | None = None
    ) -> R:
        """Run :meth:`read` from asyncio: one hop to a reading thread and back."""
        return await self._units.read_async(function, timeout_s)

    def write_statistics(self) -> WriteStatistics:
        """Return how many functions :meth:`write` committed, in how many batches."""
        return self._units.statistics()

    @property
    def _units(self) -> Units:
        with self._lock:
            if self._units_open is None:
                self._units_open = Units(self, self._backend, self.settings.write)
            return self._units_open

    @cached_property
    def capabilities(self) -> Capabilities:
        """What this database can do; asks it once."""
        with self._reading() as connection:
            return self._backend.capabilities(connection)

    def ping(self) -> float:
        """Ask the database for an answer; return how many seconds it took."""
        started = time.perf_counter()
        with self._reading() as connection:
            connection.exec_driver_sql("SELECT 1")
        return time.perf_counter() - started

    def describe(self) -> DatabaseInfo:
        """Ask the database what it is."""
        with self._reading() as connection:
            facts = self._backend.facts(connection)
        return DatabaseInfo(
            url=str(self.url),
            engine_name=self.engine_name,
            dialect_name=self.dialect_name,
            version=facts.pop("version"),
            size_bytes=facts.pop("size_bytes"),
            facts=facts,
            pool=self.pool_statistics(),
        )

    def pool_statistics(self) -> PoolStatistics:
        """Return the numbers of the pools that are open, added up."""
        pools: list[Any] = [
            engine.sync_engine.pool for engine in self._async_engines.all()
        ]
        if self._engine is not None:
            pools.append(self._engine.pool)
        s = self.settings.pool
        if not pools:
            return PoolStatistics(s.size + s.overflow_max, s.size, 0, 0, 0, s.timeout_s)
        total: PoolStatistics = pools[0].statistics()
        for pool in pools[1:]:
            total = total + pool.statistics()
        return total

    @contextmanager
    def _reading(self) -> Generator[sa.Connection]:
        try:
            with self.reader.connect() as connection:
                yield connection
                connection.commit()
        except sa_exc.SQLAlchemyError as error:
            raise_classified(error)

    def close(self) -> None:
        """Close every idle connection; those in use close when they come back.

        May be called anywhere, also inside a running event loop (it then holds
        the loop up for a moment; ``aclose`` does not).
        """
        self._finish_units()
        engines = self._async_engines.take_all()
        if engines:
            dispose_apart(engines)
        self._close_sync()

    async def aclose(self) -> None:
        """Close, as ``close`` does, from a coroutine."""
        await asyncio.get_running_loop().run_in_executor(None, self._finish_units)
        for engine in self._async_engines.take_all():
            await engine.dispose()
        self._close_sync()

    def _finish_units(self) -> None:
        with self._lock:
            units, self._units_open = self._units_open, None
        if units is not None:
            units.close()

    def _close_sync(self) -> None:
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = self._reading_engine = None
            if "_backend" in self.__dict__:
                self._backend.close()
                del self.__dict__["_backend"]

    def _start_anew_in_child(self) -> None:
        """Use nothing of the parent's after a fork, and close nothing of it.

        A connection must not be shared by two processes, and closing the child's
        copy would end the parent's; so the engines are kept, never used again
        (``forks.py`` closes what may and has to be closed).
        """
        self._lock = threading.RLock()
        _of_parent.append(
            (self._engine, self._async_engines, self.__dict__.get("_backend"))
        )
        self._engine = self._reading_engine = self._units_open = None
        self._async_engines = AsyncEngines(self._create_async_engine)
        self.__dict__.pop("_backend", None)

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
        if getattr(self, "_given_url", None) is None and "url" not in self.__dict__:
            return "Database(<from settings>)"
        return f"Database({str(self.url)!r})"


_databases: WeakSet[Database] = WeakSet()
_of_parent: list[Any] = []


def _after_fork_in_child() -> None:
    forget_connections(gate.close_copies())
    forget_turns()
    for database in list(_databases):
        database._start_anew_in_child()  # pyright: ignore[reportPrivateUsage]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=gate.close,
        after_in_parent=gate.open,
        after_in_child=_after_fork_in_child,
    )
