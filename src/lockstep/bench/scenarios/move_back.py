"""From PostgreSQL to a SQLite file, against the way there."""

from __future__ import annotations

from lockstep.bench.moving import Lockstep, LockstepBack, WideTable, of_phase
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target

_THERE, _BACK = "SQLite to PostgreSQL", "PostgreSQL to SQLite"


def _contestants(scale: Scale) -> list[Contestant]:
    table = WideTable(scale)
    return [
        Lockstep(table, _THERE, of_phase("copy")),
        LockstepBack(table, _BACK, of_phase("copy")),
    ]


SCENARIO = Scenario(
    name="move-back",
    title="Two million wide rows from PostgreSQL to a SQLite file",
    why="The way back must be open, also in the middle of a working day.",
    metric=Metric.RATE,
    baseline=_THERE,
    contestants=_contestants,
    targets=(Target(_BACK, "at least", 1.0, _THERE),),
    limit="write",
    rounds=3,
)
