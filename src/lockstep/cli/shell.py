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

# https://www.postgresql.org/docs/current/libpq-envars.html
LIBPQ_VARIABLES: Mapping[str, str] = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
    "gssdelegation": "PGGSSDELEGATION",
    "gssencmode": "PGGSSENCMODE",
    "gsslib": "PGGSSLIB",
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "requiressl": "PGREQUIRESSL",
    "sslcert": "PGSSLCERT",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER",
}

# A service file goes before the variables and would lead to another server.
_LEADS_ELSEWHERE = frozenset({"PGSERVICE"})


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
    program = shutil.which("psql")
    if program is None:
        return None
    return ShellCommand(
        program,
        ["psql", *rest],
        {
            **{k: v for k, v in environment.items() if k not in _LEADS_ELSEWHERE},
            **libpq_environment(url),
        },
    )


def libpq_environment(url: URL) -> dict[str, str]:
    """Return the variables that lead libpq to the database of ``url``.

    Parameters that libpq reads from no variable (keepalives, for one) are left out;
    none of them decides which database is reached or as whom.
    """
    parts: dict[str, str] = {
        "dbname": url.database or "",
        "host": url.host or "",
        "port": str(url.port or ""),
        "user": url.username or "",
        "password": str(url.password or ""),
    }
    for name, value in url.query.items():
        parts[name] = value if isinstance(value, str) else ",".join(value)
    return {
        LIBPQ_VARIABLES[name]: value
        for name, value in parts.items()
        if value and name in LIBPQ_VARIABLES
    }
