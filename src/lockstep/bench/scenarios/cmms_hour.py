"""A maintenance system's hour: the load that a factory really has."""

from __future__ import annotations

from lockstep.bench.contestants import POSTGRESQL, SQLITE
from lockstep.bench.day import Hour
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target


def _contestants(scale: Scale) -> list[Contestant]:
    return [Hour(engine, scale) for engine in (SQLITE, POSTGRESQL)]


SCENARIO = Scenario(
    name="cmms-hour",
    title="A factory's hour: 10 tickets, 50 status changes, 20 labor notes, 10 parts",
    why=(
        "The load that was named when one asked whether SQLite is enough (about "
        "100 an hour; the parts add up to 90). The target is a thousandth of the "
        "hour."
    ),
    metric=Metric.TIME,
    baseline="Lockstep, SQLite",
    contestants=_contestants,
    targets=(
        Target("Lockstep, SQLite", "at most", 3.6),
        Target("Lockstep, PostgreSQL", "at most", 3.6),
    ),
    limit="fsync",
    rounds=5,
)
