"""One question to a database of SQLite, whichever driver lies below."""

from __future__ import annotations

from typing import Any


def rows_of(connection: Any, sql: str, *values: Any) -> list[Any]:
    """Return all rows of a query, over any DB-API connection."""
    cursor = connection.cursor()
    try:
        return list(cursor.execute(sql, values).fetchall())
    finally:
        cursor.close()
