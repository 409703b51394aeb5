"""Lead PostgreSQL's own programs to a database, with no secret in their arguments.

Owns the environment that psql, pg_dump and pg_restore get. Everybody on the machine
can read a process's arguments; its environment only the same user and root. It starts
no program and reads no file.

Invariant: the program reaches exactly the database of the URL, whatever PGSERVICE or
other variables of the caller say.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def client_environment(url: URL, environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``environment`` changed so that libpq reaches the database of ``url``."""
    kept = {k: v for k, v in environment.items() if k not in _LEADS_ELSEWHERE}
    return {**kept, **libpq_environment(url)}


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
