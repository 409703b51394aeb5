"""One state of a PostgreSQL database: a snapshot that no ALTER and no TRUNCATE tears.

Owns how the transaction begins in which a source is read. A snapshot alone does not
hold the tables: one that somebody truncates, or rewrites by ALTER TABLE, before it is
read is seen empty, without an error. So every table is locked against that, before the
snapshot is taken, as weakly as a SELECT does it: others go on reading and writing.

    names ──► BEGIN ──► LOCK TABLE … ──► snapshot, names again ──► the same: begun

See https://www.postgresql.org/docs/current/mvcc-caveats.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lockstep.errors import SourceChanged
from lockstep.mover.postgresql.others import IS_OURS
from lockstep.mover.postgresql.session import translated

if TYPE_CHECKING:
    import psycopg

_ATTEMPTS: Final = 5

# A partition is locked with its table. What may not be read is not moved.
_NAMES: Final = (
    "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {IS_OURS} "
    "AND has_schema_privilege(n.oid, 'USAGE') "
    "AND has_table_privilege(c.oid, 'SELECT') ORDER BY c.oid"
)


def begin_snapshot(connection: psycopg.Connection[Any]) -> None:
    """Begin a read transaction whose tables stay as they are until it ends.

    Args:
        connection: In autocommit, with the settings of a move.

    Raises:
        SourceChanged: Tables come and go all the time.
        Busy: Somebody holds one of them for himself for long.
    """
    import psycopg

    with translated():
        for _ in range(_ATTEMPTS):
            names = _names(connection)
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                # No snapshot is taken by it: whatever it waited for is seen.
                _lock(connection, names)
                if _names(connection) == names:
                    return
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                pass  # one was dropped before it could be locked
            connection.execute("ROLLBACK")
    raise SourceChanged(
        "tables of the source are made or dropped all the time",
        hint="move again when nobody changes its schema",
    )


def _names(connection: psycopg.Connection[Any]) -> list[str]:
    return [name for (name,) in connection.execute(_NAMES.encode()).fetchall()]


def _lock(connection: psycopg.Connection[Any], names: list[str]) -> None:
    if names:
        sql = f"LOCK TABLE {', '.join(names)} IN ACCESS SHARE MODE"
        connection.execute(sql.encode())
