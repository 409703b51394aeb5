"""The list of all parts: an inventory's first page."""

from __future__ import annotations

from lockstep.bench.access import repository
from lockstep.bench.contestants import POSTGRESQL, SQLITE, OnLockstep
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.workshop import Keys, Part
from lockstep.engine import Database

ROWS = 600


def _list(db: Database, keys: Keys, number: int) -> None:
    rows = db.read(
        lambda unit: repository(Part, unit).list(order_by=Part.sku, limit=ROWS)
    )
    assert len(rows) == ROWS, "more than five hundred"


def _contestants(scale: Scale) -> list[Contestant]:
    times = scale.pick(10, 1)
    return [OnLockstep(engine, times, scale, _list) for engine in (SQLITE, POSTGRESQL)]


SCENARIO = Scenario(
    name="parts-list",
    title="Six hundred parts in order, as typed rows",
    why=(
        '"500+ parts load instantly" after a move to PostgreSQL. A tenth of a '
        "second is what people take for at once."
    ),
    metric=Metric.TIME,
    baseline="Lockstep, SQLite",
    contestants=_contestants,
    targets=(
        Target("Lockstep, SQLite", "at most", 0.1),
        Target("Lockstep, PostgreSQL", "at most", 0.1),
    ),
    limit="loopback",
)
