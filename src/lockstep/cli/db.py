"""``lockstep db``: look at the database, or talk to it.

Owns how a database's facts are shown and how the terminal is handed to its own shell.
Where the facts come from is the engine's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click as plain_click

from lockstep.cli.options import LazyGroup, argument, command, group
from lockstep.cli.run import Run

if TYPE_CHECKING:
    pass


@group(
    "db",
    cls=LazyGroup,
    verbs={"info": "lockstep.cli.db:info", "shell": "lockstep.cli.db:shell"},
    short_help="Look at the database, or open its SQL shell.",
)
def db() -> None:
    """Look at the database, or open its SQL shell."""


@command(
    "info",
    document={
        "engine": "`sqlite` or `postgresql`.",
    },
    examples={"lockstep db info": "which database is this, and is it up to date?"},
)
def info(run: Run) -> None:
    """Show which database this is, where its URL came from, and how it is."""


@command(
    "shell",
    document={},
    examples={
        "lockstep db shell": "sqlite3 or psql, connected",
        "lockstep db shell -- -c 'select 1'": "words after -- go to that program",
        "lockstep db shell --builtin < file.sql": "without those programs",
    },
)
@argument("rest", nargs=-1, type=plain_click.UNPROCESSED, metavar="[-- WORDS...]")
def shell(run: Run, *, rest: tuple[str, ...]) -> None:
    """Open the database's own SQL shell: sqlite3 or psql.

    The password travels in the environment, never in the arguments.
    """
