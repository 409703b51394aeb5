"""A hundred writers on a libsql-server, which several clients at once can hang."""

from __future__ import annotations

from lockstep.bench.contestants import LIBSQL
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.scenarios.writers import COUNT
from lockstep.bench.writers import LockstepWriters, OneClient

ONE = "one client, libSQL"
THREADS = "Lockstep db.write, libSQL"


def _contestants(scale: Scale) -> list[Contestant]:
    count, seconds = scale.pick(COUNT, 5), scale.pick(1.0, 0.05)
    return [OneClient(LIBSQL, seconds), LockstepWriters(LIBSQL, count, seconds)]


SCENARIO = Scenario(
    name="writers-libsql",
    title="A hundred writers on a libsql-server: insert, insert, update",
    why=(
        "The server does not batch writes, and several clients that write at once can "
        "hang it for good. One client that writes for all of them does neither. (The "
        "server itself does not flush every commit.)"
    ),
    metric=Metric.RATE,
    baseline=ONE,
    contestants=_contestants,
    targets=(
        Target(THREADS, "at least", 5, ONE),
        Target(THREADS, "no refusals"),
    ),
    limit="loopback",
    rounds=5,
)
