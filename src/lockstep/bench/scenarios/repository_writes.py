"""A hundred writers through the typed repository: version checked, audited, durable."""

from __future__ import annotations

from lockstep.bench.audited import (
    AsyncpgAudited,
    CompiledWriters,
    SessionWriters,
    WritersByHand,
)
from lockstep.bench.contestants import POSTGRESQL, SQLITE
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target

COUNT = 100
SESSIONS = "Lockstep sessions, SQLite"
THREADS = "Lockstep db.write, SQLite"
TASKS = "Lockstep db.async_write, SQLite"


def _contestants(scale: Scale) -> list[Contestant]:
    count, seconds = scale.pick(COUNT, 5), scale.pick(1.0, 0.05)
    return [
        SessionWriters(SQLITE, count, seconds),
        AsyncpgAudited(count, seconds),
        CompiledWriters(SQLITE, count, seconds),
        CompiledWriters(SQLITE, count, seconds, tasks=True),
        WritersByHand(count, seconds),
        CompiledWriters(POSTGRESQL, count, seconds),
    ]


SCENARIO = Scenario(
    name="repository-writes",
    title="A hundred writers through the repository: version, audit row, durable",
    why=(
        "What an application really does with a row: change it at the version it was "
        "read, and leave who, when, before and after in the same transaction. The "
        "same four statements by hand show what this machine's Python can do of it."
    ),
    metric=Metric.RATE,
    baseline=SESSIONS,
    contestants=_contestants,
    targets=(
        Target(THREADS, "at least", 15_000),
        Target(TASKS, "at least", 15_000),
        Target(THREADS, "no refusals"),
        Target(TASKS, "no refusals"),
    ),
    limit="fsync",
    rounds=5,
)
