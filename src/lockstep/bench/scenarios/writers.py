"""A hundred writers without a pause: what is promised of ``db.write``."""

from __future__ import annotations

from lockstep.bench.contestants import SQLITE
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.writers import (
    AsyncpgPool,
    BeginImmediate,
    ConnectionPerRequest,
    LockstepWriters,
)

COUNT = 100
NAIVE = "sqlite3, a connection each"
THREADS = "Lockstep db.write, SQLite"
TASKS = "Lockstep db.async_write, SQLite"
HOT = "asyncpg, pool of 20, hot row"
SPREAD = "asyncpg, pool of 20, spread rows"


def _contestants(scale: Scale) -> list[Contestant]:
    count, seconds = scale.pick(COUNT, 5), scale.pick(1.0, 0.05)
    return [
        ConnectionPerRequest(count, seconds),
        BeginImmediate(count, seconds),
        AsyncpgPool(count, seconds, hot=True),
        AsyncpgPool(count, seconds, hot=False),
        LockstepWriters(SQLITE, count, seconds),
        LockstepWriters(SQLITE, count, seconds, tasks=True),
    ]


SCENARIO = Scenario(
    name="writers",
    title="A hundred writers: insert, insert, update, durable, without a pause",
    why=(
        "The promise of group commit: writers share a commit, so the disk's flush is "
        "paid once for all who wait. On the hot row every request changes the same one."
    ),
    metric=Metric.RATE,
    baseline=NAIVE,
    contestants=_contestants,
    targets=(
        Target(THREADS, "at least", 100, NAIVE),
        Target(THREADS, "at least", 20, HOT),
        Target(THREADS, "at least", 8, SPREAD),
        Target(THREADS, "p99", 0.05),
        Target(THREADS, "no refusals"),
        Target(TASKS, "p99", 0.05),
        Target(TASKS, "no refusals"),
    ),
    limit="fsync",
    rounds=5,
)
