"""Five hundred writers: nobody is refused, nothing is lost."""

from __future__ import annotations

from lockstep.bench.contestants import SQLITE
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.scenarios.writers import NAIVE, TASKS, THREADS
from lockstep.bench.writers import AsyncpgPool, ConnectionPerRequest, LockstepWriters

COUNT = 500


def _contestants(scale: Scale) -> list[Contestant]:
    count, seconds = scale.pick(COUNT, 20), scale.pick(1.0, 0.05)
    return [
        ConnectionPerRequest(count, seconds),
        AsyncpgPool(count, seconds, hot=True),
        LockstepWriters(SQLITE, count, seconds),
        LockstepWriters(SQLITE, count, seconds, tasks=True),
    ]


SCENARIO = Scenario(
    name="writers-500",
    title="Five hundred writers: insert, insert, update, durable, without a pause",
    why=(
        "Where a busy handler gives up: with SQLite's five seconds of patience many of "
        "five hundred are refused. Here nobody may be."
    ),
    metric=Metric.RATE,
    baseline=NAIVE,
    contestants=_contestants,
    targets=(
        Target(THREADS, "no refusals"),
        Target(TASKS, "no refusals"),
    ),
    limit="fsync",
    rounds=3,
)
