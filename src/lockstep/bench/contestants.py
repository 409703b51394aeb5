"""Contestants that several scenarios share: a driver, and Lockstep, on each engine.

Owns how each side opens its database. Both sides of an engine get the same durability:
SQLite in WAL mode with ``synchronous = FULL``, PostgreSQL with its flush on.

    Repeated ── OnDriver      sqlite3 | psycopg, one connection, SQL text
             └─ OnLockstep    a Database, the same tables
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lockstep.bench.scenario import Contestant, Place, Round, Scale
from lockstep.bench.workshop import Keys, Size, fill
from lockstep.config import load_settings
from lockstep.engine import Database

SQLITE, POSTGRESQL, LIBSQL = "sqlite", "postgresql", "libsql"
TITLES = {SQLITE: "SQLite", POSTGRESQL: "PostgreSQL", LIBSQL: "libSQL"}
DRIVERS = {SQLITE: "sqlite3", POSTGRESQL: "psycopg"}
PATIENCE_S = 60.0
"""How long a thread of ours waits for its turn before it is a refusal."""


def open_database(url: str, folder: Path, **settings: Any) -> Database:
    """Open a database with nothing of the environment's settings in it."""
    loaded = load_settings(start=folder, env={}, url=url, **settings)
    return Database(url, settings=loaded)


def new_database(engine: str, place: Place, **settings: Any) -> Database:
    """Make an empty database of the arena."""
    folder = place.folder()
    if engine == SQLITE:
        url = f"sqlite:///{folder / 'bench.db'}"
    else:
        url = place.postgresql() if engine == POSTGRESQL else place.libsql()
    return open_database(url, folder, **settings)


def connect_sqlite(path: Path, timeout_s: float = PATIENCE_S) -> sqlite3.Connection:
    """Open a file as Lockstep does, without Lockstep."""
    connection = sqlite3.connect(
        path, timeout=timeout_s, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


class Repeated(Contestant):
    """Does the same thing many times in a round; the round's time is their sum.

    Args:
        name: What the table shows.
        times: How many operations make a round.
    """

    def __init__(self, name: str, times: int) -> None:
        self.name = name
        self._times = times
        self._number = 0

    @abstractmethod
    def once(self, number: int) -> None:
        """Do it; ``number`` counts over all rounds."""

    def round(self) -> Round:
        """Do it ``times`` times."""
        first, once = self._number, self.once
        self._number += self._times
        started = time.perf_counter()
        for number in range(first, first + self._times):
            once(number)
        return Round(self._times, time.perf_counter() - started)


class Driver:
    """One plain connection of a driver; ``?`` marks a parameter on both.

    PostgreSQL: autocommit; statements that come again are prepared, as psycopg does
    by itself.
    """

    def __init__(self, engine: str, db: Database) -> None:
        self.engine = engine
        if engine == SQLITE:
            assert db.url.path is not None, "contestants use files"
            self.raw: Any = connect_sqlite(db.url.path)
        else:
            import psycopg

            self.raw = psycopg.connect(db.url.unmasked(), autocommit=True)
        self._texts: dict[str, str] = {}

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> Any:
        """Run a statement; return the driver's cursor."""
        if self.engine == SQLITE:
            return self.raw.execute(sql, parameters)
        text = self._texts.get(sql)
        if text is None:
            text = self._texts[sql] = sql.replace("?", "%s")
        return self.raw.execute(text, parameters, prepare=True)

    def key(self, key: uuid.UUID) -> Any:
        """Return a key as the column stores it."""
        return str(key) if self.engine == SQLITE else key

    def close(self) -> None:
        """Close the connection."""
        self.raw.close()


DriverWork = Callable[[Driver, Keys, int], object]
LockstepWork = Callable[[Database, Keys, int], object]


class OnDriver(Repeated):
    """Work on a driver's connection, without Lockstep.

    Args:
        engine: ``sqlite`` or ``postgresql``.
        times: How many operations make a round.
        scale: How many rows there are.
        work: Does it once.
    """

    def __init__(self, engine: str, times: int, scale: Scale, work: DriverWork) -> None:
        super().__init__(DRIVERS[engine], times)
        self._engine = engine
        self._size = Size.of(scale)
        self._work = work
        self._driver: Driver | None = None

    def open(self, place: Place) -> None:
        """Make the data with Lockstep, then let go of it."""
        with new_database(self._engine, place) as db:
            self._keys = fill(db, self._size)
            self._driver = Driver(self._engine, db)

    def once(self, number: int) -> None:
        """Do the work."""
        assert self._driver is not None, "open comes before"
        self._work(self._driver, self._keys, number)

    def close(self) -> None:
        """Close the connection."""
        if self._driver is not None:
            self._driver.close()


class OnLockstep(Repeated):
    """Work on a ``Database``.

    Args:
        engine: ``sqlite`` or ``postgresql``.
        times: How many operations make a round.
        scale: How many rows there are.
        work: Does it once.
        settings: Of the database, beyond the defaults.
    """

    def __init__(
        self,
        engine: str,
        times: int,
        scale: Scale,
        work: LockstepWork,
        **settings: Any,
    ) -> None:
        super().__init__(f"Lockstep, {TITLES[engine]}", times)
        self._engine = engine
        self._size = Size.of(scale)
        self._work = work
        self._settings = settings
        self._db: Database | None = None

    def open(self, place: Place) -> None:
        """Make the data."""
        self._db = new_database(self._engine, place, **self._settings)
        self._keys = fill(self._db, self._size)

    def once(self, number: int) -> None:
        """Do the work."""
        assert self._db is not None, "open comes before"
        self._work(self._db, self._keys, number)

    def close(self) -> None:
        """Close the database."""
        if self._db is not None:
            self._db.close()


def four_sides(
    scale: Scale, times: int, on_driver: DriverWork, on_lockstep: LockstepWork
) -> list[Contestant]:
    """Return driver and Lockstep on SQLite, then both on PostgreSQL."""
    sides: list[Contestant] = []
    for engine in (SQLITE, POSTGRESQL):
        sides.append(OnDriver(engine, times, scale, on_driver))
        sides.append(OnLockstep(engine, times, scale, on_lockstep))
    return sides
