"""From a URL to a source or a target of a move.

Owns the one place that knows which class serves which engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import ConfigError, UnsupportedCapability

if TYPE_CHECKING:
    from lockstep.mover.sides import MoveSource, MoveTarget


def open_move_source(
    url: DatabaseUrl, target_dialect: str, *, clean: bool = False
) -> MoveSource:
    """Open a database to read it, in one snapshot."""
    _refuse_libsql(url)
    if url.dialect_name == "sqlite":
        if url.path is None:
            raise ConfigError("a database in memory cannot be moved: name a file")
        if target_dialect != "postgresql":
            raise UnsupportedCapability(
                "a SQLite file moves to PostgreSQL; a copy of the file is a copy",
                hint="VACUUM INTO, or the backup API, copies a live file",
            )
        from lockstep.mover.sqlite.source import SqliteSource

        return SqliteSource(url.path, clean=clean)
    if target_dialect != "sqlite":
        raise UnsupportedCapability(
            "PostgreSQL moves to a SQLite file here",
            hint="pg_dump and pg_restore copy a database between two servers",
        )
    from lockstep.mover.postgresql.source import PostgresqlSource

    return PostgresqlSource(url)


def open_move_target(url: DatabaseUrl) -> MoveTarget:
    """Open a database to fill it."""
    _refuse_libsql(url)
    if url.dialect_name == "postgresql":
        from lockstep.mover.postgresql.session import connect
        from lockstep.mover.postgresql.target import PostgresqlTarget

        return PostgresqlTarget(connect(url))
    if url.path is None:
        raise ConfigError("a database in memory would be gone at the end: name a file")
    from lockstep.mover.sqlite.target import SqliteTarget

    return SqliteTarget(url.path)


def _refuse_libsql(url: DatabaseUrl) -> None:
    if url.engine_name == "libsql":
        raise UnsupportedCapability(
            "a libSQL server's database cannot be moved yet",
            hint="a local libSQL file is a SQLite file, and moves as one",
        )
