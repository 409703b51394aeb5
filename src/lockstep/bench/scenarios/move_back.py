"""From PostgreSQL to a SQLite file, against the way there."""

from __future__ import annotations

from lockstep.bench.moving import (
    NOT_VERIFIED,
    Lockstep,
    LockstepBack,
    Moves,
    WideTable,
    seconds_of,
)
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target

_THERE, _BACK = "SQLite to PostgreSQL", "PostgreSQL to SQLite"


def _contestants(scale: Scale) -> list[Contestant]:
    table, there, back = WideTable(scale), Moves(), Moves()
    rows = seconds_of("copy")
    return [
        Lockstep(table, _THERE, NOT_VERIFIED, there),
        Lockstep(table, f"{_THERE}, the rows alone", rows, there),
        LockstepBack(table, _BACK, NOT_VERIFIED, back),
        LockstepBack(table, f"{_BACK}, the rows alone", rows, back),
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
