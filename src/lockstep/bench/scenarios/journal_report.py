"""A long report while two technicians write."""

from __future__ import annotations

from lockstep.bench.day import set_status
from lockstep.bench.journals import journal_scenario, write_report
from lockstep.bench.plain import move_on
from lockstep.bench.plain import write_report as report_plain

SCENARIO = journal_scenario(
    name="journal-report",
    title="A long report while two technicians write",
    why="In a rollback journal no commit passes a reader, however long it reads.",
    people=((report_plain, write_report),) + ((move_on, set_status),) * 2,
)
