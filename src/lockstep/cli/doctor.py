"""``lockstep db doctor``: find the known traps, mend those that are safe.

Owns how a report and a plan are shown, and which exit code they are. What is a
finding is decided by ``lockstep.doctor``.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click as plain_click

from lockstep.cli.failures import EXIT_FAILED, Finished
from lockstep.cli.options import argument, command, option
from lockstep.cli.output import Page
from lockstep.cli.run import Run
from lockstep.cli.status_line import LINE_INTERVAL_S, StatusLine
from lockstep.clock import SYSTEM_CLOCK, Clock
from lockstep.errors import ConfigError

if TYPE_CHECKING:
    from lockstep.doctor import Check, Finding, Limits, Repair, Report
    from lockstep.doctor.repairs import RepairResult

_STYLES = {"problem": "bold red", "warning": "yellow", "notice": "cyan"}
_FINDING_KEYS = (
    "`{check, severity, subject, what, why, mend, command, fixable, evidence}`"
)


@command(
    "doctor",
    document={
        "healthy": "Whether every check came to an end and found nothing worse than a "
        "notice.",
        "targets": "What was looked at, passwords masked.",
        "checks": "How many checks ran.",
        "counts": "Findings per severity: `{problem, warning, notice}`.",
        "findings": f"The worst first: list of {_FINDING_KEYS}. `evidence` holds "
        "counts, names and row numbers, never a stored text.",
        "unfinished": "Checks that did not come to an end: list of `{check, target, "
        "outcome, reason, findings, elapsed_s}`; outcome is `incomplete`, `refused` "
        "or `failed`.",
        "partial": "Tables of which only the first rows were looked at (`--rows`).",
        "elapsed_s": "Seconds in all.",
        "plan": "Only with `--fix`: what would be done, list of `{check, subject, "
        "plan, statements}`.",
        "repairs": "Only with `--fix --yes`: what was done, list of `{check, subject, "
        "mended, error}`; the findings are those from before.",
        "registry": "Only with `--list`: list of `{name, looks_for, why, kinds, "
        "fixable}`.",
    },
    examples={
        "lockstep db doctor": "the project you are in, and its database",
        "lockstep db doctor shop.db": "any SQLite file",
        "lockstep db doctor postgresql://…": "any PostgreSQL database",
        "lockstep db doctor --check orphans": "one check only",
        "lockstep db doctor shop.db --fix": "what could be mended; --yes does it",
        "lockstep db doctor --trace -- python app.py": "what a program really does",
        "lockstep db doctor --list": "what it looks for",
    },
    short_help="Find the known traps, and mend those that are safe.",
    yes=True,
)
@argument("target", required=False, metavar="[FILE|URL|FOLDER]")
@argument("rest", nargs=-1, type=plain_click.UNPROCESSED, metavar="[-- PROGRAM...]")
@option(
    "--trace",
    is_flag=True,
    help="Run the program after -- and look at what its SQLite connections do.",
)
@option(
    "--check",
    "checks",
    multiple=True,
    metavar="NAME",
    help="Run this check only; may be repeated.",
)
@option(
    "--skip", multiple=True, metavar="NAME", help="Leave this check out; repeatable."
)
@option("--list", "lists", is_flag=True, help="Show every check and what it looks for.")
@option(
    "--fix",
    is_flag=True,
    help="Show how the safe ones would be mended; with --yes mend them.",
)
@option(
    "--limit-s",
    type=plain_click.FloatRange(min=0.1, max=86400),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Time that one check may take.",
)
@option(
    "--rows",
    type=plain_click.IntRange(min=1),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="Rows of each table whose values are looked at.",
)
@option(
    "--processes",
    type=plain_click.IntRange(min=1),
    metavar="N",
    help="Processes of the application, each with a pool of its own.  [default: "
    "WEB_CONCURRENCY and the like, else 1]",
)
def doctor(
    run: Run,
    *,
    target: str | None,
    rest: tuple[str, ...],
    trace: bool,
    checks: tuple[str, ...],
    skip: tuple[str, ...],
    lists: bool,
    fix: bool,
    limit_s: float,
    rows: int,
    processes: int | None,
) -> None:
    """Look at a SQLite file, a PostgreSQL database or a project, and say what is wrong.

    Nothing is changed by looking: a SQLite file is opened read-only, PostgreSQL in
    read-only transactions. Exit code 0: nothing worse than a notice. 1: findings, or
    a check that did not come to an end. 3: there is no such database, or the server
    cannot be reached.
    """
    from lockstep.doctor import Limits, examine
    from lockstep.doctor.registry import choose

    if lists:
        _list(run, choose(checks, skip))
        return
    if trace:
        words = (*((target,) if target else ()), *rest)
        _trace(run, words, checks=checks, skip=skip)
        return
    if rest:
        raise ConfigError(
            f"there is one target, and {rest[0]!r} is another word",
            hint="--trace -- PROGRAM runs a program",
        )
    limits = Limits(check_s=limit_s, rows_max=rows)
    chosen = _target(run, target)
    with _Patience(run) as patience:
        report = examine(
            chosen,
            checks=checks,
            skip=skip,
            limits=limits,
            settings=None if target else run.settings,
            processes=processes,
            on_check=patience,
        )
    if fix:
        _fix(run, chosen, report, limits)
        return
    mend = _mend_command(target)
    run.output.result(report.to_json(), lambda page: draw(page, report, mend))
    if not report.is_healthy:
        raise Finished(EXIT_FAILED)


def _mend_command(named: str | None) -> str:
    """Return the command that mends what was named; a URL may hold a password."""
    words = [] if named is None else ["URL" if "://" in named else shlex.quote(named)]
    return " ".join(["lockstep db doctor", *words, "--fix"])


def _trace(
    run: Run, words: tuple[str, ...], *, checks: tuple[str, ...], skip: tuple[str, ...]
) -> None:
    """Run a program with the recorder in it, and show what the checks say."""
    from lockstep.doctor.examination import examine_trace
    from lockstep.doctor.trace.programs import run_traced

    if not words:
        raise ConfigError(
            "no program to trace is named",
            hint="lockstep db doctor --trace -- python app.py",
        )
    # The result goes to stdout; what the program prints goes where progress goes.
    traced = run_traced(words, stdout=sys.stderr.fileno())
    report = examine_trace(traced.events, checks=checks, skip=skip, name=words[0])
    if traced.exit_code:
        run.output.warning(f"{words[0]} ended with exit code {traced.exit_code}")
    if not any(event["kind"] == "connection" for event in traced.events):
        run.output.warning(
            "no connection of Python's sqlite3 to a file was seen; other languages and "
            "libraries, and python -I, are not traced"
        )
    run.output.result(report.to_json(), lambda page: draw(page, report))
    if not report.is_healthy:
        raise Finished(EXIT_FAILED)


class _Patience(StatusLine):
    """Says on stderr which check runs: on a terminal each, in a pipe now and then."""

    def __init__(self, run: Run, *, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(run.output, clock, first_after_s=LINE_INTERVAL_S)

    def __call__(self, check: str, target: str) -> None:
        from lockstep.doctor.examination import REPLAY

        if check == REPLAY:
            self.say(
                f"replaying the history in {target} "
                "(--skip unreplayable-migrations leaves it out)"
            )
        else:
            self.say(f"{check}: {target}", is_passing=True)


def _fix(run: Run, target: str, report: Report, limits: Limits) -> None:
    """Show the plan; with ``--yes`` carry it out, and say what came of it."""
    from lockstep.doctor.repairs import carry_out, planned

    repairs = planned(report)
    plan = [
        {
            "check": repair.finding.check,
            "subject": repair.finding.subject,
            "plan": repair.plan,
            "statements": list(repair.statements),
        }
        for repair in repairs
    ]
    document = report.to_json() | {"plan": plan}
    if not run.yes or not repairs:
        run.output.result(document, lambda page: _draw_plan(page, report, repairs))
        if repairs:
            run.output.warning("nothing was done. Repeat with --yes to do it.")
        if repairs or not report.is_healthy:
            raise Finished(EXIT_FAILED)
        return
    run.keeps("every repair that was finished is kept, an unfinished one is not")
    results = carry_out(target, repairs, limits=limits)
    document["repairs"] = [result.to_json() for result in results]
    run.output.result(document, lambda page: _draw_results(page, results))
    mended = {result.repair.finding for result in results if result.is_mended}
    left = [f for f in report.findings if f not in mended and f.severity != "notice"]
    if left or len(mended) < len(repairs):
        raise Finished(EXIT_FAILED)


def _draw_plan(page: Page, report: Report, repairs: tuple[Repair, ...]) -> None:
    draw(page, report)
    page.line()
    if not repairs:
        page.line("nothing that was found can be mended without a decision of yours")
        return
    page.line("--fix would, without making a backup:", style="bold")
    for number, repair in enumerate(repairs, start=1):
        page.line(f"  {number}. {repair.plan}")
        for statement in repair.statements:
            page.line(f"       {statement}", style="green")


def _draw_results(page: Page, results: tuple[RepairResult, ...]) -> None:
    for result in results:
        finding = result.repair.finding
        mark, style = ("mended", "green") if result.is_mended else ("FAILED", "red")
        page.line(f"{mark}  {finding.check}  {finding.subject}", style=style)
        if result.error:
            page.line(f"        {result.error}")


def _target(run: Run, named: str | None) -> str:
    """Return what to look at: what was named, the project, or its database."""
    if named is not None:
        return named
    from lockstep.doctor.targets import uses_lockstep
    from lockstep.engine import DatabaseUrl

    settings = run.settings
    if uses_lockstep(settings.root) and settings.provenance["url"] != "argument":
        return str(settings.root)
    assert settings.url is not None, "load_settings chose one"
    return DatabaseUrl.parse(settings.url, base=settings.root).unmasked()


def draw(page: Page, report: Report, mend: str = "lockstep db doctor --fix") -> None:
    """Show a report: the worst first, each finding with what, why and how to mend."""
    from lockstep.doctor.findings import some

    severity = ""
    for finding in report.findings:
        if finding.severity != severity:
            severity = finding.severity
            count = report.counts()[severity]
            plural = "" if count == 1 else "s"
            page.line()
            page.line(f"{count} {severity}{plural}", style=_STYLES[severity])
        _draw_finding(page, finding, mend)
    if report.unfinished:
        page.line()
        page.line("not finished", style="yellow")
        for run in report.unfinished:
            page.line(f"  {run.check}: {run.outcome}: {run.reason}")
    if report.partial:
        page.line()
        page.line(
            "only the first rows were looked at (--rows, --limit-s)", style="yellow"
        )
        page.line(f"  {some(list(report.partial))}")
    page.line()
    _draw_summary(page, report)


def _draw_finding(page: Page, finding: Finding, mend: str) -> None:
    page.line()
    style = _STYLES[finding.severity]
    page.line(f"  {finding.check}  {finding.subject}", style=style)
    page.line(f"    {finding.what}")
    page.line(f"    why:  {finding.why}", style="dim")
    page.line(f"    mend: {finding.mend}")
    if finding.command:
        page.line(f"          {finding.command}", style="green")
    if finding.fixable:
        page.line(f"          or: {mend}", style="green")


def _draw_summary(page: Page, report: Report) -> None:
    checks = len({run.check for run in report.runs})
    number = len(report.findings)
    findings = f"{number} finding{'' if number == 1 else 's'}"
    state = "healthy" if report.is_healthy else "needs attention"
    if report.unfinished:
        state += f", {len(report.unfinished)} not finished"
    page.line(
        f"{checks} checks, {findings}: {', '.join(report.targets)} {state}",
        style="green" if report.is_healthy else "yellow",
    )


def _list(run: Run, checks: tuple[Check, ...]) -> None:
    registry = [
        {
            "name": check.name,
            "looks_for": check.looks_for,
            "why": check.why,
            "kinds": list(check.kinds()),
            "fixable": check.repair is not None,
        }
        for check in checks
    ]

    def draw_list(page: Page) -> None:
        page.table(
            ("check", "looks at", "looks for"),
            [
                (check.name, ", ".join(check.kinds()), check.looks_for)
                for check in checks
            ],
        )

    run.output.result({"registry": registry}, draw_list)
