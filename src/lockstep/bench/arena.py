"""The place where contestants work: a folder, a durable PostgreSQL, gone afterwards.

Owns what is made for a run. The PostgreSQL starts itself when a scenario first asks
for it, with the disk's flush on: tests' servers have it off, and would win every race.

Invariant: after the run no folder, database or server of it is left, also when it was
interrupted.
"""

from __future__ import annotations

import importlib.util
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from lockstep.bench.scenario import Missing, Place
from lockstep.engine.embedded import EmbeddedPostgres
from lockstep.engine.embedded_libsql import EmbeddedLibsql
from lockstep.engine.scratch import postgresql_database
from lockstep.errors import EngineError


class Arena(Place):
    """A place for one run.

    Args:
        folder: Measure the disk of this folder; the temporary one if None.
        server: Use this PostgreSQL server instead of an embedded one.
    """

    def __init__(self, folder: Path | None = None, server: str | None = None) -> None:
        # Both engines on one disk, or the race is between disks.
        self._parent = None if folder is None else folder.resolve()
        self._server = server
        self._stack = ExitStack()
        self._root: Path | None = None
        self._own: EmbeddedPostgres | None = None
        self._libsql: EmbeddedLibsql | None = None
        self._made = 0

    @property
    def root(self) -> Path:
        """The folder that is removed at the end."""
        if self._root is None:
            folder = tempfile.TemporaryDirectory(
                prefix="lockstep-bench-", dir=self._parent, ignore_cleanup_errors=True
            )
            self._root = Path(self._stack.enter_context(folder))
        return self._root

    def folder(self) -> Path:
        """Return a new empty folder."""
        self._made += 1
        path = self.root / str(self._made)
        path.mkdir()
        return path

    def postgresql(self) -> str:
        """Return the URL of a new database.

        Raises:
            Missing: psycopg is not installed, or no PostgreSQL can be started.
        """
        if importlib.util.find_spec("psycopg") is None:
            raise Missing("needs psycopg", hint="pip install 'lockstep-db[bench]'")
        try:
            if self._server is not None:
                return self._stack.enter_context(postgresql_database(self._server))
            if self._own is None:
                server = EmbeddedPostgres(durable=True, base=self._parent)
                self._own = self._stack.enter_context(server)
            return self._database_of_own(self._own)
        except EngineError as error:
            raise Missing(f"no PostgreSQL: {error.message}", hint=error.hint) from error

    def libsql(self) -> str:
        """Return the URL of a new database.

        Raises:
            Missing: There is no binary of libsql-server, or it does not start.
        """
        try:
            if self._libsql is None:
                self._libsql = self._stack.enter_context(EmbeddedLibsql())
            self._made += 1
            return self._libsql.create(f"bench{self._made}")
        except EngineError as error:
            raise Missing(
                f"no libsql-server: {error.message}", hint=error.hint
            ) from error

    def _database_of_own(self, server: EmbeddedPostgres) -> str:
        """Make a database that ends with our server; dropping it would take longer."""
        import psycopg

        self._made += 1
        name = f"bench_{self._made}"
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        return server.url_of(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
