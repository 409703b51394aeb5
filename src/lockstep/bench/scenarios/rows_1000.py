"""A thousand typed rows against the raw driver's tuples."""

from __future__ import annotations

from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.scenarios.get import BY_HAND, RAW, RECORDS, sides
from lockstep.bench.shelf import ThousandRows


def _contestants(scale: Scale) -> list[Contestant]:
    return [ThousandRows(shelf, scale.pick(10, 1)) for shelf in sides()]


SCENARIO = Scenario(
    name="rows-1000",
    title="A thousand typed rows in order, against the raw driver's tuples",
    why=(
        "Converting values is most of it: a key, a price and a moment in each row. The "
        "raw driver converts nothing, so there are two targets: against its tuples, "
        "and against the same driver with each value converted by hand."
    ),
    metric=Metric.TIME,
    baseline=RAW,
    contestants=_contestants,
    no_limit=(
        "The work is done in this process, from memory: the raw driver beside it is "
        "the limit."
    ),
    targets=(
        Target(RECORDS, "at most", 1.5, RAW),
        Target(RECORDS, "at most", 1.5, BY_HAND),
    ),
    # Short rounds, and many: a median of few is moved by other programs.
    rounds=21,
)
