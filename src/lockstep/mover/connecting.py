"""From a URL to a source or a target of a move.

Owns the one place that knows which class serves which engine, and which pairs of
engines have another, better way than a move.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import ConfigError
from lockstep.mover.plan.times import NOTHING_MEANT, Meant

if TYPE_CHECKING:
    from lockstep.mover.sides import MoveSource, MoveTarget
    from lockstep.mover.sqlite.source import SqliteSource

_IN_MEMORY = "a database in memory cannot be read by another command"


def open_move_source(
    url: DatabaseUrl, target: DatabaseUrl, *, meant: Meant = NOTHING_MEANT
) -> MoveSource:
    """Open a database to read it, in one snapshot.

    Raises:
        ConfigError: Source and target are one database, or something else copies
            between these two engines.
    """
    if url.in_memory:
        raise ConfigError(_IN_MEMORY, hint="name a file")
    if url.engine_name == target.engine_name and str(url) == str(target):
        raise ConfigError(
            "source and target are the same database", hint="name another target"
        )
    if url.engine_name == target.engine_name == "sqlite":
        raise ConfigError(
            "a SQLite file moves to PostgreSQL or to a libSQL server, not to another "
            "SQLite file",
            hint=f"lockstep db backup {shlex.quote(str(target.path or 'NAME'))} "
            f"--url {shlex.quote(str(url))} copies it, "
            "also while it is written to",
        )
    if url.dialect_name == "sqlite":
        return open_sqlite_source(url, target, meant=meant)
    if target.dialect_name != "sqlite":
        raise ConfigError(
            "PostgreSQL moves to a SQLite file or a libSQL server, not to PostgreSQL",
            hint="pg_dump and pg_restore copy a database between two servers; so do "
            "lockstep db backup and restore",
        )
    from lockstep.mover.postgresql.source import PostgresqlSource

    return PostgresqlSource(url, measures_rows=target.engine_name == "libsql")


def open_sqlite_source(
    url: DatabaseUrl, target: DatabaseUrl | None = None, *, meant: Meant = NOTHING_MEANT
) -> SqliteSource:
    """Open a file or a libSQL server's database to read it.

    Args:
        url: Which one.
        target: Where it is to go; None plans as for PostgreSQL.
        meant: What is known of its moments.
    """
    from lockstep.mover.sqlite.opening import open_source
    from lockstep.mover.sqlite.source import SqliteSource

    copies_to = None
    if target is not None and target.engine_name != "postgresql":
        copies_to = target.engine_name
    if url.engine_name == "libsql":
        from lockstep.mover.sqlite.served import open_served

        return SqliteSource(open_served(url), meant=meant, copies_to=copies_to)
    if url.path is None:
        raise ConfigError(_IN_MEMORY, hint="name a file")
    return SqliteSource(open_source(url.path), meant=meant, copies_to=copies_to)


def open_move_target(url: DatabaseUrl) -> MoveTarget:
    """Open a database to fill it."""
    if url.dialect_name == "postgresql":
        from lockstep.mover.postgresql.session import connect
        from lockstep.mover.postgresql.target import PostgresqlTarget

        return PostgresqlTarget(connect(url))
    if url.engine_name == "libsql":
        from lockstep.mover.sqlite.served_target import ServedTarget

        return ServedTarget(url)
    if url.path is None:
        raise ConfigError("a database in memory would be gone at the end: name a file")
    from lockstep.mover.sqlite.target import SqliteTarget, open_target_file

    made = None if url.path.exists() else url.path
    return SqliteTarget(open_target_file(url.path), str(url.path), made)


def open_compared_target(url: DatabaseUrl) -> MoveTarget:
    """Open a database to compare it with a source; nothing is written to it.

    Raises:
        LockstepError: There is none.
    """
    if url.path is None or url.engine_name != "sqlite":
        return open_move_target(url)
    from lockstep.mover.sqlite.compared import ComparedFile
    from lockstep.mover.sqlite.opening import open_source

    return ComparedFile(open_source(url.path))
