"""``lockstep db advise``: which engine, with the numbers that say so.

Owns how an advice is shown, and which exit code it is. What is measured and how it
decides is the business of ``lockstep.doctor.advice``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click as plain_click

from lockstep.cli.db import size_text
from lockstep.cli.failures import EXIT_FAILED, Finished
from lockstep.cli.options import argument, command, option
from lockstep.cli.output import Page
from lockstep.cli.run import Run
from lockstep.wording import counted

if TYPE_CHECKING:
    from lockstep.doctor.advice import Advice, Facts
    from lockstep.doctor.advice.situation import Hosting
    from lockstep.doctor.targets import Target

_REASON_KEYS = "`{rule, value, threshold, is_over, because, source}`"
_FACT_KEYS = (
    "`{target, now, size_bytes, tables, journal_mode, file_system, processes, "
    "connections, writes_per_hour, watched_s}`"
)
_STATED_KEYS = (
    "`{users, writes_per_hour, app_servers, hosting, offline, keep_sqlite_sql, "
    "longest_write_s}`"
)


@command(
    "advise",
    document={
        "verdict": "`stay-on-sqlite`, `libsql-server`, `postgresql-local` or "
        "`postgresql-hosted`.",
        "now": "Where the database is, in the same words; null without a database.",
        "summary": "The verdict in a sentence.",
        "reasons": f"Every rule with its number, its threshold and the source of that: "
        f"list of {_REASON_KEYS}, those over their threshold first; `is_over` is null "
        "where the number is not known.",
        "cautions": "What to know about the verdict: list of sentences.",
        "would_change": "What would lead elsewhere: list of `{option, verdict}`.",
        "next_commands": "What to run now.",
        "facts": f"What was measured: {_FACT_KEYS}, null where it could not be.",
        "stated": f"What the options said: {_STATED_KEYS}.",
    },
    examples={
        "lockstep db advise": "the project's database",
        "lockstep db advise shop.db --users 50 --hosting on-premise": "any file",
        "lockstep db advise shop.db --app-servers 2 --writes-per-hour 4000": "a plan",
        "lockstep db advise postgresql://… --watch-s 60": "watch a server for a minute",
    },
    short_help="Which engine: measure, state, decide.",
)
@argument("target", required=False, metavar="[FILE|URL|FOLDER]")
@option(
    "--users",
    type=plain_click.IntRange(min=0),
    metavar="N",
    help="People who work with it.",
)
@option(
    "--writes-per-hour",
    type=plain_click.FloatRange(min=0),
    metavar="N",
    help="Write transactions in the busiest hour.  [default: measured, else estimated "
    "from the users]",
)
@option(
    "--app-servers",
    type=plain_click.IntRange(min=1),
    metavar="N",
    help="Hosts whose programs open the database.",
)
@option(
    "--hosting",
    type=plain_click.Choice(["on-premise", "vps", "serverless"]),
    help="Where it will run: in your own house, on a rented host with a disk that "
    "stays, or where no disk stays.",
)
@option("--offline", is_flag=True, help="People must work where there is no network.")
@option(
    "--keep-sqlite-sql",
    is_flag=True,
    help="The application's SQL must stay SQLite's.",
)
@option(
    "--longest-write-s",
    type=plain_click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long the longest write transaction takes.",
)
@option(
    "--watch-s",
    type=plain_click.FloatRange(min=0, max=86400),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to watch for writes; 0 watches not at all.",
)
def advise(
    run: Run,
    *,
    target: str | None,
    users: int | None,
    writes_per_hour: float | None,
    app_servers: int | None,
    hosting: str | None,
    offline: bool,
    keep_sqlite_sql: bool,
    longest_write_s: float | None,
    watch_s: float,
) -> None:
    """Say where the database should be, with each number, its threshold and its source.

    Nothing is changed by measuring. Exit code 0: it may stay where it is, or there is
    none yet. 1: it should be somewhere else. 3: there is no such database, or the
    server cannot be reached.
    """
    from lockstep.doctor.advice import Facts, Stated, decide, measure

    stated = Stated(
        users=users,
        writes_per_hour=writes_per_hour,
        app_servers=app_servers,
        hosting=cast("Hosting | None", hosting),
        offline=offline,
        keep_sqlite_sql=keep_sqlite_sql,
        longest_write_s=longest_write_s,
    )
    found = _database(run, target)
    facts = Facts()
    if found is not None:
        if watch_s:
            run.output.progress(f"watching {found} for {watch_s:g} s")
        settings = None if target else run.settings
        facts = measure(found, watch_s=watch_s, settings=settings)
    advice = decide(facts, stated)
    document: dict[str, Any] = advice.to_json() | {
        "facts": facts.to_json(),
        "stated": stated.to_json(),
    }
    run.output.result(document, lambda page: draw(page, advice, facts))
    if advice.is_to_move:
        raise Finished(EXIT_FAILED)


def _database(run: Run, named: str | None) -> Target | None:
    """Return the database that is meant; None where there is none yet."""
    from lockstep.doctor.targets import database_of, parse_target, project_settings

    if named is None:
        return database_of(run.settings)
    target = parse_target(named)
    if target.kind == "project":
        assert target.path is not None, "a project has a folder"
        return database_of(project_settings(target.path))
    return target


def draw(page: Page, advice: Advice, facts: Facts) -> None:
    """Show the verdict, the rules with their numbers, and what would change it."""
    style = "yellow" if advice.is_to_move else "green"
    page.line(advice.summary, style=f"bold {style}")
    page.line()
    if facts.now is not None:
        page.facts(_measured(facts))
        page.line()
    page.table(
        ("rule", "here", "SQLite carries", "source"),
        [
            (
                ("! " if reason.is_over else "  ") + reason.rule,
                reason.value,
                reason.threshold,
                reason.source,
            )
            for reason in advice.reasons
        ],
    )
    for reason in advice.reasons:
        if reason.is_over:
            page.line(f"! {reason.rule}: {reason.because}", style="yellow")
    for caution in advice.cautions:
        page.line(f"- {caution}")
    page.line()
    for change, verdict in advice.would_change:
        page.line(f"with {change}: {verdict}", style="dim")
    page.line()
    for text in advice.next_commands:
        page.line(text, style="green")


def _measured(facts: Facts) -> list[tuple[str, str]]:
    rows = [("Database", facts.target)]
    if facts.size_bytes is not None:
        rows.append(
            (
                "Size",
                f"{size_text(facts.size_bytes)}, {counted(facts.tables or 0, 'table')}",
            )
        )
    if facts.journal_mode is not None:
        rows.append(("Journal mode", facts.journal_mode))
    if facts.file_system is not None:
        rows.append(("File system", facts.file_system or "a local disk"))
    if facts.processes is not None:
        rows.append(
            ("Open in", counted(facts.processes, "other process", "other processes"))
        )
    if facts.connections is not None:
        used, allowed = facts.connections
        rows.append(("Connections", f"{used} of {allowed}"))
    if facts.writes_per_hour is not None:
        rows.append(
            (
                "Writes",
                f"at least {facts.writes_per_hour:,.0f} an hour, seen in "
                f"{facts.watched_s:g} s",
            )
        )
    return rows
