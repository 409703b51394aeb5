"""``lockstep db vacuum``: give unused space back, and say how much it was.

Owns the wording. What is checked and done is the business of ``lockstep.engine``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click as plain_click

from lockstep.cli.db import size_text
from lockstep.cli.options import command, option
from lockstep.cli.output import Page
from lockstep.cli.run import Run

if TYPE_CHECKING:
    from lockstep.engine.vacuum import AutoVacuum, Vacuumed


@command(
    "vacuum",
    document={
        "before_bytes": "Size of the file with its log, or of the server's database.",
        "after_bytes": "The same, afterwards.",
        "gained_bytes": "The difference.",
        "auto_vacuum": "SQLite: `none`, `full` or `incremental`; null on PostgreSQL.",
        "elapsed_s": "Seconds it took.",
    },
    examples={
        "lockstep db vacuum": "after deleting many rows",
        "lockstep db vacuum --auto-vacuum incremental": "and change the file's habit",
    },
    short_help="Give the space of deleted rows back to the disk.",
)
@option(
    "--auto-vacuum",
    type=plain_click.Choice(["none", "full", "incremental"]),
    help="SQLite: also change how the file gives space back by itself. The pragma "
    "alone does nothing on a file that has tables.",
)
def vacuum(run: Run, *, auto_vacuum: AutoVacuum | None) -> None:
    """Give the space of deleted rows back to the disk.

    SQLite writes the file anew: it needs room for a second copy, and writers wait.
    PostgreSQL: VACUUM (ANALYZE), while everybody works.
    """
    from lockstep.engine.sqlite_files import check_is_there
    from lockstep.engine.vacuum import vacuum as give_back

    run.keeps("every row is as it was")
    with run.database() as database:
        if database.url.path is not None:
            check_is_there(database.url.path)
        done = give_back(database, auto_vacuum=auto_vacuum)
    document = done.to_json()
    run.output.result(document, lambda page: _draw(page, done, document))


def _draw(page: Page, done: Vacuumed, document: dict[str, Any]) -> None:
    gained: int = document["gained_bytes"]
    rows = [
        ("Before", size_text(done.before_bytes)),
        ("After", size_text(done.after_bytes)),
        ("Gained", size_text(max(gained, 0))),
    ]
    if done.auto_vacuum is not None:
        rows.append(("auto_vacuum", done.auto_vacuum))
    page.facts(rows)
