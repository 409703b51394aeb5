"""``lockstep bench``: run scenarios, print their tables, save a picture.

Owns options and printing. What is measured, and how, is decided by ``lockstep.bench``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click as plain_click

from lockstep.cli.failures import EXIT_FAILED, Finished
from lockstep.cli.options import argument, command, option
from lockstep.cli.output import Page, console, printable
from lockstep.cli.run import Run
from lockstep.errors import ConfigError

if TYPE_CHECKING:
    from lockstep.bench import Machine, Report, Result, Scenario


@command(
    "bench",
    document={
        "machine": "What it was run on: `{system, processor, cores, memory_bytes, "
        "disk, flush, loopback_s, load, versions}`. Null with `--list`.",
        "quick": "Whether it was only a try; its numbers mean nothing then.",
        "results": "One per scenario: `{name, title, why, metric, baseline, limit, "
        "limits_s, claims_s, contestants, targets}`; each contestant with `standing`, "
        "`median`, `ratio` and every raw round. Empty with `--list`.",
        "scenarios": "Only with `--list`: list of `{name, title, why}`.",
    },
    examples={
        "lockstep bench --list": "what there is",
        "lockstep bench writers get": "two scenarios, with their peers",
        "lockstep bench --quick": "does everything run here?",
        "lockstep bench --save bench.svg --json > bench.json": "for a report",
    },
    needs="nothing",
    short_help="Measure on this machine what is promised.",
)
@argument("scenarios", nargs=-1, metavar="[SCENARIO...]")
@option("--list", "list_only", is_flag=True, help="Only list the scenarios.")
@option("--quick", is_flag=True, help="Try everything once, with little data.")
@option(
    "--rounds",
    type=plain_click.IntRange(min=1, max=1000),
    metavar="N",
    help="Timed rounds of each contestant. [default: each scenario's own]",
)
@option(
    "--save",
    type=plain_click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.svg",
    help="Also draw a picture.",
)
@option(
    "--folder",
    type=plain_click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Measure this folder's disk. [default: the temporary folder's]",
)
@option("--check", is_flag=True, help="End with 1 if a target was missed.")
def bench(
    run: Run,
    *,
    scenarios: tuple[str, ...],
    list_only: bool,
    quick: bool,
    rounds: int | None,
    save: Path | None,
    folder: Path | None,
    check: bool,
) -> None:
    """Run each SCENARIO (all of them, if none is named) with its peers.

    The sides do the same work on equal data, round by round in turn, and what they
    leave in the database is checked. Medians, ranges and ratios are printed beside
    what the machine itself can do. Peers come with pip install 'lockstep-db[bench]';
    one that is missing is named. A PostgreSQL starts itself.
    """
    from lockstep import bench as floor
    from lockstep.bench import scenarios as known
    from lockstep.bench.report import summary

    chosen = [known.scenario(name) for name in scenarios or known.NAMES]
    if list_only:
        _list(run, chosen)
        return
    if save is not None and save.suffix.lower() != ".svg":
        raise ConfigError("a picture is an .svg file", hint="--save bench.svg")
    run.keeps("a benchmark that is interrupted has no result")
    page = Page(console(run.output.stdout))
    with _steps(run) as on_step:
        report = floor.run(
            chosen,
            quick=quick,
            rounds=rounds,
            folder=folder,
            on_machine=lambda machine: _draw_machine(run, page, machine),
            on_result=lambda result: _draw_result(run, page, result),
            on_step=on_step,
        )
    if save is not None:
        _save(save, report)
    if run.output.as_json:
        run.output.document(report.to_json())
    else:
        page.line(summary(list(report.results)), style="bold")
        if quick:
            page.line("a try with little data; its numbers mean nothing", style="dim")
        run.output.stdout.flush()
    _judge(report, check=check)


def _list(run: Run, chosen: list[Scenario]) -> None:
    listed = [{"name": s.name, "title": s.title, "why": s.why} for s in chosen]
    document = {"machine": None, "quick": False, "results": [], "scenarios": listed}
    run.output.result(
        document,
        lambda page: page.table(
            ("scenario", "what"), [(each.name, each.title) for each in chosen]
        ),
    )


@contextmanager
def _steps(run: Run) -> Generator[Callable[[str], None]]:
    """Yield what tells the steps: a line that moves on a terminal, else nothing.

    A log of a hundred rounds would hide the results.
    """
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.text import Text

    with console(sys.stderr).status("") as status:
        yield lambda text: status.update(Text(printable(text)))


def _draw_machine(run: Run, page: Page, machine: Machine) -> None:
    from lockstep.bench.report import machine_facts, warnings

    for warning in warnings(machine):
        run.output.warning(warning)
    if not run.output.as_json:
        page.facts(machine_facts(machine))
        page.line()


def _draw_result(run: Run, page: Page, result: Result) -> None:
    from lockstep.bench.report import HEADERS, limit_text, rows, verdict_text
    from lockstep.bench.results import Judgement

    if run.output.as_json:
        return
    page.line(f"{result.scenario.name}: {result.scenario.title}", style="bold")
    if limit := limit_text(result):
        page.line(limit, style="dim")
    page.table(HEADERS, rows(result))
    styles = {Judgement.MET: "green", Judgement.MISSED: "red"}
    for verdict in result.verdicts():
        page.line(
            f"  {verdict_text(result, verdict)}",
            style=styles.get(verdict.judgement, "yellow"),
        )
    page.line()
    run.output.stdout.flush()


def _save(path: Path, report: Report) -> None:
    from lockstep.bench.picture import draw

    path.write_text(
        draw(report.machine, report.results, quick=report.quick), encoding="utf-8"
    )


def _judge(report: Report, *, check: bool) -> None:
    """End with 1 if data was lost, or with ``--check`` a target was missed."""
    from lockstep.bench.results import Judgement, Standing

    wrong = any(
        score.standing is Standing.WRONG
        for result in report.results
        for score in result.scores
    )
    missed = any(
        verdict.judgement is Judgement.MISSED
        for result in report.results
        for verdict in result.verdicts()
    )
    if wrong or (check and missed):
        raise Finished(EXIT_FAILED)
