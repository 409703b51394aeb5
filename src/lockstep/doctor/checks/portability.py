"""Models that mean something else on another engine."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.project.context import ProjectContext

_NAMES = ("unnamed-constraint", "name-too-long")


def examine(context: ProjectContext) -> Findings:
    """Tell what lockstep's portability check says about the models."""
    for found in context.history_findings or ():
        if not found.code.startswith("portability-") and found.code not in _NAMES:
            continue
        yield CHECK.finding(
            "warning" if found.severity == "error" else "notice",
            found.where,
            found.message,
            mend=found.fix or "see lockstep migrate check",
            evidence={"code": found.code},
        )


CHECK = Check(
    name="portability",
    looks_for="Constructs in the models that differ between SQLite and PostgreSQL.",
    why="The day the application moves, it behaves otherwise without an error.",
    project=examine,
)
