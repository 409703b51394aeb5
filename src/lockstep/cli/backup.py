"""``lockstep db backup | verify-backup | restore``: what they show and ask.

Owns options, progress and the wording of results. What is copied, checked and kept is
decided by ``lockstep.engine.backup``.

Invariant: a target that holds something is replaced only with ``--replace --yes``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click as plain_click

from lockstep.cli.db import size_text
from lockstep.cli.failures import EXIT_FAILED, Finished
from lockstep.cli.options import argument, command, option
from lockstep.cli.output import Page
from lockstep.cli.run import Run
from lockstep.cli.steps import StepProgress
from lockstep.wording import counted

if TYPE_CHECKING:
    from lockstep.engine.backup import BackedUp, Restored, RestorePlan, Verified
    from lockstep.engine.backup.manifest import Manifest

FOLDER = "backups"

_FILE = plain_click.Path(path_type=Path, dir_okay=False)


@command(
    "backup",
    document={
        "backup": "The file that was made.",
        "manifest": "The small file beside it that says what it holds.",
        "engine": "`sqlite` or `postgresql`.",
        "created_at": "The instant of the snapshot, UTC.",
        "size_bytes": "Of the backup.",
        "tables": "How many tables it holds.",
        "rows": "How many rows, of all tables.",
        "revisions": "Where the migration history stood.",
        "foreign_key_violations": "SQLite: rows that point at nothing, in the "
        "database as in its copy.",
        "removed": "Older backups that `--keep` removed.",
    },
    examples={
        "lockstep db backup": "into the project's folder backups/",
        "lockstep db backup /mnt/safe/ --keep 14": "the newest fourteen",
        "lockstep db backup before-upgrade.db": "one file of this name",
    },
    short_help="Copy the database while others write to it, and check the copy.",
)
@argument("target", required=False, metavar="[FILE|FOLDER/]")
@option("--force", is_flag=True, help="Replace FILE if it exists.")
@option(
    "--keep",
    type=plain_click.IntRange(min=1),
    metavar="N",
    help="In a folder: keep the newest N backups of this database, remove older ones.",
)
def backup(run: Run, *, target: str | None, force: bool, keep: int | None) -> None:
    """Copy the database into FILE, or into FOLDER under a name with the time.

    Others go on reading and writing. SQLite: the online backup, an ordinary SQLite
    file. libSQL: the same file, read from the server in one transaction. PostgreSQL:
    pg_dump -Fc. The copy is of one instant, is read back and compared
    table by table, and gets its name only then. Beside it stands a manifest, which
    verify-backup and restore need.
    """
    from lockstep.engine.backup import back_up
    from lockstep.mover import ServerCopier

    chosen = target or f"{run.settings.root / FOLDER}/"
    run.keeps("no backup was made; older ones are as they were")
    with run.database() as database, StepProgress(run.output) as progress:
        made = back_up(
            database,
            chosen,
            force=force,
            keep=keep,
            copier=ServerCopier(),
            on_progress=progress,
        )
    run.keeps("the backup was made")
    if made.manifest.foreign_key_violations:
        run.output.warning(
            f"{made.manifest.foreign_key_violations:,} rows of the database point at "
            "nothing (PRAGMA foreign_key_check names them); the backup holds them too"
        )
    run.output.result(made.to_json(), lambda page: _draw_backup(page, made))


def _holds(manifest: Manifest) -> str:
    tables = counted(len(manifest.user_tables), "table")
    return f"{tables}, {counted(manifest.rows, 'row')}"


def _draw_backup(page: Page, made: BackedUp) -> None:
    manifest = made.manifest
    rows = [
        ("Backup", str(made.path)),
        ("Size", size_text(manifest.size_bytes)),
        ("Holds", _holds(manifest)),
        ("Revision", ", ".join(manifest.revisions) or "none"),
    ]
    page.facts([*rows, *(("Removed", str(path)) for path in made.removed)])


@command(
    "verify-backup",
    document={
        "good": "Whether everything is as it was.",
        "backup": "The file.",
        "engine": "`sqlite` or `postgresql`.",
        "created_at": "When it was made, UTC.",
        "tables": "How many tables it must hold.",
        "rows": "How many rows, of all tables.",
        "problems": "What is wrong with the file itself, as sentences.",
        "differences": "Tables that differ: list of `{name, expected_rows, "
        "actual_rows, reason}`.",
    },
    examples={
        "lockstep db verify-backup backups/shop-20261121T030500Z.db": "whole?",
        "lockstep db verify-backup shop.dump --into postgresql://me@spare/": "usable?",
    },
    needs="project",
    short_help="Restore a backup into scratch and compare every table.",
)
@argument("file", type=_FILE)
@option(
    "--into",
    metavar="URL",
    help="PostgreSQL: the server for the throw-away database, not an embedded one.",
)
def verify(run: Run, *, file: Path, into: str | None) -> None:
    """Restore FILE into a throw-away database and compare it with its manifest.

    Rows and values of every table are compared. Ends with 1 and names the tables if
    anything differs. Your database is not touched.
    """
    from lockstep.engine.backup import verify_backup

    if into is not None:
        run.note_url("--into", into)
    with StepProgress(run.output) as progress:
        found = verify_backup(
            file, settings=run.settings, into=into, on_progress=progress
        )
    run.output.result(found.to_json(), lambda page: _draw_verified(page, found))
    if not found.is_good:
        raise Finished(EXIT_FAILED)


def _draw_verified(page: Page, found: Verified) -> None:
    manifest = found.manifest
    if found.is_good:
        page.line(f"good: {_holds(manifest)}, as of {manifest.created_at}")
        return
    page.line(f"damaged: {found.path}", style="bold red")
    for problem in found.problems:
        page.line(f"  {problem}")
    for item in found.differences:
        page.line(f"  {item.name}: {item.reason}")


@command(
    "restore",
    document={
        "applied": "Whether it was done; false when only the plan was shown.",
        "backup": "Only when it was done: the file.",
        "created_at": "Only when it was done: when the backup was made, UTC.",
        "tables": "Only when it was done: how many tables there are now.",
        "rows": "Only when it was done: how many rows, of all tables.",
        "revisions": "Only when it was done: where the migration history stands.",
        "target": "Only when it was done: the database, password masked.",
        "target_is_empty": "Only when it was done: whether it was empty before.",
        "kept": "Only when it was done: where the old content is; empty if there was "
        "none.",
        "plan": "Only without `--yes`: `{backup, created_at, tables, rows, revisions, "
        "target, target_is_empty}`.",
    },
    examples={
        "lockstep db restore backup.db --to sqlite:///new.db --yes": "a new file",
        "lockstep db restore backup.db --replace": "show what it would replace",
        "lockstep db restore backup.db --replace --yes": "and do it",
    },
    yes=True,
    short_help="Make a database what it was when the backup was made.",
)
@argument("file", type=_FILE)
@option("--to", metavar="URL", help="The target. [default: the project's database]")
@option(
    "--replace",
    is_flag=True,
    help="Allow a target that holds something; it is kept under another name.",
)
@option(
    "--owners",
    is_flag=True,
    help="PostgreSQL: restore owners and privileges too; the roles must exist.",
)
def restore(
    run: Run, *, file: Path, to: str | None, replace: bool, owners: bool
) -> None:
    """Restore FILE into the database that --to names, or the project's.

    The backup is checked before anything changes. What the target held is kept: SQLite
    in FILE.before-restore-TIME, PostgreSQL in a database DB_before_restore_TIME. It is
    refused while another program has the target open. A libSQL server's database must
    be empty. The plan is only shown until
    --yes is given.
    """
    from lockstep.engine.backup import plan_restore, restore_backup
    from lockstep.engine.backup.restoring import not_empty
    from lockstep.mover import ServerCopier

    if to is not None:
        run.aim("--to", to)
    with run.database() as database:
        copier = ServerCopier()
        plan = plan_restore(file, database, copier=copier)
        if not plan.is_empty and not replace:
            raise not_empty(plan)
        run.require_yes(
            plan.to_json(),
            lambda page: _draw_plan(page, plan),
            why="this changes the target",
        )
        run.keeps("the target has its old content, or already the backup's")
        with StepProgress(run.output) as progress:
            done = restore_backup(
                file,
                database,
                replace=replace,
                owners=owners,
                copier=copier,
                on_progress=progress,
            )
    document = {"applied": True, **done.to_json()}
    run.output.result(document, lambda page: _draw_restored(page, done))


def _draw_plan(page: Page, plan: RestorePlan) -> None:
    manifest = plan.manifest
    held = "is empty" if plan.is_empty else "holds something, which is kept aside"
    page.facts(
        [
            ("Backup", str(plan.backup)),
            ("Made", manifest.created_at),
            ("Holds", _holds(manifest)),
            ("Revision", ", ".join(manifest.revisions) or "none"),
            ("Target", f"{plan.target} {held}"),
        ]
    )


def _draw_restored(page: Page, done: Restored) -> None:
    manifest = done.plan.manifest
    page.line(f"restored {_holds(manifest)}: {done.plan.target}")
    for name in done.kept:
        page.line(f"kept {name}")
