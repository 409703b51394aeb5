"""``lockstep db``: look at the database, or talk to it.

Owns how a database's facts are shown and how the terminal is handed to its own shell.
Where the facts come from is the business of the floors below.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click as plain_click

from lockstep.cli.options import LazyGroup, argument, command, group, option
from lockstep.cli.output import Page
from lockstep.cli.prompt import run_prompt
from lockstep.cli.run import Run, is_there
from lockstep.cli.shell import ShellCommand, postgresql_command, sqlite_command
from lockstep.errors import ConfigError, ConnectionLost, LockstepError

if TYPE_CHECKING:
    from lockstep.engine import Database


@group(
    "db",
    cls=LazyGroup,
    verbs={
        "info": "lockstep.cli.db:info",
        "doctor": "lockstep.cli.doctor:doctor",
        "advise": "lockstep.cli.advise:advise",
        "shell": "lockstep.cli.db:shell",
        "backup": "lockstep.cli.backup:backup",
        "verify-backup": "lockstep.cli.backup:verify",
        "restore": "lockstep.cli.backup:restore",
        "vacuum": "lockstep.cli.vacuum:vacuum",
    },
    short_help="Look at the database, examine it, back it up, restore it.",
)
def db() -> None:
    """Look at the database, examine it, back it up, or open its SQL shell."""


@command(
    "info",
    document={
        "engine": "`sqlite` or `postgresql`.",
        "version": "Version of the server or of the SQLite library; null when the "
        "file does not exist yet.",
        "url": "The database's address, password masked.",
        "url_source": "Where the address came from.",
        "path": "The SQLite file; null on PostgreSQL and in memory.",
        "exists": "Whether there is a database at the address.",
        "size_bytes": "Of the file, or of the server's database; null when it does "
        "not exist yet.",
        "facts": "What only this engine has: journal_mode, synchronous, …; or user, "
        "time_zone, behind_pooler, ….",
        "pool": "`{size, overflow_max, timeout_s, recycle_s}`, for each process.",
        "latency_s": "Seconds for one round trip; null when it does not exist yet.",
        "migrations": "`{directory, revisions, heads, is_head, problem}`; null when "
        "the project has no history.",
    },
    examples={
        "lockstep db info": "which database, and is it up to date?",
        "until lockstep db info; do sleep 1; done": "wait for a server",
    },
)
def info(run: Run) -> None:
    """Show which database this is, where its URL came from, and how it is."""
    with run.database() as database:
        facts = _address(run, database)
        if facts["exists"]:
            facts |= _condition(database)
        facts["migrations"] = _migrations(run, database, exists=facts["exists"])
    run.output.result(facts, lambda page: _draw(page, facts))


def _address(run: Run, database: Database) -> dict[str, Any]:
    url, pool = database.url, run.settings.pool
    return {
        "engine": database.engine_name,
        "version": None,
        "url": str(url),
        "url_source": run.settings.provenance["url"],
        "path": None if url.path is None else str(url.path),
        "exists": is_there(database),
        "size_bytes": None,
        "facts": {},
        "pool": pool.model_dump(),
        "latency_s": None,
    }


def _condition(database: Database) -> dict[str, Any]:
    described = database.describe()
    return {
        "version": described.version,
        "size_bytes": described.size_bytes,
        "facts": described.facts,
        # The first round trip of all opened the connection; this one does not.
        "latency_s": round(database.ping(), 6),
    }


def _migrations(run: Run, database: Database, *, exists: bool) -> dict[str, Any] | None:
    """Return where the schema stands, or what prevents knowing it."""
    from lockstep.migrations import Migrations

    directory = run.settings.root / run.settings.migrations
    if not (directory / "env.py").is_file():
        return None
    state: dict[str, Any] = {
        "directory": str(directory),
        "revisions": [],
        "heads": [],
        "is_head": False,
        "problem": None,
    }
    migrations = Migrations(database, directory=directory)
    try:
        state["heads"] = [item.revision for item in migrations.heads()]
        if exists:
            state["revisions"] = [item.revision for item in migrations.current()]
    except ConnectionLost:
        raise
    except LockstepError as error:
        # The rest of the page still holds, so the problem is one of its lines.
        state["problem"] = error.message
    state["is_head"] = bool(state["heads"]) and state["revisions"] == state["heads"]
    return state


def _draw(page: Page, facts: dict[str, Any]) -> None:
    name = {"sqlite": "SQLite", "libsql": "libSQL", "postgresql": "PostgreSQL"}[
        facts["engine"]
    ]
    pool = facts["pool"]
    rows = [
        ("Database", f"{name} {facts['version'] or ''}".strip()),
        ("URL", facts["url"]),
        ("", f"from {facts['url_source']}"),
    ]
    if facts["exists"]:
        shown = [_fact_text(key, value) for key, value in facts["facts"].items()]
        rows.append(("Size", size_text(facts["size_bytes"])))
        rows.append(("Settings", ", ".join(filter(None, shown))))
        rows.append(("Latency", f"{facts['latency_s'] * 1000:.2f} ms"))
    else:
        rows.append(("Size", "no file yet; lockstep migrate upgrade makes it"))
    rows.append(
        (
            "Pool",
            f"{pool['size']} connections, {pool['overflow_max']} more under load, "
            f"wait {pool['timeout_s']:g} s",
        )
    )
    rows.append(("Migrations", _migrations_text(facts["migrations"])))
    page.facts(rows)


def _fact_text(key: str, value: Any) -> str:
    if key == "file":
        return ""  # it stands in the URL
    if isinstance(value, bool):
        value = "on" if value else "off"
    if key.endswith("_s"):
        key, value = key.removesuffix("_s"), f"{value:g} s"
    return f"{key.replace('_', ' ')} {value}"


def _migrations_text(state: dict[str, Any] | None) -> str:
    if state is None:
        return "no history"
    if state["problem"]:
        return str(state["problem"])
    at = ", ".join(state["revisions"]) or "base"
    if state["is_head"]:
        return f"at {at}, the head"
    return f"at {at}; lockstep migrate upgrade leads to {', '.join(state['heads'])}"


def size_text(size_bytes: int) -> str:
    """Return a size as people read it.

    Example:
        >>> size_text(73_728)
        '72.0 KiB'
    """
    size, unit = float(size_bytes), "bytes"
    for bigger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, bigger
    return f"{size_bytes} bytes" if unit == "bytes" else f"{size:,.1f} {unit}"


@command(
    "shell",
    document=None,
    examples={
        "lockstep db shell": "sqlite3 or psql, connected",
        "lockstep db shell -- -c 'select 1'": "words after -- go to psql",
        "lockstep db shell --builtin < file.sql": "without those programs",
    },
)
@argument("rest", nargs=-1, type=plain_click.UNPROCESSED, metavar="[-- WORDS...]")
@option("--builtin", is_flag=True, help="Use the small built-in prompt.")
def shell(run: Run, *, rest: tuple[str, ...], builtin: bool) -> None:
    """Open the database's own SQL shell: sqlite3 or psql.

    The password travels in the environment, never in the arguments, which everybody
    on this machine can read. Where the program is not installed, and for a database
    in memory, a small built-in prompt runs the statements.
    """
    run.keeps("every statement that was answered is kept")
    with run.database() as database:
        found = None if builtin else _shell_command(run, database, rest)
        if found is None:
            if rest:
                raise ConfigError(
                    f"the built-in prompt takes no words like {rest[0]!r}",
                    hint="install sqlite3 or psql, or write the statements to stdin",
                )
            run_prompt(run, database)
            return
    run.output.stdout.flush()
    sys.stderr.flush()
    # The program is one of two fixed names, found on PATH; no shell reads the words.
    os.execve(found.program, found.arguments, found.environment)  # noqa: S606


def _shell_command(
    run: Run, database: Database, rest: Sequence[str]
) -> ShellCommand | None:
    url = database.url
    if database.dialect_name == "postgresql":
        return postgresql_command(url.sqlalchemy_url(), rest, os.environ)
    if url.path is None:
        return None
    options = ["-readonly"] if url.read_only else []
    timeout_s = run.settings.sqlite.busy_timeout_s
    return sqlite_command(str(url.path), timeout_s, [*options, *rest], os.environ)
