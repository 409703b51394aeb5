"""One user looks around: a list of tickets, then one of them with all it has."""

from __future__ import annotations

from lockstep.bench.contestants import POSTGRESQL, SQLITE, OnLockstep
from lockstep.bench.day import browse
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target


def _contestants(scale: Scale) -> list[Contestant]:
    times = scale.pick(40, 3)
    return [OnLockstep(engine, times, scale, browse) for engine in (SQLITE, POSTGRESQL)]


SCENARIO = Scenario(
    name="one-user",
    title=(
        "One user browses: fifty tickets with machines, then one ticket with all parts"
    ),
    why=(
        "The first of five days that were described: one user, no load. Six "
        "queries in two snapshots."
    ),
    metric=Metric.TIME,
    baseline="Lockstep, SQLite",
    contestants=_contestants,
    targets=(
        Target("Lockstep, SQLite", "at most", 0.1),
        Target("Lockstep, PostgreSQL", "at most", 0.1),
    ),
    limit="loopback",
)
