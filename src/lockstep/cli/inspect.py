"""``lockstep inspect``: what really lies in a database.

Owns how an inspection is shown. What is found is decided by ``lockstep.mover``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click as plain_click

from lockstep.cli.move_progress import MoveProgress
from lockstep.cli.options import argument, command, option
from lockstep.cli.output import Page
from lockstep.cli.run import Run
from lockstep.wording import counted

if TYPE_CHECKING:
    from lockstep.mover import Inspection


@command(
    "inspect",
    document={
        "url": "The database, password masked.",
        "dialect": "`sqlite` or `postgresql`.",
        "tables": "List of tables: `{name, kind, rows, columns, …}`; a column has "
        "`declared`, `stored` (cells per storage class) and `becomes`, its type on the "
        "other engine.",
        "findings": "Dirt, and what the other engine lacks: list of `{kind, where, "
        "message, count, examples}`.",
        "objects": "Indexes, triggers and views: list of `{kind, name, sql}`.",
        "notices": "How it was read, and what a move would rename.",
        "facts": "Encoding, WAL, missing collations and the like; SQLite only.",
    },
    examples={
        "lockstep inspect old.db": "before it is moved",
        "lockstep inspect old.db --html report.html": "for the team",
    },
    needs="nothing",
    short_help="Show what really lies in a database.",
)
@argument("database", metavar="DB")
@option(
    "--html",
    "html_file",
    type=plain_click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write a report that a browser shows.",
)
@option(
    "--check/--no-check",
    default=True,
    show_default=True,
    help="Let SQLite compare all indexes of a file with their tables; its pages are "
    "checked anyway.",
)
def inspect(run: Run, *, database: str, html_file: Path | None, check: bool) -> None:
    """Show what really lies in a database: types as stored, counts, dirt.

    Every value is looked at, none is sampled, and nothing is changed. DB is any
    SQLite file, whoever designed it, or the URL of a libSQL server or PostgreSQL.
    """
    from lockstep.mover import inspect_database

    run.may_be_killed = True
    with MoveProgress(run.output) as progress:
        found = inspect_database(database, progress, check=check)
    if html_file is not None:
        from lockstep.mover.failures import write_whole
        from lockstep.mover.report import html_report

        write_whole(html_file, html_report(found))
        run.output.progress(f"wrote {html_file}")
    run.output.result(found.to_json(), lambda page: _draw(page, found))


def _draw(page: Page, found: Inspection) -> None:
    page.line(f"{found.url}: {counted(len(found.tables), 'table')}", style="bold")
    page.line()
    page.table(
        ("Table", "Rows", "Column", "Declared", "Stored", "Becomes"),
        [row for table in found.tables for row in _rows(table)],
    )
    from lockstep.mover.model.results import together

    if found.findings:
        page.line()
        page.table(
            ("Finding", "Where", "What", "Cells", "Examples"),
            [
                (
                    finding.kind,
                    finding.where,
                    finding.message,
                    f"{finding.count:,}" if finding.count else "",
                    "; ".join(finding.examples),
                )
                for finding in together(found.findings)
            ],
        )
    for notice in found.notices:
        page.line(f"note: {notice}")


def _rows(table: dict[str, Any]) -> list[tuple[str, ...]]:
    kind = "" if table["kind"] == "table" else f" ({table['kind']})"
    rows = "" if table["rows"] is None else f"{table['rows']:,}"
    head = (f"{table['name']}{kind}", rows)
    if not table["columns"]:
        return [(*head, "", "", "", "")]
    lines: list[tuple[str, ...]] = []
    for column in table["columns"]:
        stored = ", ".join(
            f"{n:,} {name}" for name, n in column.get("stored", {}).items()
        )
        lines.append(
            (*head, column["name"], column["declared"], stored, column["becomes"])
        )
        head = ("", "")
    return lines
