"""``lockstep move``: a database to another engine, every cell verified.

Owns how a plan and a result are shown, and which exit code they are. What is moved,
and how, is decided by ``lockstep.mover``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click as plain_click

from lockstep.cli.failures import EXIT_FAILED, Finished
from lockstep.cli.move_progress import MoveProgress
from lockstep.cli.options import argument, command, option
from lockstep.cli.output import Page
from lockstep.cli.run import Run
from lockstep.errors import ConfigError
from lockstep.wording import counted

if TYPE_CHECKING:
    from lockstep.mover import MoveResult, Plan, Rekey
    from lockstep.mover.model.plan import Loss
    from lockstep.mover.model.results import VerifyReport

SHOWN_MAX = 20
_FILE = plain_click.Path(path_type=Path, dir_okay=False)


@command(
    "move",
    document={
        "is_exact": "Whether every cell arrived and was compared: nothing differs, was "
        "quarantined, or is among the losses as data.",
        "tables": "List of `{table, target, rows, quarantined, odd_rows}`; odd rows "
        "have cells whose SQLite class only the journal knows.",
        "losses": "What is not carried over, named before the first row moved: list of "
        "`{kind, name, why, is_data, sql}`; `sql` of views, triggers and rules.",
        "not_built": "Constraints that the target refused because of rows: same form.",
        "quarantined": "How many rows were not carried.",
        "quarantine_file": "Where they are written, one JSON object a line; null when "
        "there are none.",
        "verification": "The document of `lockstep verify`.",
        "resumed": "Whether an earlier run was continued.",
        "notices": "How the source was read, what was renamed.",
        "elapsed_s": "Seconds in all.",
        "phases_s": "Seconds by `inspect`, `copy`, `build` and `verify`.",
        "plan": "Only with `--dry-run`: the whole plan.",
    },
    examples={
        "lockstep move old.db postgresql:///new": "SQLite to PostgreSQL, verified",
        "lockstep move postgresql:///shop shop.db": "and back to a file",
        "lockstep move local.db libsql://shop.example.io": "a file to a libSQL server",
        "lockstep move local.db postgresql:///shop --models": "an application of ours",
        "lockstep move old.db postgresql:///new --rekey uuid7": "UUIDs for numbers",
        "lockstep move old.db postgresql:///new --dry-run": "what would be lost?",
        "lockstep move old.db postgresql:///new --write-plan map.toml": "edit it",
        "lockstep move old.db postgresql:///new --plan map.toml": "obey it",
    },
    needs="project",
    yes=True,
    short_help="Move a database to another engine, every cell verified.",
)
@argument("source", metavar="SOURCE")
@argument("target", metavar="TARGET")
@option("--dry-run", is_flag=True, help="Show the plan; move nothing.")
@option("--plan", "plan_file", type=_FILE, metavar="FILE", help="Obey a mapping file.")
@option(
    "--write-plan",
    "written_file",
    type=_FILE,
    metavar="FILE",
    help="Write the mapping file, to be edited; move nothing.",
)
@option(
    "--clean",
    is_flag=True,
    help="Give values types of their own where all of a column allow it: integers "
    "that are moments timestamptz, UUIDs uuid, documents json.",
)
@option(
    "--utc",
    is_flag=True,
    help="Texts of moments that name no zone are in UTC (Django with USE_TZ): turn "
    "them into timestamptz.",
)
@option(
    "--rekey",
    type=plain_click.Choice(["uuid7"]),
    help="Turn integer keys into UUIDs, and every reference to them.",
)
@option("--keep-as", metavar="NAME", help="Keep the old number in this column.")
@option(
    "--rekey-by",
    multiple=True,
    metavar="TABLE.COLUMN=TYPE:VALUE=TABLE,…",
    help="A reference that another column of the row directs; repeatable.",
)
@option(
    "--models",
    is_flag=True,
    help="The project's models say what each cell means, and its history makes the "
    "target's tables.",
)
@option(
    "--quarantine",
    type=_FILE,
    default=Path("lockstep-quarantine.jsonl"),
    show_default=True,
    metavar="FILE",
    help="Where rows that do not fit are written, if the plan says so.",
)
def move(
    run: Run,
    *,
    source: str,
    target: str,
    dry_run: bool,
    plan_file: Path | None,
    written_file: Path | None,
    clean: bool,
    utc: bool,
    rekey: str | None,
    keep_as: str | None,
    rekey_by: tuple[str, ...],
    models: bool,
    quarantine: Path,
) -> None:
    """Move a database to another engine, and compare every cell.

    SOURCE and TARGET are SQLite files, or URLs of libSQL servers or PostgreSQL, of
    two kinds. Between SQLite and libSQL everything stays word for word. The source is
    only read. The target is empty, or was left by a move that did not finish: the
    same command goes on where that one stopped, whatever stopped it.

    What cannot be carried over is named before the first row moves; if rows or
    values were among it, nothing happens without --yes.
    """
    from lockstep.mover import Mover, plan_to_toml
    from lockstep.mover.failures import write_whole

    with MoveProgress(run.output) as progress:
        run.keeps(progress.kept)
        run.may_be_killed = True
        mover = Mover(
            source,
            target,
            plan=_text_of(plan_file),
            clean=clean,
            utc=utc,
            rekey=_rekey(rekey, keep_as, rekey_by),
            **(_models_of(run) if models else {}),
            quarantine=quarantine,
            on_progress=progress,
        )
        if dry_run or written_file is not None:
            plan = mover.plan()
            if written_file is not None:
                write_whole(written_file, plan_to_toml(plan))
                run.output.progress(
                    f"wrote {written_file}; edit it, then add --plan {written_file}"
                )
            run.output.result(
                {"is_exact": False, "plan": plan.to_json()},
                lambda page: _draw_plan(page, plan),
            )
            return
        result = mover.move(accept=lambda plan: _accept(run, plan))
    run.output.result(result.to_json(), lambda page: _draw(page, result))
    if not result.is_exact or result.not_built:
        raise Finished(EXIT_FAILED)


def _rekey(
    kind: str | None, keep_as: str | None, directed: tuple[str, ...]
) -> Rekey | None:
    from lockstep.mover import Rekey

    if kind is None:
        if keep_as or directed:
            raise ConfigError(
                "--keep-as and --rekey-by belong to --rekey uuid7",
                hint="add --rekey uuid7, or leave them out",
            )
        return None
    polymorphic: dict[str, tuple[str, dict[str, str]]] = {}
    for text in directed:
        where, _, rest = text.partition("=")
        directing, _, pairs = rest.partition(":")
        parents = dict(pair.split("=", 1) for pair in pairs.split(",") if "=" in pair)
        if not (where and directing and parents):
            raise ConfigError(
                f"--rekey-by {text!r} cannot be read",
                hint="attachments.entity_id=entity_type:ticket=tickets,part=parts",
            )
        polymorphic[where] = (directing, parents)
    return Rekey(keep_as or "", polymorphic)


def _models_of(run: Run) -> dict[str, Any]:
    directory = run.settings.root / run.settings.migrations
    return {"metadata": run.metadata(), "migrations": directory}


def _text_of(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(
            f"{path} cannot be read: {why}",
            hint="lockstep move SOURCE TARGET --write-plan FILE writes one",
        ) from error


def _accept(run: Run, plan: Plan) -> None:
    """Tell the plan; stop where it would leave rows behind and nobody agreed."""
    for line in _told(plan.losses):
        run.output.progress(f"not carried over: {line}")
    for notice in plan.notices:
        run.output.progress(notice)
    if any(loss.is_data for loss in plan.losses):
        run.require_yes(
            plan.to_json(),
            lambda page: _draw_plan(page, plan),
            why="rows would stay behind",
        )


_PLURALS: Final = {"index": "indexes", "policy": "policies"}


def _told(losses: Sequence[Loss]) -> list[str]:
    """Return a line for each reason: ten triggers stay behind for one."""
    names: dict[tuple[str, str], list[str]] = {}
    for loss in losses:
        names.setdefault((loss.kind, loss.why), []).append(loss.name)
    return [
        f"{kind if len(some) == 1 else counted(len(some), kind, _PLURALS.get(kind))} "
        f"{', '.join(some)}: {why}"
        for (kind, why), some in names.items()
    ]


def _draw_plan(page: Page, plan: Plan) -> None:
    rows = [
        (table.source, table.target, column.source, column.type, column.note)
        for table in plan.tables
        for column in table.columns
        if column.note or table.source != table.target or column.source != column.target
    ]
    tables = counted(len(plan.tables), "table")
    page.line(f"{tables}, {plan.source} to {plan.target}")
    if rows:
        page.line()
        page.table(("Table", "Becomes", "Column", "Type", "Why"), rows)
    if plan.losses:
        page.line()
        page.table(
            ("Not carried over", "Which", "Why"),
            [(loss.kind, loss.name, loss.why) for loss in plan.losses],
        )
    for notice in plan.notices:
        page.line(f"note: {notice}")


def _draw(page: Page, result: MoveResult) -> None:
    if result.resumed:
        page.line("went on with an earlier move", style="dim")
    headers = ("Table", "Rows", *(("Quarantined",) if result.quarantined else ()))
    page.table(
        headers,
        [
            (table.target, f"{table.rows:,}", f"{table.quarantined or ''}")[
                : len(headers)
            ]
            for table in result.tables
        ],
    )
    report = result.verification
    assert report is not None, "a move ends with a comparison"
    for loss in result.not_built:
        page.line(f"not built: {loss.kind} {loss.name}: {loss.why}", style="yellow")
    if result.quarantined:
        page.line(
            f"{counted(result.quarantined, 'row')} not carried, written to "
            f"{result.quarantine_file}",
            style="yellow",
        )
    for loss in result.left_behind:
        page.line(f"left behind: {loss.kind} {loss.name}: {loss.why}", style="yellow")
    draw_differences(page, report)
    word, style = "every cell is the same", "green"
    if not report.is_same:
        word, style = "source and target DIFFER", "bold red"
    elif not result.is_exact:
        word, style = "every cell that was carried is the same", "yellow"
    page.line()
    page.line(
        f"{counted(report.rows, 'row')}, {counted(report.cells, 'cell')} compared: "
        f"{word} "
        f"({result.elapsed_s:.1f} s)",
        style=style,
    )


def draw_differences(page: Page, report: VerifyReport) -> None:
    """Show what differs: each cell and row, or of many each column and table."""
    found = report.differences
    if not found:
        return
    page.line()
    if report.difference_count <= SHOWN_MAX:
        page.table(
            ("Difference", "Table", "Key", "Column", "Source", "Target"),
            [(d.kind, d.table, d.key, d.column, d.source, d.target) for d in found],
        )
        return
    first = {d.place: d for d in reversed(found)}
    rows: list[tuple[str, ...]] = []
    for place in report.summary[:SHOWN_MAX]:
        like = first.get((place.kind, place.table, place.column))
        example = (like.key, like.source, like.target) if like else ("", "", "")
        many = f"{place.count:,}"
        rows.append((place.kind, place.table, place.column, many, *example))
    page.table(
        ("Difference", "Table", "Column", "Count", "Such as", "Source", "Target"), rows
    )
    more = len(report.summary) - SHOWN_MAX
    others = f"; {counted(more, 'more place')} differ" if more > 0 else ""
    page.line(f"{counted(report.difference_count, 'difference')}{others}; see --json")
