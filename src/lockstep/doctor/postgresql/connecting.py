"""How the doctor connects to a PostgreSQL server.

Owns what the connection is: in autocommit, without prepared statements, so that it
works behind a pooler, and under a name by which an administrator knows it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lockstep.engine.sessions import raise_classified
from lockstep.errors import MissingExtraError

if TYPE_CHECKING:
    import psycopg

    from lockstep.engine import DatabaseUrl

CONNECT_TIMEOUT_S = 10


@contextmanager
def connected(url: DatabaseUrl) -> Generator[psycopg.Connection[tuple[Any, ...]]]:
    """Connect to ``url`` and yield the connection, in autocommit.

    Raises:
        ConnectionLost: The server cannot be reached.
        AccessDenied: It refuses the credentials.
    """
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtraError("PostgreSQL", extra="pg") from error

    try:
        connection = psycopg.connect(
            url.unmasked(),
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="lockstep doctor",
        )
    except psycopg.Error as error:
        raise_classified(error)
    try:
        yield connection
    finally:
        connection.close()
