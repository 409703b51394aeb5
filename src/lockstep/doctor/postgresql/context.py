"""What a check of a PostgreSQL database may ask.

Owns the connection, the schema read once, and the rule that every check is a
read-only transaction of its own with a statement timeout, so that it works behind
a pooler, changes nothing and holds nothing up.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, LiteralString, cast

from lockstep.doctor.catalog import Catalog, Column, Table
from lockstep.doctor.limits import Limits
from lockstep.doctor.moments import may_hold_moments
from lockstep.doctor.postgresql.catalog import read_catalog
from lockstep.engine.sessions import raise_classified
from lockstep.errors import MissingExtraError
from lockstep.schema.names import quote_identifier

if TYPE_CHECKING:
    import psycopg

    from lockstep.config import Settings
    from lockstep.engine import DatabaseUrl

CONNECT_TIMEOUT_S = 10
LOCK_TIMEOUT_MS = 2_000


class PostgresqlContext:
    """One PostgreSQL database.

    Attributes:
        url: Where it is.
        connection: In autocommit; each check's transaction is read-only.
        limits: What the examination may cost.
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
        self.url = url
        self.connection = connection
        self.limits = limits
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
        from lockstep.doctor.postgresql.moments import COUNTED, guessed_columns

        if table.name not in self._moment_columns:
            guessed = guessed_columns(self, table)
            self._moment_columns[table.name] = tuple(
                column
                for column in table.columns
                if (column.family in COUNTED and may_hold_moments(column))
                or column in guessed
            )
        return self._moment_columns[table.name]

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Begin what one check may see and do."""
        with self.connection.transaction(force_rollback=True):
            milliseconds = max(int(self.limits.check_s * 1000), 1)
            self.connection.execute("SET TRANSACTION READ ONLY")
            self.connection.execute(
                "SELECT set_config('statement_timeout', %s, true),"
                " set_config('lock_timeout', %s, true)",
                (str(milliseconds), str(LOCK_TIMEOUT_MS)),
            )
            yield

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a question."""
        # Without parameters psycopg looks for no placeholders in the text.
        given = parameters or None
        return self.connection.execute(cast(LiteralString, sql), given).fetchall()

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row; None without a row."""
        found = self.rows(sql, parameters)
        return found[0][0] if found else None

    def row(self, sql: str, table: Table, column: str = "") -> tuple[Any, ...]:
        """Ask about one column; ``{t}``, ``{c}`` and ``{n}`` become SQL."""
        text = sql.format(t=table.quoted, c=self.name(column), n=self.limits.rows_max)
        return self.rows(text)[0]

    def counts(self, table: Table, conditions: Sequence[str]) -> list[int]:
        """Return how many of the rows that are looked at meet each condition."""
        counted = ", ".join(f"count(*) FILTER (WHERE {sql})" for sql in conditions)
        source = f"SELECT * FROM {table.quoted} LIMIT {self.limits.rows_max}"
        return list(self.rows(f"SELECT {counted} FROM ({source}) AS s")[0])

    def told(self, table: Table) -> str:
        """Return what a finding adds when not all rows were looked at."""
        rows_max = self.limits.rows_max
        partial = (table.rows_estimate or 0) > rows_max
        return f" (the first {rows_max:,} rows looked at)" if partial else ""

    def setting(self, name: str) -> str:
        """Return a setting of the server."""
        return str(self.value("SELECT current_setting(%s)", (name,)))

    def name(self, name: str) -> str:
        """Return a name as SQL spells it."""
        return quote_identifier(name)

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


@contextmanager
def connected(url: DatabaseUrl) -> Generator[psycopg.Connection[tuple[Any, ...]]]:
    """Connect to ``url`` and yield the connection, in autocommit.

    Raises:
        ConnectionLost: The server cannot be reached.
        AccessDenied: It refuses the credentials.
    """
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtraError("PostgreSQL", extra="pg") from error

    try:
        connection = psycopg.connect(
            url.unmasked(),
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="lockstep doctor",
        )
    except psycopg.Error as error:
        raise_classified(error)
    try:
        yield connection
    finally:
        connection.close()
