"""What the journal of a SQLite file does to people who work at the same time.

Owns the shape of the scenarios that compare a rollback journal, which a new file of
SQLite has, with the write-ahead log: the same people, the same SQL, a connection per
request. In a rollback journal readers wait while a writer commits and a commit waits
for readers; in WAL neither does. The third side is Lockstep, which turns WAL on.
"""

from __future__ import annotations

from lockstep.bench.contestants import SQLITE
from lockstep.bench.day import Action, People
from lockstep.bench.plain import (
    DASHBOARD,
    REPORT,
    PeopleOnSqlite3,
    PlainAction,
)
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.workshop import Keys
from lockstep.engine import Database
from lockstep.engine.unit import Unit

ROLLBACK, WAL, OURS = "sqlite3, rollback journal", "sqlite3, WAL", "Lockstep, SQLite"


def look_at_dashboard(db: Database, keys: Keys, number: int) -> None:
    """Ask the plain side's questions in one snapshot."""
    answers = db.read(
        lambda unit: [unit.connection.exec_driver_sql(each).all() for each in DASHBOARD]
    )
    assert all(answers), "there is data"


def write_report(db: Database, keys: Keys, number: int) -> None:
    """Read every ticket with its labor."""

    def read(unit: Unit) -> int:
        return sum(1 for _ in unit.connection.exec_driver_sql(REPORT))

    assert db.read(read) == 2 * len(keys.tickets), "two lines for each ticket"


def journal_scenario(
    name: str,
    title: str,
    why: str,
    people: tuple[tuple[PlainAction, Action], ...],
) -> Scenario:
    """Return the scenario of these people, each with a part to play.

    Args:
        name: Of the scenario.
        title: One line.
        why: What it shows.
        people: What each does over and over: without Lockstep, and with it.
    """
    plain, ours = tuple(zip(*people, strict=True))

    def contestants(scale: Scale) -> list[Contestant]:
        seconds, count = scale.pick(1.0, 0.1), len(people)
        return [
            PeopleOnSqlite3(ROLLBACK, count, seconds, scale, plain, journal="delete"),
            PeopleOnSqlite3(WAL, count, seconds, scale, plain),
            People(SQLITE, count, seconds, scale, ours, one_role=True),
        ]

    return Scenario(
        name=name,
        title=title,
        why=why,
        metric=Metric.RATE,
        baseline=ROLLBACK,
        contestants=contestants,
        targets=(Target(OURS, "no refusals"),),
        limit="fsync",
        rounds=5,
    )
