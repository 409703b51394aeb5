"""Ten writers, one write each, at the same moment."""

from __future__ import annotations

from lockstep.bench.contestants import POSTGRESQL, SQLITE
from lockstep.bench.scenario import Contestant, Metric, Place, Round, Scale, Scenario
from lockstep.bench.writers import (
    AsyncpgPool,
    BeginImmediate,
    ConnectionPerRequest,
    LockstepWriters,
    Writers,
)

COUNT = 10


class Burst(Contestant):
    """Lets writers do one request each, and times until the last one has its answer."""

    def __init__(self, writers: Writers) -> None:
        self.name = writers.name
        self._writers = writers

    def open(self, place: Place) -> None:
        """Make the tables."""
        self._writers.open(place)

    def round(self) -> Round:
        """One burst: one operation."""
        done = self._writers.round()
        return Round(1, done.elapsed_s, done.latencies_s, done.refused)

    def check(self) -> list[str]:
        """Compare what was acknowledged with what is there."""
        return self._writers.check()

    def proof(self) -> str:
        """Say how many writes were looked for."""
        return self._writers.proof()

    def close(self) -> None:
        """Close everything."""
        self._writers.close()


def bursts(count: int) -> list[Contestant]:
    """Return every way to write, for a burst of ``count`` writers."""
    return [
        Burst(writers)
        for writers in (
            ConnectionPerRequest(count, None),
            BeginImmediate(count, None),
            LockstepWriters(SQLITE, count, None),
            AsyncpgPool(count, None, hot=True),
            LockstepWriters(POSTGRESQL, count, None),
        )
    ]


def _contestants(scale: Scale) -> list[Contestant]:
    return bursts(scale.pick(COUNT, 3))


SCENARIO = Scenario(
    name="writes-10",
    title="Ten writers, one durable write each, until the last is answered",
    why=(
        "Fifth of the six cases: claimed 100 against 15 ms. The 100 ms are the "
        "sleep of SQLite's busy handler, not the writes."
    ),
    metric=Metric.TIME,
    baseline="sqlite3, a connection each",
    contestants=_contestants,
    limit="fsync",
    rounds=15,
    claims=(
        ("sqlite3, a connection each", 0.1),
        ("asyncpg, pool of 20, hot row", 0.015),
    ),
)
