"""``lockstep migrate upgrade | downgrade | stamp``: move the database.

Owns how a plan is shown and when ``--yes`` is wanted. What a plan would lose is found
out by ``lockstep.migrations``.

Invariant: what would destroy rows is shown first and done only with ``--yes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from lockstep.cli.migrate.progress import MigrationProgress
from lockstep.cli.options import argument, command, option
from lockstep.cli.output import Page
from lockstep.cli.run import Run

if TYPE_CHECKING:
    from lockstep.migrations import Applied, Migrations, Plan
    from lockstep.migrations.results import Loss

OPERATIONS_SHOWN_MAX = 40

_DOCUMENT = {
    "applied": "Whether it was done; false when only the plan was shown.",
    "before": "Revisions the database was at.",
    "after": "Revisions it is at now.",
    "steps": "What was committed, in order: list of `{revision, message, direction, "
    "elapsed_s}`.",
    "waited_s": "Seconds spent waiting for another migrator.",
    "plan": "Only without `--yes`: `{before, steps}`; each step is `{revision, "
    "message, direction, operations, losses, complete}`.",
}


@command(
    "upgrade",
    document=_DOCUMENT | {"sql": "Only with `--sql`: the statements, as one text."},
    examples={
        "lockstep migrate upgrade": "to the newest revision",
        "lockstep migrate upgrade +1": "one step",
        "lockstep migrate upgrade --sql": "print the SQL, change nothing",
    },
    yes=True,
)
@argument("target", default="head")
@option(
    "--sql", is_flag=True, help="PostgreSQL: only print the SQL, from base or FROM:TO."
)
def upgrade(run: Run, *, target: str, sql: bool) -> None:
    """Bring the database to TARGET: a revision, +N, or head.

    Each revision is one transaction: it happens entirely or not at all. A revision
    that would drop a table or a column with rows in it is shown first, and applied
    only with --yes.
    """
    with run.migrations() as migrations:
        if sql:
            _print_sql(run, migrations.upgrade_sql(target))
            return
        plan = migrations.plan(target)
        if plan.is_destructive:
            _require_yes(run, plan)
        _move(run, migrations, "upgrade", target)


@command(
    "downgrade",
    document=_DOCUMENT | {"sql": "Only with `--sql`: the statements, as one text."},
    examples={
        "lockstep migrate downgrade -1": "show what one step back would destroy",
        "lockstep migrate downgrade -1 --yes": "and do it",
    },
    yes=True,
)
@argument("target")
@option("--sql", is_flag=True, help="PostgreSQL: only print the SQL of FROM:TO.")
def downgrade(run: Run, *, target: str, sql: bool) -> None:
    """Take the database back to TARGET: a revision, -N, or base.

    Whatever the later revisions added is dropped with its rows, so the plan is only
    shown until --yes is given.
    """
    with run.migrations() as migrations:
        if sql:
            _print_sql(run, migrations.downgrade_sql(target))
            return
        plan = migrations.plan(target, direction="downgrade")
        if plan.steps:
            _require_yes(run, plan)
        _move(run, migrations, "downgrade", target)


@command(
    "stamp",
    document=_DOCUMENT,
    examples={"lockstep migrate stamp head --yes": "the tables are there already"},
    yes=True,
    short_help="Only write down which revision the database is at.",
)
@argument("target")
def stamp(run: Run, *, target: str) -> None:
    """Write into the database that it is at TARGET, without running anything.

    For a database whose tables came another way. A wrong stamp makes later upgrades
    fail, so it is done only with --yes.
    """
    with run.migrations() as migrations:
        migrations.named(target)
        before = [item.revision for item in migrations.current()]
        run.require_yes(
            {"before": before, "steps": []},
            lambda page: page.line(f"stamp: {_names(before)} → {target}"),
            why="a stamp does not look whether the tables are there",
        )
        run.keeps("the stamp is one transaction; lockstep migrate current shows it")
        _tell(run, migrations.stamp(target))


def _move(
    run: Run,
    migrations: Migrations,
    direction: Literal["upgrade", "downgrade"],
    to: str,
) -> None:
    with MigrationProgress(run.output) as progress:
        run.keeps(progress.kept)
        act = migrations.upgrade if direction == "upgrade" else migrations.downgrade
        applied = act(to, on_progress=progress)
    _tell(run, applied)


def _tell(run: Run, applied: Applied) -> None:
    def draw(page: Page) -> None:
        if applied.before == applied.after:
            page.line(f"already at {_names(applied.after)}; nothing to do")
        else:
            page.line(f"{_names(applied.before)} → {_names(applied.after)}")

    run.output.result({"applied": True, **applied.to_json()}, draw)


def _require_yes(run: Run, plan: Plan) -> None:
    run.require_yes(
        plan.to_json(),
        lambda page: draw_plan(page, plan),
        why="this destroys what is named above",
    )


def draw_plan(page: Page, plan: Plan) -> None:
    """Show what each step would do, and what would be lost by it."""
    for step in plan.steps:
        page.line(f"{step.direction} {step.revision}  {step.message}", style="bold")
        for operation in step.operations[:OPERATIONS_SHOWN_MAX]:
            page.line(f"  {operation}")
        if len(step.operations) > OPERATIONS_SHOWN_MAX:
            page.line(f"  … {len(step.operations) - OPERATIONS_SHOWN_MAX} more")
        if not step.complete:
            page.line("  (and what it decides when it runs)", style="dim")
        for loss in step.losses:
            page.line(f"  loses {describe_loss(loss)}", style="red")


def describe_loss(loss: Loss) -> str:
    """Return ``table tool: 12 rows`` or ``tool.price: 12 values``."""
    count = "?" if loss.rows is None else f"{loss.rows:,}"
    if loss.column is None:
        return f"table {loss.table}: {count} rows"
    return f"{loss.table}.{loss.column}: {count} values"


def _print_sql(run: Run, sql: str) -> None:
    run.output.result(
        {"applied": False, "sql": sql}, lambda page: page.line(sql.rstrip("\n"))
    )


def _names(revisions: Sequence[str]) -> str:
    return ", ".join(revisions) or "base"
