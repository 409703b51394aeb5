"""Find the known traps in a database or a project, and mend those that are safe.

Floor 7: knows the engine, the schema and the migrations below it, and nothing of
the command. It looks at databases that nobody here designed.

    examine(target) ──► registry: one check per file ──► Report of Findings
                                                            └─► repairs (--fix)
    trace: what the connections of a running program really do

Invariant: examining changes nothing, not a byte and not a file beside it.
"""

from lockstep.doctor.check import Check, Repair
from lockstep.doctor.examination import examine
from lockstep.doctor.findings import Finding
from lockstep.doctor.limits import Limits
from lockstep.doctor.registry import all_checks
from lockstep.doctor.repairs import RepairResult, carry_out, planned
from lockstep.doctor.report import CheckRun, Report

__all__ = [
    "Check",
    "CheckRun",
    "Finding",
    "Limits",
    "Repair",
    "RepairResult",
    "Report",
    "all_checks",
    "carry_out",
    "examine",
    "planned",
]
