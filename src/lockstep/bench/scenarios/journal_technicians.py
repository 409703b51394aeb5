"""Two technicians who save at the same time."""

from __future__ import annotations

from lockstep.bench.day import set_status
from lockstep.bench.journals import journal_scenario
from lockstep.bench.plain import move_on

SCENARIO = journal_scenario(
    name="journal-technicians",
    title="Two technicians who save at the same time",
    why="One writer at a time in either mode; who read first must begin again in WAL.",
    people=((move_on, set_status),) * 2,
)
