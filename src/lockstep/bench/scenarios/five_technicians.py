"""Five technicians change tickets at the same time."""

from __future__ import annotations

from lockstep.bench.contestants import POSTGRESQL, SQLITE
from lockstep.bench.day import People, set_status
from lockstep.bench.plain import PeopleOnSqlite3
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target

COUNT = 5


def _contestants(scale: Scale) -> list[Contestant]:
    seconds = scale.pick(1.0, 0.1)
    return [
        PeopleOnSqlite3("sqlite3, a connection each", COUNT, seconds, scale),
        People(SQLITE, COUNT, seconds, scale, (set_status,)),
        People(POSTGRESQL, COUNT, seconds, scale, (set_status,)),
    ]


SCENARIO = Scenario(
    name="five-technicians",
    title="Five technicians read a ticket and move it on, without a pause",
    why="The second day. Reading, then writing in a deferred transaction is what fails "
    "without the write lock; here the version is checked as well.",
    metric=Metric.RATE,
    baseline="sqlite3, a connection each",
    contestants=_contestants,
    targets=(
        Target("Lockstep, SQLite", "no refusals"),
        Target("Lockstep, PostgreSQL", "no refusals"),
    ),
    limit="fsync",
    rounds=5,
)
