"""A large report: every ticket with its labor, as lines of a file."""

from __future__ import annotations

import csv
import io

import sqlalchemy as sa

from lockstep.bench.contestants import POSTGRESQL, SQLITE, OnLockstep
from lockstep.bench.scenario import Contestant, Metric, Scale, Scenario
from lockstep.bench.workshop import Keys, Labor, Machine, Ticket
from lockstep.engine import Database
from lockstep.engine.unit import Unit

_STATEMENT = (
    sa.select(
        Ticket.id,
        Machine.code,
        Ticket.title,
        Ticket.status,
        Ticket.opened_at,
        Labor.minutes,
    )
    .join(Machine, Machine.id == Ticket.machine_id)
    .join(Labor, Labor.ticket_id == Ticket.id)
    .order_by(Ticket.opened_at, Ticket.id, Labor.at)
)


def _write(db: Database, keys: Keys, number: int) -> None:
    def read(unit: Unit) -> int:
        writer = csv.writer(io.StringIO())
        lines = 0
        for row in unit.connection.execute(_STATEMENT):
            writer.writerow(row)
            lines += 1
        return lines

    assert db.read(read) == 2 * len(keys.tickets), "two lines for each ticket"


def _contestants(scale: Scale) -> list[Contestant]:
    return [OnLockstep(engine, 1, scale, _write) for engine in (SQLITE, POSTGRESQL)]


SCENARIO = Scenario(
    name="large-report",
    title="A report of ten thousand lines, three tables joined",
    why="The fifth day: everything at once, while nobody must wait for it.",
    metric=Metric.TIME,
    baseline="Lockstep, SQLite",
    contestants=_contestants,
    limit="loopback",
)
