"""How much memory a move takes at most, its verification included."""

from __future__ import annotations

from lockstep.bench.moving import MemoryOfAMove, WideTable
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target

MEGABYTE = 1_000_000


def _contestants(scale: Scale) -> list[Contestant]:
    return [MemoryOfAMove(WideTable(scale))]


SCENARIO = Scenario(
    name="move-memory",
    title="A move of two million wide rows: peak of resident memory",
    why="Blocks bound the memory, not tables: a small machine moves a large file.",
    metric=Metric.MEMORY,
    baseline=MemoryOfAMove.name,
    contestants=_contestants,
    targets=(Target(MemoryOfAMove.name, "at most", 80 * MEGABYTE),),
    no_limit="How much is held at once is chosen; it is the size of a block.",
    rounds=1,
)
