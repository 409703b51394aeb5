"""Four processes with twenty-five writers each, on one SQLite file."""

from __future__ import annotations

from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.writers import Processes

PROCESSES = 4
COUNT = 25
OURS = "Lockstep db.write"
PEER = "BEGIN IMMEDIATE"


def _contestants(scale: Scale) -> list[Contestant]:
    processes, count = scale.pick(PROCESSES, 2), scale.pick(COUNT, 3)
    seconds = scale.pick(1.0, 0.05)
    return [
        Processes("immediate", processes, count, seconds),
        Processes("lockstep", processes, count, seconds),
    ]


SCENARIO = Scenario(
    name="writers-processes",
    title="Four processes of twenty-five writers each, one SQLite file",
    why=(
        "A web server has several processes; SQLite's own waiting is luck. Here the "
        "processes queue in the kernel, and each commits for all its writers."
    ),
    metric=Metric.RATE,
    baseline=PEER,
    contestants=_contestants,
    targets=(
        Target(OURS, "at least", 20, PEER),
        Target(OURS, "p99", 0.03),
        Target(OURS, "no refusals"),
    ),
    limit="fsync",
    rounds=5,
)
