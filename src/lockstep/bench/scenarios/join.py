"""Five tables joined and grouped: what a report does."""

from __future__ import annotations

import sqlalchemy as sa

from lockstep.bench.contestants import Driver, four_sides
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario
from lockstep.bench.workshop import Keys, Labor, Machine, Part, Ticket, Usage
from lockstep.engine import Database

_SQL = """
    SELECT machine.hall, count(DISTINCT ticket.id), sum(work.minutes),
           sum(usage.quantity * part.price)
    FROM ticket
    JOIN machine ON machine.id = ticket.machine_id
    JOIN (SELECT ticket_id, sum(minutes) AS minutes FROM labor GROUP BY ticket_id)
         AS work ON work.ticket_id = ticket.id
    JOIN usage ON usage.ticket_id = ticket.id
    JOIN part ON part.id = usage.part_id
    WHERE ticket.priority >= 2
    GROUP BY machine.hall ORDER BY machine.hall
"""

_WORK = (
    sa.select(Labor.ticket_id, sa.func.sum(Labor.minutes).label("minutes"))
    .group_by(Labor.ticket_id)
    .subquery("work")
)
_STATEMENT = (
    sa.select(
        Machine.hall,
        sa.func.count(Ticket.id.distinct()),
        sa.func.sum(_WORK.c.minutes),
        sa.func.sum(Usage.quantity * Part.price),
    )
    .select_from(Ticket)
    .join(Machine, Machine.id == Ticket.machine_id)
    .join(_WORK, _WORK.c.ticket_id == Ticket.id)
    .join(Usage, Usage.ticket_id == Ticket.id)
    .join(Part, Part.id == Usage.part_id)
    .where(Ticket.priority >= 2)
    .group_by(Machine.hall)
    .order_by(Machine.hall)
)


def _on_driver(driver: Driver, keys: Keys, number: int) -> None:
    rows = driver.execute(_SQL).fetchall()
    assert len(rows) == 10, "ten halls"


def _on_lockstep(db: Database, keys: Keys, number: int) -> None:
    rows = db.read(lambda unit: unit.connection.execute(_STATEMENT).all())
    assert len(rows) == 10, "ten halls"


def _contestants(scale: Scale) -> list[Contestant]:
    return four_sides(scale, scale.pick(5, 1), _on_driver, _on_lockstep)


SCENARIO = Scenario(
    name="join",
    title="Five tables joined, grouped and added up",
    why=(
        "Fourth of the six cases: claimed 5 ms on either. Here the planner "
        "decides, not the library."
    ),
    metric=Metric.TIME,
    baseline="sqlite3",
    contestants=_contestants,
    limit="loopback",
    claims=(("sqlite3", 5e-3), ("psycopg", 5e-3)),
)
