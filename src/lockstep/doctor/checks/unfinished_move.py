"""A database that a move has begun to fill, and not proved complete."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.mover.own_tables import journal_prefix

_JOURNAL = """
SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'lockstep_move' AND c.relname = 'state'
   AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
"""


def examine(context: SqliteContext) -> Findings:
    """Read the journal that a move keeps in the file it fills."""
    if prefix := journal_prefix(context.connection):
        ask = f"SELECT status, source FROM {prefix}state"
        for status, source in context.rows(ask):
            yield from _told(context.name, status, source)


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Read the journal that a move keeps in a schema of its own."""
    if context.rows(_JOURNAL):
        rows = context.rows("SELECT status, source FROM lockstep_move.state")
        for status, source in rows:
            yield from _told(context.database_name, status, source)


def _told(subject: str, status: str, source: str) -> Findings:
    if status in ("copying", "copied"):
        yield CHECK.finding(
            "problem",
            subject,
            f"the move from {source} that fills it has not ended",
            mend="give the same lockstep move again: it goes on where it stopped",
            evidence={"status": status, "source": source},
        )
    elif status == "differs":
        yield CHECK.finding(
            "warning",
            subject,
            f"the move from {source} found differences and was never said to be exact",
            mend="lockstep verify names each of them; move into an empty database, or "
            "drop the journal (lockstep_move…) if they are meant",
            evidence={"status": status, "source": source},
        )


CHECK = Check(
    name="unfinished-move",
    looks_for="The journal of a lockstep move that has not ended, or that found "
    "differences.",
    why="Rows, indexes and constraints may be missing, and an application that works "
    "here does not notice.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
