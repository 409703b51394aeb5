"""Reads for event loops: one hop to a thread for a whole unit of work.

Owns how functions of a lane share a snapshot. Those that wait at the same moment
read in one transaction, one after another; each is answered when it has returned.
A snapshot is taken after its functions were asked for, so nobody reads the past.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lockstep.engine.sessions import MAY_HAVE_WRITTEN
from lockstep.engine.unit import Unit, named

if TYPE_CHECKING:
    import sqlalchemy as sa

    from lockstep.engine.database import Database
    from lockstep.engine.lane import Job, Lane

SHARING_MAX = 100
SHARING_S_MAX = 0.005
"""After this long a new function gets a snapshot of its own."""


@contextmanager
def reading(database: Database) -> Generator[sa.Connection]:
    """Open a snapshot; whatever was done in it beside reading is taken back."""
    with database.reader.connect() as connection, connection.begin() as transaction:
        yield connection
        if connection.info.get(MAY_HAVE_WRITTEN):
            transaction.rollback()


class ReadWork:
    """The work of a ``Lane`` whose functions only read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, lane: Lane) -> None:
        """Run what waits in the lane, in one snapshot."""
        job = lane.claim()
        if job is None:
            return
        ended: list[Job] = []
        try:
            with reading(self._database) as connection:
                self._share(job, connection, lane, ended)
        except BaseException as error:
            if job not in ended:  # nothing of it has run
                job.error = named(error)
                ended.append(job)
        lane.answer(ended)

    def _share(
        self, job: Job | None, connection: sa.Connection, lane: Lane, ended: list[Job]
    ) -> None:
        driver: Any = connection.connection.dbapi_connection
        until = time.monotonic() + SHARING_S_MAX
        while job is not None:
            ended.append(job)
            unit = Unit(connection, self._database, driver=driver, read_only=True)
            try:
                job.value = unit.run(job.function)
            except BaseException as error:
                job.error = named(error)
                return  # PostgreSQL ends the transaction with the error
            if len(ended) >= SHARING_MAX or time.monotonic() > until:
                return
            job = lane.claim()
