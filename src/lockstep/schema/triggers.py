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
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from lockstep.schema.names import constraint_name, shorten
from lockstep.schema.names import quote_identifier as quote
from lockstep.schema.server_time import NOW_SQL
from lockstep.schema.types.portable import quoted

TOUCHED = "lockstep.touch"
"""Key in ``Column.info`` that marks the column a touch trigger keeps."""

TOUCH_FUNCTION = "lockstep_touch"
UPDATED_AT = "updated_at"


def touch_trigger_name(table: str) -> str:
    """Return the name of a table's touch trigger, at most 63 bytes."""
    return constraint_name("tr", table, "touch")


def create_touch_trigger_sql(
    table_name: str,
    pk_columns: Sequence[str],
    dialect_name: str,
    *,
    column: str = UPDATED_AT,
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
    table_name: str,
    dialect_name: str,
    *,
    column: str = UPDATED_AT,
    schema: str | None = None,
) -> list[str]:
    """Return the statements that take a table's touch trigger away.

    PostgreSQL: with the last trigger of a schema its function goes too.
    """
    if dialect_name == "postgresql":
        return [
            _postgresql_drop(table_name, schema),
            drop_touch_function_sql(column=column, schema=schema),
        ]
    name = _qualified(touch_trigger_name(table_name), schema)
    return [f"DROP TRIGGER IF EXISTS {name}"]


def drop_touch_function_sql(
    *, column: str = UPDATED_AT, schema: str | None = None
) -> str:
    """Return PostgreSQL's statement that drops the function no trigger uses."""
    function = _function(column, schema)
    used = f"SELECT FROM pg_trigger WHERE tgfoid = to_regprocedure({quoted(function)})"
    return (
        f"DO $$ BEGIN IF NOT EXISTS ({used}) "
        f"THEN DROP FUNCTION IF EXISTS {function}; END IF; END $$"
    )


def _function(column: str, schema: str | None) -> str:
    """Return the call of the trigger function that keeps a column of this name."""
    name = TOUCH_FUNCTION if column == UPDATED_AT else f"{TOUCH_FUNCTION}_{column}"
    return f"{_qualified(shorten(name), schema)}()"


def _qualified(name: str, schema: str | None) -> str:
    return quote(name) if schema is None else f"{quote(schema)}.{quote(name)}"


def _sqlite_statement(
    table_name: str, pk_columns: Sequence[str], column: str, schema: str | None
) -> str:
    name = _qualified(touch_trigger_name(table_name), schema)
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


def _postgresql_drop(table_name: str, schema: str | None) -> str:
    name, table = quote(touch_trigger_name(table_name)), _qualified(table_name, schema)
    return f"DROP TRIGGER IF EXISTS {name} ON {table}"


def _postgresql_statements(
    table_name: str, column: str, schema: str | None
) -> list[str]:
    function = _function(column, schema)
    table = _qualified(table_name, schema)
    touched = quote(column)
    return [
        f"CREATE OR REPLACE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql "
        f"AS $$ BEGIN NEW.{touched} := {NOW_SQL['postgresql']}; RETURN NEW; END $$",
        _postgresql_drop(table_name, schema),
        f"CREATE TRIGGER {quote(touch_trigger_name(table_name))} "
        f"BEFORE UPDATE ON {table} FOR EACH ROW "
        f"WHEN (NEW.{touched} IS NOT DISTINCT FROM OLD.{touched}) "
        f"EXECUTE FUNCTION {function}",
    ]


def touched_column(table: sa.Table) -> sa.Column[Any] | None:
    """Return the column that the table's touch trigger keeps, or None."""
    return next((c for c in table.columns if c.info.get(TOUCHED)), None)


def _execute(connection: sa.Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        # DDL formats its text with %; the statements hold strftime's own.
        connection.execute(sa.DDL(statement.replace("%", "%%")))


@event.listens_for(sa.Table, "after_create")
def _create_touch_trigger(table: sa.Table, connection: sa.Connection, **_: Any) -> None:
    column = touched_column(table)
    if column is None:
        return
    keys = [key.name for key in table.primary_key.columns]
    statements = create_touch_trigger_sql(
        table.name,
        keys,
        connection.dialect.name,
        column=column.name,
        schema=table.schema,
    )
    _execute(connection, statements)


@event.listens_for(sa.Table, "after_drop")
def _drop_touch_function(table: sa.Table, connection: sa.Connection, **_: Any) -> None:
    column = touched_column(table)
    if column is not None and connection.dialect.name == "postgresql":
        statement = drop_touch_function_sql(column=column.name, schema=table.schema)
        _execute(connection, [statement])
