"""The end of a shift: twenty people write down what they did, all at once."""

from __future__ import annotations

from lockstep.bench.contestants import POSTGRESQL, SQLITE
from lockstep.bench.day import (
    People,
    book_labor,
    page_of_tickets,
    set_status,
    take_part,
)
from lockstep.bench.plain import PeopleOnSqlite3
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target

COUNT = 20
ACTIONS = (page_of_tickets, book_labor, set_status, take_part)


def _contestants(scale: Scale) -> list[Contestant]:
    seconds = scale.pick(1.0, 0.1)
    return [
        PeopleOnSqlite3("sqlite3, a connection each", COUNT, seconds, scale),
        People(SQLITE, COUNT, seconds, scale, ACTIONS),
        People(POSTGRESQL, COUNT, seconds, scale, ACTIONS),
    ]


SCENARIO = Scenario(
    name="end-of-shift",
    title=(
        "Twenty people look, book labor, move tickets and take parts, without a pause"
    ),
    why=(
        'The fourth day, for which "potential timeouts" were foretold. (The first '
        "side only moves tickets.)"
    ),
    metric=Metric.RATE,
    baseline="sqlite3, a connection each",
    contestants=_contestants,
    targets=(
        Target("Lockstep, SQLite", "no refusals"),
        Target("Lockstep, SQLite", "p99", 1.0),
        Target("Lockstep, PostgreSQL", "no refusals"),
        Target("Lockstep, PostgreSQL", "p99", 1.0),
    ),
    limit="fsync",
    rounds=5,
)
