"""Short questions to a SQLite database.

Owns the connection's time: each statement is a transaction of its own and stops at
the check's deadline, in rollback mode much earlier, because there a reader keeps
every writer from committing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from lockstep.doctor.limits import Deadline, Limits, OutOfTime
from lockstep.doctor.sqlite.opening import Opened

ROLLBACK_STATEMENT_S = 2.0
"""A reader of a database in rollback mode keeps writers from committing; they
usually wait 5 seconds."""

_PROGRESS_STEPS = 20_000
"""Virtual-machine steps between two looks at the clock; about a millisecond."""


class SqliteQuestions:
    """An open database that answers within limits.

    Attributes:
        opened: How it is open.
        connection: For reading only.
        limits: What the examination may cost.
        deadline: When the running check must end.
        partial: Tables of which only the first rows were looked at, in order.
    """

    def __init__(self, opened: Opened, limits: Limits) -> None:
        self.opened = opened
        self.connection = opened.connection
        self.limits = limits
        self.deadline = Deadline(limits.check_s)
        self.partial: dict[str, None] = {}

    def start(self) -> None:
        """Give the next check its time."""
        self.deadline = Deadline(self.limits.check_s)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a question.

        Raises:
            OutOfTime: The check's time was up before the answer.
        """
        with self.timed():
            return self.connection.execute(sql, parameters).fetchall()

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row; None without a row."""
        found = self.rows(sql, parameters)
        return found[0][0] if found else None

    def pragma(self, name: str) -> Any:
        """Return what a PRAGMA without an argument answers."""
        return self.value(f"PRAGMA {name}")

    @contextmanager
    def timed(self) -> Generator[None]:
        """Interrupt the statement in the block when its time is up."""
        allowed_s = self.deadline.remaining_s
        if self.opened.how == "read-only" and not self.opened.uses_wal:
            allowed_s = min(allowed_s, ROLLBACK_STATEMENT_S)
        own = Deadline(allowed_s)
        self.connection.set_progress_handler(lambda: own.is_over, _PROGRESS_STEPS)
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise OutOfTime from error
            raise
        finally:
            self.connection.set_progress_handler(None, 0)
