"""The numbers above the list: how many parts, how few left, what they are worth."""

from __future__ import annotations

import sqlalchemy as sa

from lockstep.bench.contestants import POSTGRESQL, SQLITE, OnLockstep
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.workshop import Keys, Part
from lockstep.engine import Database

_STATEMENT = sa.select(
    sa.func.count(),
    sa.func.sum(Part.quantity),
    sa.func.sum(Part.quantity * Part.price),
    sa.func.count().filter(Part.quantity < 10),
).select_from(Part)


def _ask(db: Database, keys: Keys, number: int) -> None:
    row = db.read(lambda unit: unit.connection.execute(_STATEMENT).one())
    assert row[0] == len(keys.parts), "every part"


def _contestants(scale: Scale) -> list[Contestant]:
    times = scale.pick(20, 2)
    return [OnLockstep(engine, times, scale, _ask) for engine in (SQLITE, POSTGRESQL)]


SCENARIO = Scenario(
    name="parts-statistics",
    title="Count, sum, value and shortages of a thousand parts",
    why='"The statistics take less than 50 ms" after a move to PostgreSQL.',
    metric=Metric.TIME,
    baseline="Lockstep, SQLite",
    contestants=_contestants,
    targets=(
        Target("Lockstep, SQLite", "at most", 0.05),
        Target("Lockstep, PostgreSQL", "at most", 0.05),
    ),
    limit="loopback",
)
