"""A history that is missing, or that the database does not follow."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Severity
from lockstep.doctor.project.context import ProjectContext

_SEVERITIES: dict[str, Severity] = {
    "broken-history": "problem",
    "unknown-revision": "problem",
    "several-heads": "problem",
    "not-at-head": "warning",
    "no-revision": "warning",
    "history": "notice",
}


def examine(context: ProjectContext) -> Findings:
    """Look for the folder, then compare it with the database."""
    folder = context.history_folder
    if folder is None or context.settings is None:
        return
    if not (folder / "env.py").is_file():
        if context.settings.models is not None:
            yield CHECK.finding(
                "warning",
                folder.name,
                "the project has models and no history of migrations",
                mend="start one; the first revision describes what there is",
                command="lockstep migrate revision -m 'first' --autogenerate",
            )
        return
    for found in context.history_findings or ():
        severity = _SEVERITIES.get(found.code)
        if severity is not None:
            yield CHECK.finding(
                severity,
                found.where,
                found.message,
                mend=found.fix or "see lockstep migrate check",
                command="lockstep migrate check",
                evidence={"code": found.code},
            )


CHECK = Check(
    name="migrations",
    looks_for="A project without a history, several heads, a database that is behind "
    "or "
    "at a revision nobody has.",
    why="Which schema a copy of the application has is then a matter of luck.",
    project=examine,
)
