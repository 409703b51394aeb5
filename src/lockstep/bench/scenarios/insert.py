"""One row inserted, durable: what every form does."""

from __future__ import annotations

import uuid
from datetime import timedelta

from lockstep.bench.access import repository
from lockstep.bench.contestants import SQLITE, Driver, four_sides
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario
from lockstep.bench.workshop import BEGINNING, Keys, Labor
from lockstep.engine import Database


def _on_driver(driver: Driver, keys: Keys, number: int) -> None:
    ticket = keys.tickets[number % len(keys.tickets)]
    at = BEGINNING + timedelta(seconds=number)
    # As the column's type stores it, which is what a program without one would do.
    when = f"{at:%Y-%m-%dT%H:%M:%S.%fZ}" if driver.engine == SQLITE else at
    driver.execute(
        "INSERT INTO labor (id, ticket_id, minutes, at) VALUES (?, ?, ?, ?)",
        (driver.key(uuid.uuid4()), driver.key(ticket), 15, when),
    )


def _on_lockstep(db: Database, keys: Keys, number: int) -> None:
    ticket = keys.tickets[number % len(keys.tickets)]
    at = BEGINNING + timedelta(seconds=number)
    db.write(
        lambda unit: repository(Labor, unit).add(
            {"ticket_id": ticket, "minutes": 15, "at": at}
        )
    )


def _contestants(scale: Scale) -> list[Contestant]:
    return four_sides(scale, scale.pick(50, 3), _on_driver, _on_lockstep)


SCENARIO = Scenario(
    name="insert",
    title="One row inserted and durable, one caller",
    why=(
        "Second of the six cases: claimed 0.1 against 0.5 ms. A commit cannot be "
        "faster than the disk's flush."
    ),
    metric=Metric.TIME,
    baseline="sqlite3",
    contestants=_contestants,
    limit="fsync",
    claims=(("sqlite3", 100e-6), ("psycopg", 500e-6)),
)
