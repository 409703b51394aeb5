"""The models as a database would state them.

Owns the shadow: the models' tables are made for a moment on the very engine that
is compared, and read back like the real ones. So the comparison never has to
guess how an engine spells a default, a check or an index expression.
Must not know: Alembic.

    SQLite: a database in memory
    PostgreSQL: a schema inside a savepoint that is rolled back
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.pool import StaticPool

from lockstep.errors import NotPortable
from lockstep.migrations.postgresql.snapshot import postgresql_snapshot
from lockstep.migrations.sqlite.snapshot import sqlite_snapshot
from lockstep.migrations.sqlite.tokens import quote
from lockstep.migrations.state import SchemaState

if TYPE_CHECKING:
    from sqlalchemy import Connection


def database_state(connection: Connection, *, ignore: Collection[str]) -> SchemaState:
    """Return the schema that the connection sees by default."""
    if connection.dialect.name == "sqlite":
        return sqlite_snapshot(connection, ignore=ignore)
    schema = connection.exec_driver_sql("SELECT current_schema()").scalar()
    return postgresql_snapshot(connection, schema=str(schema), ignore=ignore)


def model_state(connection: Connection, metadata: sa.MetaData) -> SchemaState:
    """Return the schema that the models want, on the connection's engine.

    Args:
        connection: In a transaction; nothing of it is changed.
        metadata: The models.

    Raises:
        NotPortable: The engine cannot create what the models state.
    """
    # Creating tables marks constraints that were added late; a copy forgets it.
    metadata = copied(metadata)
    tables = own_tables(metadata)
    try:
        if connection.dialect.name == "sqlite":
            with memory_database() as shadow:
                metadata.create_all(shadow, tables=tables)
                return sqlite_snapshot(shadow)
        return _postgresql_state(connection, metadata, tables)
    except sa_exc.DBAPIError as exc:
        raise NotPortable(
            f"{connection.dialect.name} cannot create the models: {exc.orig}",
            hint="the statement that failed: " + " ".join(str(exc.statement).split()),
        ) from exc
    except (sa_exc.CompileError, sa_exc.IdentifierError) as exc:
        raise NotPortable(
            f"the models cannot be written for {connection.dialect.name}: {exc}",
            hint="use a type of lockstep; docs/reference/types.md lists them",
        ) from exc


def copied(metadata: sa.MetaData) -> sa.MetaData:
    """Return a metadata with the same tables."""
    made = sa.MetaData(
        naming_convention=metadata.naming_convention, info=dict(metadata.info)
    )
    for table in metadata.tables.values():
        table.to_metadata(made)
    return made


def own_tables(metadata: sa.MetaData) -> list[sa.Table]:
    """Return the tables of the default schema.

    Raises:
        NotPortable: A table lies in another schema, which SQLite does not have.
    """
    for table in metadata.tables.values():
        if table.schema is not None:
            raise NotPortable(
                f"table {table.fullname!r} lies in schema {table.schema!r}",
                hint="SQLite has no schemas: leave it out, and set PostgreSQL's "
                "search_path in the URL if needed",
            )
    return list(metadata.tables.values())


@contextmanager
def memory_database() -> Generator[Connection]:
    """Yield a connection to an empty SQLite database in memory."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _postgresql_state(
    connection: Connection, metadata: sa.MetaData, tables: list[sa.Table]
) -> SchemaState:
    schema = f"lockstep_shadow_{secrets.token_hex(4)}"
    savepoint = connection.begin_nested()
    try:
        path = connection.exec_driver_sql("SHOW search_path").scalar()
        connection.exec_driver_sql(f"CREATE SCHEMA {quote(schema)}")
        connection.exec_driver_sql(f"SET LOCAL search_path = {quote(schema)}, {path}")
        # A table of the same name is visible further down the path, so asking
        # whether it exists would leave it out.
        metadata.create_all(connection, tables=tables, checkfirst=False)
        return postgresql_snapshot(connection, schema=schema)
    finally:
        savepoint.rollback()
