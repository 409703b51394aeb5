"""A history that is missing, or that the database does not follow."""

from __future__ import annotations

import re

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Severity, some
from lockstep.doctor.project.context import ProjectContext
from lockstep.doctor.project.files import TextFile
from lockstep.doctor.project.revisions import histories

_DJANGO_MODEL = re.compile(r"^class \w+\(.*\bmodels\.Model\b")
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
        yield from _of_other_tools(context)
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


def _of_other_tools(context: ProjectContext) -> Findings:
    """Read how the histories of Alembic and Django hang together; run nothing."""
    code = [file for file in context.code(".py")]
    for history in histories(code):
        if len(history.heads) > 1:
            merge = (
                "alembic merge heads"
                if history.tool == "Alembic"
                else "python manage.py makemigrations --merge"
            )
            yield CHECK.finding(
                "problem",
                history.folder,
                f"the history has {len(history.heads)} heads: {some(history.heads)}",
                why=f"{history.tool} refuses to go on, or applies one branch and not "
                "the other.",
                mend="join them with one revision that builds on all of them",
                command=merge,
                evidence={"heads": history.heads},
            )
        for revision, parent in history.missing:
            yield CHECK.finding(
                "problem",
                history.files[revision],
                f"the revision builds on {parent}, and there is no such file",
                why="No new installation can be made: the history begins nowhere.",
                mend="bring the file back from version control, or from whoever has it",
                evidence={"revision": revision, "parent": parent},
            )
    yield from _without_history(code)


def _without_history(code: list[TextFile]) -> Findings:
    """Find applications of Django with models and no migration."""
    names = {file.name for file in code}
    for file in code:
        folder, _, name = file.name.rpartition("/")
        is_application = name == "models.py" and f"{folder}/apps.py" in names
        if not is_application or not any(True for _ in file.matches(_DJANGO_MODEL)):
            continue
        started = f"{folder}/migrations/0"
        if not any(other.startswith(started) for other in names):
            yield CHECK.finding(
                "warning",
                file.name,
                "the application has models and no migration",
                mend="start the history; the first migration describes what there is",
                command=f"python manage.py makemigrations {folder.rpartition('/')[2]}",
            )


CHECK = Check(
    name="migrations",
    looks_for="A project without a history, several heads, a database that is behind "
    "or at a revision nobody has; histories of Alembic and Django with several heads "
    "or a gap.",
    why="Which schema a copy of the application has is then a matter of luck.",
    project=examine,
)
