"""Why no connection to PostgreSQL came about, and what to do about each reason.

Owns the errors that come before a connection stands, when libpq gives words and no
SQLSTATE. What the driver knows (the class of its error, whether a password was asked
for) decides the class of ours.

Invariant: words choose a hint and nothing else. They are the server's or libpq's own,
in any language; where none is recognised, the hint names all that may be wrong.
"""

from __future__ import annotations

import re
from typing import Any

from lockstep.errors import AccessDenied, ConnectionLost, LockstepError
from lockstep.redaction import redact

WORDS_MAX = 300

_REFUSED = (
    "correct user, password and database in the URL; createdb NAME makes a database "
    "that is missing"
)
_UNREACHABLE = "check that the server runs, and host, port and database of the URL"
_TIMED_OUT = (
    "nothing answers at that address: correct host and port, or let the firewall (of a "
    "hosted database: its list of allowed addresses) admit this machine"
)
_NO_PASSWORD = "the server wants a password: write it into the URL, or set PGPASSWORD"  # noqa: S105

_HINTS: tuple[tuple[str, str], ...] = (
    # The server's own words, after it was reached.
    (r"password authentication failed", "correct user and password of the URL"),
    (
        r'database ".*" does not exist',
        "correct the database's name, the last part of the URL, or make it: "
        "createdb NAME",
    ),
    (
        r'role ".*" does not exist',
        "correct the user of the URL (without one it is the name of your account), or "
        "make it: createuser NAME",
    ),
    (r"not permitted to log in", "ALTER ROLE name LOGIN, or name another user"),
    (
        r"no pg_hba\.conf entry.*no encryption",
        "the server may want an encrypted connection: add ?sslmode=require; else let "
        "its pg_hba.conf admit this user, database and address",
    ),
    (
        r"no pg_hba\.conf entry|pg_hba\.conf rejects",
        "let the server's pg_hba.conf admit this user, database and address",
    ),
    (
        r"(peer|ident) authentication failed",
        "the server takes only the account of the same name there: name a host and a "
        "password in the URL, or connect as that account",
    ),
    (
        r"too many (clients|connections)|connection slots are reserved",
        "lower LOCKSTEP_POOL__SIZE (it counts per process), or use a pooler",
    ),
    (r"is (starting up|shutting down)|recovery mode", "wait until it has started"),
    # libpq's, which has no SQLSTATE for what happens before.
    (
        r"does not support SSL",
        "switch SSL on in the server, or leave sslmode= out of the URL, if others may "
        "read what is sent",
    ),
    (
        r"certificate",
        "name the authority that signed the server's certificate: sslrootcert=FILE (or "
        "sslrootcert=system), and the host by the name in it",
    ),
    (r"no password supplied", _NO_PASSWORD),
    (
        r"translate host name|resolve host",
        "correct the host's name, or check that this machine reaches its name server",
    ),
    (
        r"socket .*No such file|socket .*Connection refused",
        "no server listens at that socket: start it, or correct the folder (host=) and "
        "the port",
    ),
    (
        r"Connection refused",
        "no server listens there: start it, or correct host and port; in a container "
        "localhost is the container itself",
    ),
    (r"timeout|timed out|No route to host|Network is unreachable", _TIMED_OUT),
)


def classify_failed_connection(error: Any) -> LockstepError:
    """Return the error of our tree for psycopg's ``OperationalError`` without a state.

    It names an address, a user and a database, and no password.
    """
    from psycopg.errors import ConnectionTimeout

    words = redact(" ".join(str(error).split()))[:WORDS_MAX]
    if _was_asked_for_a_password(error):
        used = error.pgconn.used_password
        hint = _hint_of(words) or (_REFUSED if used else _NO_PASSWORD)
        return AccessDenied(f"the server refuses the login: {words}", hint=hint)
    hint = _TIMED_OUT if isinstance(error, ConnectionTimeout) else _hint_of(words)
    return ConnectionLost(
        f"no connection to the server: {words}", hint=hint or _UNREACHABLE
    )


def _hint_of(words: str) -> str | None:
    return next((hint for found, hint in _HINTS if re.search(found, words)), None)


def _was_asked_for_a_password(error: Any) -> bool:
    """Say whether the server came to that point.

    libpq reports no SQLSTATE before a connection stands, but this it does.
    """
    connection = error.pgconn
    return connection is not None and bool(
        connection.needs_password or connection.used_password
    )
