"""One row by its key: what every page does most."""

from __future__ import annotations

from lockstep.bench.access import repository
from lockstep.bench.contestants import Driver, four_sides
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario
from lockstep.bench.workshop import Keys, Part
from lockstep.engine import Database

STRIDE = 7
"""Neighbours of the last key would be in every cache."""


def _on_driver(driver: Driver, keys: Keys, number: int) -> None:
    key = keys.parts[number * STRIDE % len(keys.parts)]
    row = driver.execute(
        "SELECT id, version, sku, name, quantity, price, counted_at FROM part"
        " WHERE id = ?",
        (driver.key(key),),
    ).fetchone()
    assert row is not None, "every key has its row"


def _on_lockstep(db: Database, keys: Keys, number: int) -> None:
    key = keys.parts[number * STRIDE % len(keys.parts)]
    part = db.read(lambda unit: repository(Part, unit).get(key))
    assert part.id == key, "the row that was asked for"


def _contestants(scale: Scale) -> list[Contestant]:
    return four_sides(scale, scale.pick(500, 20), _on_driver, _on_lockstep)


SCENARIO = Scenario(
    name="select-by-id",
    title="One row by its key, a transaction each",
    why=(
        "First of six cases that a comparison of SQLite with PostgreSQL claimed "
        "without conditions: 0.05 against 0.3 ms."
    ),
    metric=Metric.TIME,
    baseline="sqlite3",
    contestants=_contestants,
    limit="loopback",
    claims=(("sqlite3", 50e-6), ("psycopg", 300e-6)),
    # Short rounds, and many: a median of few is moved by other programs.
    rounds=21,
)
