"""A hundred writers on PostgreSQL: group commit in front of a pool."""

from __future__ import annotations

from lockstep.bench.contestants import POSTGRESQL
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.scenarios.writers import COUNT, HOT
from lockstep.bench.writers import AsyncpgPool, LockstepWriters

THREADS = "Lockstep db.write, PostgreSQL"
TASKS = "Lockstep db.async_write, PostgreSQL"


def _contestants(scale: Scale) -> list[Contestant]:
    count, seconds = scale.pick(COUNT, 5), scale.pick(1.0, 0.05)
    return [
        AsyncpgPool(count, seconds, hot=True),
        AsyncpgPool(count, seconds, hot=False),
        LockstepWriters(POSTGRESQL, count, seconds),
        LockstepWriters(POSTGRESQL, count, seconds, tasks=True),
    ]


SCENARIO = Scenario(
    name="writers-postgresql",
    title="A hundred writers on PostgreSQL: insert, insert, update, durable",
    why=(
        "Twenty connections that change one row wait for each other's commits. One "
        "connection that commits for all of them waits for the disk alone."
    ),
    metric=Metric.RATE,
    baseline=HOT,
    contestants=_contestants,
    targets=(
        Target(THREADS, "at least", 10, HOT),
        Target(THREADS, "no refusals"),
        Target(TASKS, "at least", 10, HOT),
        Target(TASKS, "no refusals"),
    ),
    limit="fsync",
    rounds=5,
)
