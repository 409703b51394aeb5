"""``lockstep seed``: put the project's first rows into the database.

Owns how a seed's outcome is told. The project's own function decides what the rows
are, ``lockstep.migrations`` how they are written.
"""

from __future__ import annotations

from lockstep.cli.options import command
from lockstep.cli.output import Page
from lockstep.cli.project import load_function
from lockstep.cli.run import Run
from lockstep.errors import ConfigError, InvalidStatement


@command(
    "seed",
    document={
        "inserted": "Rows that were not there.",
        "updated": "Rows whose declared columns differed.",
        "unchanged": "Rows that were already as declared.",
        "tables": "List of `{table, inserted, updated, unchanged}`, in order of use.",
    },
    examples={"lockstep seed": "run it as often as you like"},
    short_help="Put in the project's first rows; safe to repeat.",
)
def seed(run: Run) -> None:
    """Put the project's first rows into the database.

    Calls the function that [tool.lockstep] seed names, in one transaction. With fixed
    ids and upsert_seed a second run changes nothing.
    """
    settings = run.settings
    if settings.seed is None:
        raise ConfigError(
            f"no seed is named for the project in {settings.root}",
            hint='add seed = "app.seed:seed" to [tool.lockstep] in pyproject.toml',
        )
    function = load_function(settings.seed, setting="seed", root=settings.root)
    from lockstep.migrations import run_seed

    run.keeps("the seed is one transaction and was taken back; nothing was changed")
    with run.database() as database:
        try:
            report = run_seed(database, function)
        except InvalidStatement as error:
            error.hint = error.hint or "are the tables there? lockstep migrate upgrade"
            raise
    run.keeps("the seed was written")

    def draw(page: Page) -> None:
        page.table(
            ("table", "inserted", "updated", "unchanged"),
            [tuple(map(str, row)) for row in report.tables],
        )

    names = ("table", "inserted", "updated", "unchanged")
    document = report.to_json()
    document["tables"] = [dict(zip(names, row, strict=True)) for row in report.tables]
    run.output.result(document, draw)
