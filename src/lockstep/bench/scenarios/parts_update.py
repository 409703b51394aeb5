"""One part changed: version checked, durable."""

from __future__ import annotations

from lockstep.bench.access import repository
from lockstep.bench.contestants import POSTGRESQL, SQLITE, OnLockstep
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.workshop import Keys, Part
from lockstep.engine import Database
from lockstep.engine.unit import Unit


def _update(db: Database, keys: Keys, number: int) -> None:
    key = keys.parts[number % len(keys.parts)]

    def write(unit: Unit) -> None:
        parts = repository(Part, unit)
        part = parts.get(key)
        quantity = {"quantity": part.quantity + 1}
        parts.update(key, quantity, expected_version=part.version)

    db.write(write)


def _contestants(scale: Scale) -> list[Contestant]:
    times = scale.pick(20, 2)
    return [
        OnLockstep(engine, times, scale, _update) for engine in (SQLITE, POSTGRESQL)
    ]


SCENARIO = Scenario(
    name="parts-update",
    title="A part read and changed with its version, durable",
    why='"An update takes less than 100 ms" after a move to PostgreSQL.',
    metric=Metric.TIME,
    baseline="Lockstep, SQLite",
    contestants=_contestants,
    targets=(
        Target("Lockstep, SQLite", "at most", 0.1),
        Target("Lockstep, PostgreSQL", "at most", 0.1),
    ),
    limit="fsync",
)
