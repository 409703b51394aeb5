"""A thousand rows at once: what a list or an export does."""

from __future__ import annotations

from lockstep.bench.access import repository
from lockstep.bench.contestants import Driver, four_sides
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario
from lockstep.bench.workshop import Keys, Part
from lockstep.engine import Database

ROWS = 1000


def _on_driver(driver: Driver, keys: Keys, number: int) -> None:
    rows = driver.execute(
        "SELECT id, version, sku, name, quantity, price, counted_at FROM part"
        " ORDER BY sku LIMIT 1000"
    ).fetchall()
    assert len(rows) == ROWS, "all of them"


def _on_lockstep(db: Database, keys: Keys, number: int) -> None:
    rows = db.read(
        lambda unit: repository(Part, unit).list(order_by=Part.sku, limit=ROWS)
    )
    assert len(rows) == ROWS, "all of them"


def _contestants(scale: Scale) -> list[Contestant]:
    return four_sides(scale, scale.pick(10, 1), _on_driver, _on_lockstep)


SCENARIO = Scenario(
    name="select-1000",
    title="A thousand rows in order",
    why="Third of the six cases: claimed 2 against 4 ms.",
    metric=Metric.TIME,
    baseline="sqlite3",
    contestants=_contestants,
    limit="loopback",
    claims=(("sqlite3", 2e-3), ("psycopg", 4e-3)),
)
