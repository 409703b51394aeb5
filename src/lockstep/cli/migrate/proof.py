"""``lockstep migrate check | verify``: does the history lead to the models?

Owns how findings are shown and that they are exit code 1. What is a finding is decided
by ``lockstep.migrations``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click as plain_click

from lockstep.cli.failures import EXIT_FAILED, Finished
from lockstep.cli.migrate.progress import MigrationProgress
from lockstep.cli.options import command, option
from lockstep.cli.output import Page
from lockstep.cli.run import Run
from lockstep.errors import MissingExtraError

if TYPE_CHECKING:
    from lockstep.migrations import VerifyReport

DIALECTS = ("sqlite", "postgresql")
LIBSQL = "libsql"


@command(
    "check",
    document={
        "ok": "Whether no finding is an error.",
        "findings": "List of `{code, severity, where, message, fix}`; severity is "
        "`error` or `warning`.",
    },
    examples={"lockstep migrate check": "for CI: exit code 1 when something is wrong"},
    short_help="Compare models, history and database.",
)
def check(run: Run) -> None:
    """Compare models, history and database; exit 1 when they disagree.

    Finds drift, pending revisions, several heads, constraints without a name, names
    that PostgreSQL would cut.
    """
    with run.migrations() as migrations:
        findings = migrations.check()
    failed = any(finding.severity == "error" for finding in findings)

    def draw(page: Page) -> None:
        for finding in findings:
            style = "red" if finding.severity == "error" else "yellow"
            head = f"{finding.severity} {finding.code}  {finding.where}: "
            page.line(head + finding.message, style=style)
            if finding.fix:
                page.line(f"  fix: {finding.fix}")
        if not findings:
            page.line("models, history and database agree", style="green")

    document = {"ok": not failed, "findings": [item.to_json() for item in findings]}
    run.output.result(document, draw)
    if failed:
        raise Finished(EXIT_FAILED)


@command(
    "verify",
    document={
        "ok": "Whether no finding is an error.",
        "dialects": "The engines the history was replayed on.",
        "revisions": "How many revisions each replay went through.",
        "rows_carried": "Sample rows that went through at least one revision.",
        "findings": "List of `{dialect, revision, direction, severity, message}`.",
        "elapsed_s": "Seconds in all.",
    },
    examples={
        "lockstep migrate verify": "replay on SQLite and on PostgreSQL",
        "lockstep migrate verify --dialect sqlite": "where no PostgreSQL is at hand",
    },
    short_help="Replay the whole history from zero, up and down.",
)
@option(
    "--dialect",
    "dialects",
    multiple=True,
    type=plain_click.Choice((*DIALECTS, LIBSQL)),
    help="Replay only on this engine; may be repeated.  [default: sqlite and "
    "postgresql, and libsql where the project's database is on such a server]",
)
def verify(run: Run, *, dialects: tuple[str, ...]) -> None:
    """Replay the history from zero on scratch databases, up and down.

    The result is compared with the models, and sample rows are carried through. Your
    own database is not touched.
    """
    with run.migrations() as migrations, MigrationProgress(run.output) as progress:
        try:
            if not dialects:
                is_served = migrations.db.engine_name == LIBSQL
                dialects = (*DIALECTS, LIBSQL) if is_served else DIALECTS
            report = migrations.verify(dialects, on_progress=progress)
        except MissingExtraError as error:
            error.hint += "; or verify on SQLite alone: --dialect sqlite"
            raise
    run.output.result(
        report.to_json() | {"ok": report.ok}, lambda page: _draw(page, report)
    )
    if not report.ok:
        raise Finished(EXIT_FAILED)


def _draw(page: Page, report: VerifyReport) -> None:
    for finding in report.findings:
        where = f"{finding.dialect}, {finding.revision or 'the models'}"
        style = "red" if finding.severity == "error" else "yellow"
        page.line(f"{finding.severity}  {where}: {finding.message}", style=style)
    outcome = "the history replays" if report.ok else "the history does NOT replay"
    revisions = (
        "1 revision" if report.revisions == 1 else f"{report.revisions} revisions"
    )
    page.line(
        f"{outcome}: {revisions} up and down on "
        f"{' and '.join(report.dialects)}, {report.rows_carried} rows carried "
        f"({report.elapsed_s:.1f} s)",
        style="green" if report.ok else "red",
    )
