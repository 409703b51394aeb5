"""What a check of a PostgreSQL database may ask.

Owns what is found out once and asked by several checks: the schema, which tables may
be read, which columns hold moments. How a question is asked is ``questions.py``'s.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from lockstep.doctor.catalog import Catalog, Column, Table
from lockstep.doctor.limits import Limits
from lockstep.doctor.moments import may_hold_moments
from lockstep.doctor.postgresql.catalog import read_catalog
from lockstep.doctor.postgresql.moments import COUNTED, guessed_columns
from lockstep.doctor.postgresql.questions import PostgresqlQuestions

if TYPE_CHECKING:
    import psycopg

    from lockstep.config import Settings
    from lockstep.engine import DatabaseUrl


class PostgresqlContext(PostgresqlQuestions):
    """One PostgreSQL database.

    Attributes:
        url: Where it is.
        settings: Of the project it belongs to; None for a database on its own.
        processes: How many processes of the application there will be.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        connection: psycopg.Connection[tuple[Any, ...]],
        limits: Limits,
        settings: Settings | None = None,
        processes: int | None = None,
    ) -> None:
        super().__init__(connection, limits)
        self.url = url
        self.settings = settings
        self.processes = processes
        self._moment_columns: dict[str, tuple[Column, ...]] = {}

    @cached_property
    def database_name(self) -> str:
        """The database's name."""
        return str(self.value("SELECT current_database()"))

    @cached_property
    def version(self) -> int:
        """The server's version, as in 160004."""
        return self.connection.info.server_version

    @cached_property
    def catalog(self) -> Catalog:
        """The ordinary tables."""
        return read_catalog(self.rows)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The ordinary tables, by schema and name."""
        return self.catalog.tables

    @cached_property
    def readable_tables(self) -> tuple[Table, ...]:
        """The tables whose rows the role may read."""
        allowed = self.rows(
            "SELECT name FROM unnest(%s::text[], %s::text[]) AS t (schema, name)"
            # A CASE, because the second question fails where the first says no.
            " WHERE CASE WHEN has_schema_privilege(schema, 'USAGE')"
            " THEN has_table_privilege(name, 'SELECT') END",
            (
                [table.schema for table in self.tables],
                [table.quoted for table in self.tables],
            ),
        )
        readable = {name for (name,) in allowed}
        return tuple(table for table in self.tables if table.quoted in readable)

    def moment_columns(self, table: Table) -> tuple[Column, ...]:
        """Return the numbers and texts that hold moments, by name or first values."""
        if table.name not in self._moment_columns:
            guessed = guessed_columns(self, table)
            self._moment_columns[table.name] = tuple(
                column
                for column in table.columns
                if (column.family in COUNTED and may_hold_moments(column))
                or column in guessed
            )
        return self._moment_columns[table.name]

    def sequence_columns(self) -> list[tuple[str, str, str, int | None]]:
        """Return ``(table, column, type, last value)`` of every column with a sequence.

        The last value is None before the first use, or where it may not be read.
        """
        return cast(
            "list[tuple[str, str, str, int | None]]",
            self.rows(
                "SELECT d.refobjid::regclass::text, a.attname,"
                " format_type(a.atttypid, a.atttypmod),"
                " pg_sequence_last_value(s.oid)"
                " FROM pg_class s JOIN pg_depend d ON d.objid = s.oid"
                " AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')"
                " JOIN pg_attribute a ON a.attrelid = d.refobjid"
                " AND a.attnum = d.refobjsubid"
                # A CASE, because a planner may ask for the right first.
                " WHERE CASE WHEN s.relkind = 'S'"
                " THEN has_sequence_privilege(s.oid, 'SELECT, USAGE') END"
                " ORDER BY 1, 2"
            ),
        )
