"""``lockstep migrate revision | merge``: write a file of the history.

Owns how a written file is told. What stands in it is decided by
``lockstep.migrations``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockstep.cli.options import argument, command, option
from lockstep.cli.output import Page
from lockstep.cli.run import Run

if TYPE_CHECKING:
    from lockstep.migrations import RevisionWritten

_DOCUMENT = {
    "revision": "The new revision's id; null when none was needed.",
    "path": "The file that was written, or null.",
    "message": "What you called it.",
    "operations": "One line per change.",
    "warnings": "What to look at before applying it.",
}


@command(
    "revision",
    document=_DOCUMENT,
    examples={
        'lockstep migrate revision --autogenerate -m "add a phone number"': "",
        'lockstep migrate revision -m "fill the phone numbers"': "an empty one",
    },
    short_help="Write the next revision, from the models or empty.",
)
@option("-m", "--message", required=True, help="What the revision does.")
@option("--autogenerate", is_flag=True, help="Compare the models with the database.")
def revision(run: Run, *, message: str, autogenerate: bool) -> None:
    """Write the next revision file.

    With --autogenerate it holds what leads from the database to the models, on every
    engine; without it is empty, for a data migration. Read it before you apply it.
    """
    run.keeps("no revision was written")
    with run.migrations() as migrations:
        written = migrations.revision(message, autogenerate=autogenerate)
    _tell(run, written, needless="models and database agree")


@command(
    "merge",
    document=_DOCUMENT,
    examples={"lockstep migrate merge": "join two heads that two people wrote"},
    short_help="Join several heads into one.",
)
@option("-m", "--message", default="merge heads", help="What to call it.")
@argument("revisions", nargs=-1)
def merge(run: Run, *, message: str, revisions: tuple[str, ...]) -> None:
    """Write a revision that joins REVISIONS, or all heads."""
    from lockstep.migrations import RevisionWritten

    run.keeps("no revision was written")
    with run.migrations(models=False) as migrations:
        if revisions or len(migrations.heads()) > 1:
            written = migrations.merge(revisions or "heads", message=message)
        else:
            written = RevisionWritten(None, None, message)
    _tell(run, written, needless="there is one head already")


def _tell(run: Run, written: RevisionWritten, *, needless: str) -> None:
    def draw(page: Page) -> None:
        if written.is_empty:
            page.line(f"{needless}; no revision was written")
            return
        page.line(f"Wrote {written.path}", style="bold")
        for operation in written.operations:
            page.line(f"  {operation}")
        for warning in written.warnings:
            page.line(f"  look at: {warning}", style="yellow")

    run.output.result(written.to_json(), draw)
