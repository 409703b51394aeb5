"""Hand the terminal to ``sqlite3`` or ``psql``, without a secret in the arguments.

Owns the environment and the arguments those programs get. Everybody on the machine can
read a process's arguments, so the password travels in the environment, which only the
same user can read. It runs no SQL.

Invariant: the shell reaches exactly the database that the settings name, whatever
PGSERVICE, a ``.psqlrc`` or the current folder say.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import URL


@dataclass(frozen=True)
class ShellCommand:
    """A program to hand the terminal to."""

    program: str
    arguments: list[str]
    environment: Mapping[str, str]


def sqlite_command(
    path: str,
    busy_timeout_s: float,
    rest: Sequence[str],
    environment: Mapping[str, str],
) -> ShellCommand | None:
    """Return the ``sqlite3`` command for a file; None when it is not installed.

    The pragmas that a connection must set for itself are set as the library sets
    them: without foreign keys a DELETE typed here would leave orphans.
    """
    program = shutil.which("sqlite3")
    if program is None:
        return None
    pragmas = f".timeout {int(busy_timeout_s * 1000)}"
    arguments = ["-cmd", "PRAGMA foreign_keys=ON", "-cmd", pragmas, path, *rest]
    return ShellCommand(program, ["sqlite3", *arguments], dict(environment))


def postgresql_command(
    url: URL, rest: Sequence[str], environment: Mapping[str, str]
) -> ShellCommand | None:
    """Return the ``psql`` command for a server; None when it is not installed."""
    # Here, because `lockstep --help` reads this module and needs no engine.
    from lockstep.engine.libpq import client_environment

    program = shutil.which("psql")
    if program is None:
        return None
    return ShellCommand(
        program,
        ["psql", *rest],
        client_environment(url, environment),
    )
