"""Dashboards that refresh while a technician writes."""

from __future__ import annotations

from lockstep.bench.day import set_status
from lockstep.bench.journals import journal_scenario, look_at_dashboard
from lockstep.bench.plain import look_at_dashboard as look_plain
from lockstep.bench.plain import move_on

SCENARIO = journal_scenario(
    name="journal-dashboards",
    title="Dashboards that refresh while a technician writes",
    why="Three dashboards read everything again and again while one person writes.",
    people=((look_plain, look_at_dashboard),) * 3 + ((move_on, set_status),),
)
