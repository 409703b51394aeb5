"""A PostgreSQL database as a source of lines.

Owns the reading of tables through COPY, in the order of the key, or in the
server's own order where there is none. The snapshot is the connection's: whoever
calls has begun a REPEATABLE READ transaction.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.encoding import LineBlock
from lockstep.mover.plan.model import ColumnPlan

if TYPE_CHECKING:
    import psycopg

BLOCK_BYTES = 1024 * 1024


class PostgresqlLines:
    """The rows of a PostgreSQL database."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def read(
        self, table: str, columns: list[str], *, order: str = "", where: str = ""
    ) -> Generator[LineBlock]:
        """Yield a table's lines.

        Args:
            table: The table, quoted.
            columns: Its columns, quoted, or expressions over them.
            order: What stands behind ORDER BY; empty for the server's order.
            where: What stands behind WHERE.
        """
        listed = ", ".join(columns)
        query = f"SELECT {listed} FROM {table}"
        if where:
            query += f" WHERE {where}"
        if order:
            query += f" ORDER BY {order}"
        statement = f"COPY ({query}) TO STDOUT"
        with self._connection.cursor().copy(statement.encode()) as copy:
            yield from _blocks(copy)


def _blocks(copy: Any) -> Generator[LineBlock]:
    """Collect the rows that arrive one by one into blocks of whole lines."""
    parts: list[bytes] = []
    size = 0
    for data in copy:
        parts.append(bytes(data))
        size += len(parts[-1])
        if size >= BLOCK_BYTES and parts[-1].endswith(b"\n"):
            yield _block(parts)
            parts, size = [], 0
    if parts:
        yield _block(parts)


def _block(parts: list[bytes]) -> LineBlock:
    text = b"".join(parts).decode("utf-8")
    count = text.count("\n")
    return LineBlock(None, text, count, count)


def order_of(columns: list[ColumnPlan], side: str) -> str:
    """Return an ORDER BY that sorts as SQLite does: texts by their bytes."""
    words: list[str] = []
    for column in columns:
        name = quote(column.target if side == "target" else column.source)
        if column.codec in ("text", "mixed_text"):
            name = f'{name}::text COLLATE "C"'
        words.append(name)
    return ", ".join(words)
