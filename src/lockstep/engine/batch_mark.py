"""A mark that shares the fate of a SQLite transaction, and tells it afterwards.

Owns one row in the temporary schema of the writer's connection, which nobody else sees
and no disk. It is written at the beginning of each batch of ``db.write``. When the
transaction has ended under the batch, an error of SQLite's that rolls back does not
prove that it did: a function may have committed before. Then the row is the new one.

Invariant: ``is_gone`` says yes only if nothing of the batch was committed.
"""

from __future__ import annotations

import sqlite3
from typing import Any

_MAKE = "CREATE TEMP TABLE lockstep_batch (id INTEGER PRIMARY KEY, number INTEGER)"
_PUT = "REPLACE INTO temp.lockstep_batch VALUES (1, ?)"
_GET = "SELECT number FROM temp.lockstep_batch"


class BatchMark:
    """The mark of one writer; its batches come one after another."""

    def __init__(self) -> None:
        self._number = 0

    def put(self, driver: Any) -> None:
        """Mark the transaction that has just begun; two microseconds."""
        self._number += 1
        try:
            driver.execute(_PUT, (self._number,))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
            # The first batch of this connection, or the first was rolled back.
            driver.execute(_MAKE)
            driver.execute(_PUT, (self._number,))

    def is_gone(self, driver: Any) -> bool:
        """Say whether the transaction was rolled back; no when it cannot be known."""
        try:
            row = driver.execute(_GET).fetchone()
        except sqlite3.Error as error:
            # The table itself was taken back: it was made in this transaction.
            return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
        return row != (self._number,)
