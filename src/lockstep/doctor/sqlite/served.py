"""A libSQL server's database, looked at as a SQLite file is.

Owns the little that a check expects of a file's connection and that a server has
not. Answers arrive row by row, so that no table is held here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from lockstep.doctor.sqlite.opening import Opened
from lockstep.doctor.sqlite.surroundings import Beside
from lockstep.engine.hrana import dbapi
from lockstep.mover.sqlite.served import ServedConnection

if TYPE_CHECKING:
    from lockstep.config import Settings
    from lockstep.engine import DatabaseUrl


class ExaminedServer(ServedConnection):
    """A connection that only reads; its errors are SQLite's own."""

    text_factory: Any = None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Run one statement; its rows are read as they arrive."""
        with self._speaking():
            cursor = self._driver.cursor(stream=True)
            return _Arriving(self, cursor.execute(sql, parameters))

    def set_progress_handler(self, handler: Callable[[], bool] | None, n: int) -> None:
        """Do nothing: a statement on a server ends with the call's own deadline."""

    def speaking(self) -> Any:
        """Let the block's errors be SQLite's."""
        return self._speaking()


class _Arriving:
    """Rows that arrive, and errors that are SQLite's."""

    def __init__(self, server: ExaminedServer, cursor: dbapi.Cursor) -> None:
        self._server = server
        self._cursor = cursor

    def fetchone(self) -> Any:
        with self._server.speaking():
            return self._cursor.fetchone()

    def fetchmany(self, size: int) -> list[Any]:
        with self._server.speaking():
            return self._cursor.fetchmany(size)

    def fetchall(self) -> list[Any]:
        with self._server.speaking():
            return self._cursor.fetchall()

    def __iter__(self) -> Any:
        return iter(self.fetchone, None)


@contextmanager
def served(url: DatabaseUrl, settings: Settings | None) -> Generator[Opened]:
    """Reach a server's database for reading; the settings may hold its token.

    Raises:
        LockstepError: It cannot be reached, or refuses the token.
    """
    with closing(ExaminedServer(url, settings)) as connection:
        connection.execute("SELECT 1").fetchall()
        yield Opened(connection, "read-only", True, Beside(None, None, None))
