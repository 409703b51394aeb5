"""A database that is not what the models say."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.project.context import ProjectContext


def examine(context: ProjectContext) -> Findings:
    """Compare models and database, at the head of the history."""
    for found in context.history_findings or ():
        if found.code in ("drift", "not-portable"):
            yield CHECK.finding(
                "warning",
                found.where,
                found.message,
                mend=found.fix or "correct the models or write a revision",
                command="lockstep migrate check",
            )


CHECK = Check(
    name="drift",
    looks_for="Tables, columns, indexes and constraints that models and database do "
    "not have in common.",
    why="Somebody changed one of them by hand: the next revision undoes it, or fails "
    "on it, and only on this copy.",
    project=examine,
)
