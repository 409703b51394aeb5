"""A dashboard: ten questions about everything, in one snapshot."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from lockstep.bench.contestants import POSTGRESQL, SQLITE, OnLockstep
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario, Target
from lockstep.bench.workshop import Keys, Labor, Machine, Part, Ticket, Usage
from lockstep.engine import Database

_count, _sum = sa.func.count, sa.func.sum
QUESTIONS: tuple[sa.Select[*tuple[Any, ...]], ...] = (
    sa.select(Ticket.status, _count()).group_by(Ticket.status),
    sa.select(Ticket.priority, _count()).group_by(Ticket.priority),
    sa.select(Machine.hall, _count())
    .join(Ticket, Ticket.machine_id == Machine.id)
    .group_by(Machine.hall),
    sa.select(Machine.code, _count().label("often"))
    .join(Ticket, Ticket.machine_id == Machine.id)
    .group_by(Machine.code)
    .order_by(sa.desc("often"), Machine.code)
    .limit(10),
    sa.select(_sum(Labor.minutes)),
    sa.select(Ticket.priority, _sum(Labor.minutes))
    .join(Labor, Labor.ticket_id == Ticket.id)
    .group_by(Ticket.priority),
    sa.select(Part.sku, _sum(Usage.quantity).label("used"))
    .join(Usage, Usage.part_id == Part.id)
    .group_by(Part.sku)
    .order_by(sa.desc("used"), Part.sku)
    .limit(10),
    sa.select(_sum(Part.quantity * Part.price)),
    sa.select(_count()).select_from(Part).where(Part.quantity < 10),
    sa.select(Ticket.title, Ticket.opened_at)
    .where(Ticket.status != "closed")
    .order_by(Ticket.opened_at, Ticket.id)
    .limit(10),
)


def _answer(db: Database, keys: Keys, number: int) -> None:
    answers = db.read(
        lambda unit: [unit.connection.execute(each).all() for each in QUESTIONS]
    )
    assert all(answers), "every question has an answer"


def _contestants(scale: Scale) -> list[Contestant]:
    times = scale.pick(5, 1)
    return [
        OnLockstep(engine, times, scale, _answer) for engine in (SQLITE, POSTGRESQL)
    ]


SCENARIO = Scenario(
    name="dashboard",
    title="A dashboard of ten analytic queries in one snapshot",
    why="The third day: counts, sums and rankings over every ticket of a year.",
    metric=Metric.TIME,
    baseline="Lockstep, SQLite",
    contestants=_contestants,
    targets=(
        Target("Lockstep, SQLite", "at most", 1.0),
        Target("Lockstep, PostgreSQL", "at most", 1.0),
    ),
    limit="loopback",
)
