"""``lockstep verify``: compare every cell of two databases.

Owns how the differences are shown, and the exit code: 0 every cell is there, 1 not.
"""

from __future__ import annotations

from lockstep.cli.failures import EXIT_FAILED, Finished
from lockstep.cli.move import draw_differences
from lockstep.cli.move_progress import MoveProgress
from lockstep.cli.options import argument, command
from lockstep.cli.output import Page
from lockstep.cli.run import Run
from lockstep.wording import counted


@command(
    "verify",
    document={
        "is_same": "Whether no difference was found but what the move named.",
        "is_exact": "Whether it named none either: every cell is there.",
        "tables": "How many tables were compared.",
        "rows": "How many rows of the source were compared.",
        "cells": "How many cells.",
        "differences": "The first of them, and some of every place: list of `{kind, "
        "table, key, column, source, target}`; kind is `cell`, `missing row`, `extra "
        "row`, `missing table`, `missing column`, `extra table`, `extra column` or "
        "`storage class`.",
        "difference_count": "All of them.",
        "quarantined": "Rows that the move wrote to its quarantine file and that the "
        "target lacks: no differences.",
        "recomputed": "Cells that SQLite computes otherwise than they were, as the "
        "plan named them: no differences.",
        "left_behind": "What else of rows and values the plan named.",
        "summary": "Where they are: list of `{kind, table, column, count}`; the kind "
        "`row` counts rows of which nothing is kept.",
        "notices": "What to know about the comparison.",
    },
    examples={
        "lockstep verify old.db postgresql:///new": "whoever moved it",
        "lockstep verify postgresql:///shop shop.db": "the other way",
        "lockstep verify old.db copy.db": "two of one engine",
    },
    needs="nothing",
    short_help="Compare every cell of two databases.",
)
@argument("source", metavar="A")
@argument("target", metavar="B")
def verify(run: Run, *, source: str, target: str) -> None:
    """Compare every cell of two databases, by value and type.

    A is the original. B may have been moved by Lockstep, then its own plan says what
    each cell means, or by anything else, then tables and columns are found by their
    names. Neither is changed.
    """
    from lockstep.mover import Mover

    run.may_be_killed = True
    with MoveProgress(run.output) as progress:
        report = Mover(source, target, on_progress=progress).verify()

    def draw(page: Page) -> None:
        draw_differences(page, report)
        for notice in report.notices:
            page.line(f"note: {notice}")
        verdict, style = "the same", "green"
        if not report.is_same:
            verdict, style = "DIFFERENT", "bold red"
        elif not report.is_exact:
            verdict, style = "the same but for what the move left out", "yellow"
        page.line(
            f"{counted(report.tables, 'table')}, {counted(report.rows, 'row')}, "
            f"{counted(report.cells, 'cell')}: {verdict}",
            style=style,
        )

    run.output.result(report.to_json(), draw)
    if not report.is_exact:
        raise Finished(EXIT_FAILED)
