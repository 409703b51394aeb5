"""Reads for event loops: one hop to a thread for a whole unit of work.

Owns how functions of a lane share a snapshot. Those that wait at the same moment
read in one transaction, one after another; each is answered when it has returned.
A snapshot is taken after its functions were asked for, so nobody reads the past.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lockstep.engine.unit import Unit, named

if TYPE_CHECKING:
    import sqlalchemy as sa

    from lockstep.engine.database import Database
    from lockstep.engine.lane import Job, Lane

SHARING_MAX = 100
SHARING_S_MAX = 0.005
"""After this long a new function gets a snapshot of its own."""


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
            with self._database.reader.connect() as connection, connection.begin():
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
