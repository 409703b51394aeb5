"""What a key's values are once PostgreSQL holds them: still unique, short enough.

Owns two questions that only the rows can answer, and asks SQLite. It is asked for
the few keys where a profile says too little: columns of mixed classes, expressions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.plan.model import ColumnPlan, TablePlan
from lockstep.mover.sqlite.opening import rows_of


class KeyValues:
    """Answers for one source.

    Args:
        connection: To SQLite.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def are_merged(self, made: TablePlan, columns: Sequence[ColumnPlan]) -> bool:
        """Whether keys that differ become one: ``1`` and ``'1'`` are one text."""
        if not any(column.codec.startswith("mixed") for column in columns):
            return False
        present = " AND ".join(f"{quote(c.source)} IS NOT NULL" for c in columns)
        grouped = ", ".join(map(_as_carried, columns))
        found = self._asked(
            f"SELECT 1 FROM {quote(made.source)} WHERE {present} "
            f"GROUP BY {grouped} HAVING count(*) > 1 LIMIT 1"
        )
        return bool(found)

    def bytes_of(self, made: TablePlan, expression: str) -> int:
        """Return the length of the longest value of an expression."""
        found = self._asked(
            f"SELECT max(length(CAST(({expression}) AS BLOB))) "
            f"FROM {quote(made.source)}"
        )
        return (found[0][0] or 0) if found else 0

    def _asked(self, sql: str) -> list[Any]:
        try:
            return rows_of(self._connection, sql)
        except sqlite3.DatabaseError:
            return []  # what SQLite cannot compute, PostgreSQL is not asked to


def _as_carried(column: ColumnPlan) -> str:
    if not column.codec.startswith("mixed"):
        return quote(column.source)
    kind = "TEXT" if column.type == "text" else "BLOB"
    return f"CAST({quote(column.source)} AS {kind})"
