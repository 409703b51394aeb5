"""``lockstep migrate current | history | heads``: where the schema stands.

Owns how revisions are listed. Nothing here changes a file or a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lockstep.cli.options import command, option
from lockstep.cli.output import Page
from lockstep.cli.run import Run, is_there

if TYPE_CHECKING:
    from lockstep.migrations import RevisionInfo

_REVISION_KEYS = (
    "`{revision, down_revisions, message, path, is_head, is_current, branch_labels}`"
)


@command(
    "current",
    document={
        "revisions": f"The revisions the database is at: list of {_REVISION_KEYS}; "
        "empty when nothing was applied.",
        "is_head": "Whether no revision is left to apply.",
    },
    examples={"lockstep migrate current": "where the database stands"},
)
def current(run: Run) -> None:
    """Show the revision the database is at."""
    with run.migrations(models=False) as migrations:
        found = migrations.current() if is_there(migrations.db) else ()
        heads = migrations.heads()
    is_head = {item.revision for item in found} == {item.revision for item in heads}

    def draw(page: Page) -> None:
        for item in found:
            tail = " (head)" if item.is_head else ""
            page.line(f"{item.revision}{tail}  {item.message}")
        if not found:
            page.line("(nothing applied)")

    run.output.result(
        {"revisions": [item.to_json() for item in found], "is_head": is_head}, draw
    )


@command(
    "history",
    document={"revisions": f"Newest first: list of {_REVISION_KEYS}."},
    examples={"lockstep migrate history": "every revision, newest first"},
)
@option("--offline", is_flag=True, help="Do not ask the database where it stands.")
def history(run: Run, *, offline: bool) -> None:
    """List the revisions, newest first; a star marks the database's own."""
    with run.migrations(models=False) as migrations:
        found = migrations.history(offline=offline or not is_there(migrations.db))
    _list(run, found)


@command(
    "heads",
    document={"revisions": f"Those that nothing follows: list of {_REVISION_KEYS}."},
    examples={"lockstep migrate heads": "more than one? lockstep migrate merge"},
)
def heads(run: Run) -> None:
    """List the revisions that nothing follows; there should be one."""
    with run.migrations(models=False) as migrations:
        found = migrations.heads()
    _list(run, found)


def _list(run: Run, found: Sequence[RevisionInfo]) -> None:
    def draw(page: Page) -> None:
        if not found:
            page.line("(no revision yet: lockstep migrate revision --autogenerate)")
            return
        page.table(
            ("", "revision", "follows", "message"),
            [
                (
                    "*" if item.is_current else "",
                    item.revision,
                    ", ".join(item.down_revisions) or "–",
                    item.message + ("  (head)" if item.is_head else ""),
                )
                for item in found
            ],
        )

    run.output.result({"revisions": [item.to_json() for item in found]}, draw)
