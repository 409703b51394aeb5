"""Touch triggers: ``updated_at`` moves with the row, also under raw SQL.

Owns the DDL of the triggers, for ``metadata.create_all`` and for migrations
alike. An UPDATE that sets ``updated_at`` itself is left alone.

    PostgreSQL   BEFORE UPDATE, one function for all tables of a schema
    SQLite       AFTER UPDATE, because SQLite cannot change NEW; therefore
                 UPDATE … RETURNING shows the value from before the trigger

Invariant: running the statements twice leaves one trigger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from lockstep.schema.names import constraint_name
from lockstep.schema.server_time import NOW_SQL

TOUCHED = "lockstep.touch"
"""Key in ``Column.info`` that marks the column a touch trigger keeps."""

TOUCH_FUNCTION = "lockstep_touch"

DialectName = Literal["sqlite", "postgresql"]

_QUOTE = {
    "sqlite": sqlite.dialect().identifier_preparer.quote_identifier,
    "postgresql": postgresql.dialect().identifier_preparer.quote_identifier,
}


def touch_trigger_name(table: str) -> str:
    """Return the name of a table's touch trigger, at most 63 bytes."""
    return constraint_name("tr", table, "touch")


def create_touch_trigger_sql(
    table_name: str,
    pk_columns: Sequence[str],
    dialect_name: str,
    *,
    column: str = "updated_at",
    schema: str | None = None,
) -> list[str]:
    """Return the statements that give a table its touch trigger.

    Args:
        table_name: The table's name, not quoted.
        pk_columns: Names of the primary key's columns, not quoted.
        dialect_name: ``sqlite`` or ``postgresql``.
        column: The column to keep.
        schema: The table's schema, None for the default one.
    """
    if dialect_name == "postgresql":
        return _postgresql_statements(table_name, column, schema)
    return [_sqlite_statement(table_name, pk_columns, column, schema)]


def drop_touch_trigger_sql(
    table_name: str, dialect_name: str, *, schema: str | None = None
) -> list[str]:
    """Return the statements that take a table's touch trigger away."""
    quote = _QUOTE[dialect_name]
    name = quote(touch_trigger_name(table_name))
    if dialect_name == "postgresql":
        table = _qualified(table_name, dialect_name, schema)
        return [f"DROP TRIGGER IF EXISTS {name} ON {table}"]
    prefix = "" if schema is None else quote(schema) + "."
    return [f"DROP TRIGGER IF EXISTS {prefix}{name}"]


def _qualified(name: str, dialect_name: str, schema: str | None) -> str:
    quote = _QUOTE[dialect_name]
    return quote(name) if schema is None else f"{quote(schema)}.{quote(name)}"


def _sqlite_statement(
    table_name: str, pk_columns: Sequence[str], column: str, schema: str | None
) -> str:
    quote = _QUOTE["sqlite"]
    name = _qualified(touch_trigger_name(table_name), "sqlite", schema)
    table, touched, now = quote(table_name), quote(column), NOW_SQL["sqlite"]
    same_row = " AND ".join(f"{quote(key)} IS NEW.{quote(key)}" for key in pk_columns)
    # The second condition ends the recursion when recursive_triggers is on and
    # the clock has not moved since.
    changed = f"NEW.{touched} IS OLD.{touched} AND NEW.{touched} IS NOT {now}"
    row = same_row or "rowid = NEW.rowid"
    update = f"UPDATE {table} SET {touched} = {now} WHERE {row}"  # noqa: S608 (quoted)
    return (
        f"CREATE TRIGGER IF NOT EXISTS {name} AFTER UPDATE ON {table} "
        f"FOR EACH ROW WHEN {changed} BEGIN {update}; END"
    )


def _postgresql_statements(
    table_name: str, column: str, schema: str | None
) -> list[str]:
    quote = _QUOTE["postgresql"]
    function = _qualified(TOUCH_FUNCTION, "postgresql", schema)
    table = _qualified(table_name, "postgresql", schema)
    touched = quote(column)
    return [
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql "
        f"AS $$ BEGIN NEW.{touched} := {NOW_SQL['postgresql']}; RETURN NEW; END $$",
        *drop_touch_trigger_sql(table_name, "postgresql", schema=schema),
        f"CREATE TRIGGER {quote(touch_trigger_name(table_name))} "
        f"BEFORE UPDATE ON {table} FOR EACH ROW "
        f"WHEN (NEW.{touched} IS NOT DISTINCT FROM OLD.{touched}) "
        f"EXECUTE FUNCTION {function}()",
    ]


def touched_column(table: sa.Table) -> sa.Column[Any] | None:
    """Return the column that the table's touch trigger keeps, or None."""
    return next((c for c in table.columns if c.info.get(TOUCHED)), None)


@event.listens_for(sa.Table, "after_create")
def _create_touch_trigger(table: sa.Table, connection: sa.Connection, **_: Any) -> None:
    column = touched_column(table)
    if column is None:
        return
    for statement in create_touch_trigger_sql(
        table.name,
        [key.name for key in table.primary_key.columns],
        connection.dialect.name,
        column=column.name,
        schema=table.schema,
    ):
        # DDL formats its text with %; the statements hold strftime's own.
        connection.execute(sa.DDL(statement.replace("%", "%%")))
