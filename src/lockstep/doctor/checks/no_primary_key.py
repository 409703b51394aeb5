"""Tables whose rows nothing tells apart."""

from __future__ import annotations

from lockstep.doctor.catalog import Table
from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted, some
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.context import SqliteContext

_BOOKKEEPING = ("alembic_version", "android_metadata", "schema_migrations")
_MEND = "add a primary key; a new UUID or integer column will do where nothing else is"


def examine(context: SqliteContext) -> Findings:
    """List tables without a primary key or a unique one of NOT NULL columns."""
    bare = [
        table.name
        for table in context.tables
        if not _has_key(table) and table.name.lower() not in _BOOKKEEPING
    ]
    if bare:
        yield CHECK.finding(
            "notice",
            context.name,
            f"{counted(len(bare), 'table has', 'tables have')} no primary key: "
            f"{some(bare)}",
            mend=_MEND,
            evidence={"tables": bare},
        )


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """List tables without a primary key or a unique one of NOT NULL columns."""
    bare = [
        table.name
        for table in context.tables
        if not _has_key(table) and table.plain_name not in _BOOKKEEPING
    ]
    if bare:
        yield CHECK.finding(
            "notice",
            context.database_name,
            f"{counted(len(bare), 'table has', 'tables have')} no primary key: "
            f"{some(bare)}",
            mend=_MEND,
            evidence={"tables": bare},
        )


def _has_key(table: Table) -> bool:
    if table.primary_key:
        return True
    required = {column.name for column in table.columns if not column.nullable}
    return any(
        index.unique and not index.partial and set(index.columns) <= required
        for index in table.indexes
    )


CHECK = Check(
    name="no-primary-key",
    looks_for="Tables without a primary key.",
    why="Two equal rows cannot be told apart: no replica, no mover and no correction "
    "can name one of them, and PostgreSQL cannot replicate their changes.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
