"""Comparing every cell against copying it."""

from __future__ import annotations

from lockstep.bench.moving import Lockstep, Moves, WideTable, seconds_of
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target

_COPY = "the copy, its keys with it"
_ROWS = "the rows alone, nothing built"
_VERIFY = "the comparison of every cell"


def _contestants(scale: Scale) -> list[Contestant]:
    table, moves = WideTable(scale), Moves()
    return [
        Lockstep(table, _COPY, seconds_of("copy", "build"), moves),
        Lockstep(table, _ROWS, seconds_of("copy"), moves),
        Lockstep(table, _VERIFY, seconds_of("verify"), moves),
    ]


SCENARIO = Scenario(
    name="move-verify",
    title="Two million wide rows: every cell compared, against copied",
    why="Who must wait long for the proof will do without it.",
    metric=Metric.RATE,
    baseline=_COPY,
    contestants=_contestants,
    targets=(Target(_VERIFY, "at least", 1.0, _COPY),),
    limit="write",
    rounds=3,
)
