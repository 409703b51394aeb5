"""Ten requests at once, half of them writes."""

from __future__ import annotations

from lockstep.bench.day import set_status
from lockstep.bench.journals import journal_scenario, look_at_dashboard
from lockstep.bench.plain import look_at_dashboard as look_plain
from lockstep.bench.plain import move_on

SCENARIO = journal_scenario(
    name="journal-requests",
    title="Ten requests at once, half of them writes",
    why="What a web server does at the start of a shift.",
    people=((look_plain, look_at_dashboard), (move_on, set_status)) * 5,
)
