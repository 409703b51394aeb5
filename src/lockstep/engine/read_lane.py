"""Reads: one snapshot for one function, or for those that wait at the same moment.

Owns how functions share a snapshot. In an event loop there is one hop to a thread for
a whole unit of work; functions that wait there read in one transaction, one after
another, and each is answered when it has returned. A snapshot is taken after its
functions were asked for, so nobody reads the past.

    a file        the driver of a pooled connection; SQLAlchemy's part is made when
                  a function asks for it
    a server      SQLAlchemy's connection, in a transaction
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lockstep.engine.classify import classified
from lockstep.engine.sessions import MAY_HAVE_WRITTEN
from lockstep.engine.sqlite import SqliteBackend
from lockstep.engine.unit import Owner, Unit

if TYPE_CHECKING:
    from sqlalchemy.pool import PoolProxiedConnection

    from lockstep.engine.group_commit import TransactionFacts
    from lockstep.engine.job import Job
    from lockstep.engine.lane import Lane

SHARING_MAX = 100
SHARING_S_MAX = 0.005
"""After this long a new function gets a snapshot of its own."""


class FileUnit(Unit):
    """A unit that reads a file, on the driver of a connection from the pool."""

    __slots__ = ("_snapshot",)

    def __init__(self, snapshot: FileSnapshot) -> None:
        super().__init__(
            None, snapshot.database, driver=snapshot.driver, read_only=True
        )
        self._snapshot = snapshot

    @property
    def connection(self) -> sa.Connection:
        """SQLAlchemy's connection, inside the transaction."""
        return self._snapshot.connection()

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect of the connection."""
        return self._snapshot.reader.dialect


class FileSnapshot:
    """A read transaction of a file. Used as a context manager, in one thread."""

    __slots__ = ("_connection", "_pooled", "database", "driver", "reader")

    def __init__(
        self, database: Owner, reader: sa.Engine, pooled: PoolProxiedConnection
    ) -> None:
        self.database = database
        self.reader = reader
        self.driver: Any = pooled.dbapi_connection
        self._pooled = pooled
        self._connection: sa.Connection | None = None

    def unit(self) -> Unit:
        """Return a unit in this snapshot."""
        return FileUnit(self)

    def connection(self) -> sa.Connection:
        """Return SQLAlchemy's connection, made at first use."""
        if self._connection is None:
            self._connection = sa.Connection(self.reader, self._pooled)
            self._connection.begin()
        return self._connection

    def __enter__(self) -> FileSnapshot:
        return self

    def __exit__(self, *_: object) -> None:
        # There is nothing that could be kept. Closing would roll back too, with a
        # statement that SQLite prepares each time.
        if self._connection is not None:
            self._connection.close()
        else:
            with suppress(sqlite3.Error):  # the pool finds out what is wrong with it
                if self.driver.in_transaction:
                    self.driver.execute("ROLLBACK")
            self._pooled.close()


class ServerSnapshot:
    """A read transaction of SQLAlchemy's connection."""

    __slots__ = ("_connection", "_database", "_driver")

    def __init__(self, database: Owner, connection: sa.Connection) -> None:
        self._database = database
        self._connection = connection
        self._driver = connection.connection.dbapi_connection

    def unit(self) -> Unit:
        """Return a unit in this snapshot."""
        return Unit(
            self._connection, self._database, driver=self._driver, read_only=True
        )


@contextmanager
def _reading_server(database: Owner) -> Generator[ServerSnapshot]:
    """Open a snapshot; whatever was done in it beside reading is taken back."""
    with database.reader.connect() as connection, connection.begin() as transaction:
        yield ServerSnapshot(database, connection)
        if connection.info.get(MAY_HAVE_WRITTEN):
            transaction.rollback()


class Snapshots:
    """Takes the snapshots of one database. Thread safe."""

    def __init__(self, database: Owner, backend: TransactionFacts) -> None:
        self._database = database
        self._file = backend if isinstance(backend, SqliteBackend) else None

    @property
    def are_of_a_file(self) -> bool:
        """Whether this process itself reads, and not a server for it."""
        return self._file is not None

    def take(self) -> FileSnapshot | AbstractContextManager[ServerSnapshot]:
        """Return a new snapshot, to be used as a context manager."""
        if self._file is None:
            return _reading_server(self._database)
        reader = self._database.reader
        return FileSnapshot(self._database, reader, self._file.take_snapshot(reader))


class ReadWork:
    """The work of a ``Lane`` whose functions only read."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    def __call__(self, lane: Lane) -> None:
        """Run what waits in the lane, in one snapshot."""
        job = lane.claim()
        if job is None:
            return
        ended: list[Job] = []
        try:
            with self._snapshots.take() as snapshot:
                self._share(job, snapshot, lane, ended)
        except BaseException as error:
            if job not in ended:  # nothing of it has run
                job.error = classified(error)
                ended.append(job)
        lane.answer(ended)

    def _share(
        self,
        job: Job | None,
        snapshot: FileSnapshot | ServerSnapshot,
        lane: Lane,
        ended: list[Job],
    ) -> None:
        until = time.monotonic() + SHARING_S_MAX
        while job is not None:
            ended.append(job)
            try:
                job.value = snapshot.unit().run(job.function)
            except BaseException as error:
                job.error = classified(error)
                return  # PostgreSQL ends the transaction with the error
            lane.finish(job)
            if len(ended) >= SHARING_MAX or time.monotonic() > until:
                return
            job = lane.claim()
