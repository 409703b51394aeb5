"""A look at a database that neither writes nor waits for a writer.

Owns the connection that the read-only verbs use.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lockstep.engine.sqlite import ACCESS_OPTION, READ

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """Yield a connection in a transaction that is taken back at the end.

    SQLite: the transaction sees one snapshot and cannot write. PostgreSQL: a
    plain one, because a comparison makes a schema for a moment.
    """
    if engine.dialect.name == "sqlite":
        engine = engine.execution_options(**{ACCESS_OPTION: READ})
    with engine.connect() as connection:
        yield connection
