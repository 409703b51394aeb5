"""Ten thousand new rows in one transaction."""

from __future__ import annotations

from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.scenarios.get import BY_HAND, RAW, RECORDS, sides
from lockstep.bench.shelf import BulkInsert


def _contestants(scale: Scale) -> list[Contestant]:
    return [BulkInsert(shelf, scale.pick(10_000, 200)) for shelf in sides()]


SCENARIO = Scenario(
    name="bulk-10000",
    title="Ten thousand rows stored in one transaction, against executemany",
    why=(
        "An import, a delivery, a first sync. The raw driver gets tuples in the stored "
        "form, made before the clock starts; everybody else typed values. So there are "
        "two targets: against that, and against the same driver with each value "
        "converted by hand."
    ),
    metric=Metric.TIME,
    baseline=RAW,
    contestants=_contestants,
    targets=(
        Target(RECORDS, "at most", 1.5, RAW),
        Target(RECORDS, "at most", 1.5, BY_HAND),
    ),
    limit="fsync",
    rounds=5,
)
