"""A hundred writers, one write each, at the same moment."""

from __future__ import annotations

from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario
from lockstep.bench.scenarios.writes_10 import bursts

COUNT = 100


def _contestants(scale: Scale) -> list[Contestant]:
    return bursts(scale.pick(COUNT, 6))


SCENARIO = Scenario(
    name="writes-100",
    title="A hundred writers, one durable write each, until the last is answered",
    why="Last of the six cases: claimed 1000 against 50 ms.",
    metric=Metric.TIME,
    baseline="sqlite3, a connection each",
    contestants=_contestants,
    limit="fsync",
    rounds=9,
    claims=(
        ("sqlite3, a connection each", 1.0),
        ("asyncpg, pool of 20, hot row", 0.05),
    ),
)
