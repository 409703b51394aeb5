"""Short questions to a PostgreSQL database.

Owns the rule that every check is a read-only transaction of its own with a statement
timeout, so that it works behind a pooler, changes nothing and holds nothing up.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, LiteralString, cast

from lockstep.doctor.catalog import Table
from lockstep.doctor.limits import Limits
from lockstep.schema.names import quote_identifier

if TYPE_CHECKING:
    import psycopg

LOCK_TIMEOUT_MS = 2_000


class PostgresqlQuestions:
    """A connection that answers within limits.

    Attributes:
        connection: In autocommit; each check's transaction is read-only.
        limits: What the examination may cost.
    """

    def __init__(
        self, connection: psycopg.Connection[tuple[Any, ...]], limits: Limits
    ) -> None:
        self.connection = connection
        self.limits = limits

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
