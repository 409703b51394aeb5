"""What only the rows can say about what is built behind them on PostgreSQL.

Owns the questions, and asks SQLite: whether keys are still unique and short enough
where a profile says too little (columns of mixed classes, expressions), whether rows
contradict a check, and whether an integer outgrows 64 bits, where SQLite goes on with
a rounded real and PostgreSQL refuses the row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.asking import rows_of
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.translate.outgrown import outgrowing

_REAL_AS_TEXT = "lockstep_key_real"


class KeyValues:
    """Answers for one source.

    Args:
        connection: To SQLite.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._knows_reals = isinstance(connection, sqlite3.Connection)
        if self._knows_reals:
            connection.create_function(_REAL_AS_TEXT, 1, repr, deterministic=True)

    def are_merged(
        self,
        made: TablePlan,
        columns: Sequence[ColumnPlan],
        collations: Sequence[str] = (),
        condition: str = "",
    ) -> bool:
        """Whether keys that differ become one: ``1`` and ``'1'`` are one text.

        Args:
            made: The table.
            columns: Of the key.
            collations: Of its parts; none are as SQLite's own, ``BINARY``.
            condition: Of a partial index, in SQLite's words.
        """
        if not any(column.codec.startswith("mixed") for column in columns):
            return False
        present = " AND ".join(f"{quote(c.source)} IS NOT NULL" for c in columns)
        collations = collations or ["BINARY"] * len(columns)
        grouped = ", ".join(
            self._as_carried(column, collation)
            for column, collation in zip(columns, collations, strict=True)
        )
        where = f"{present} AND ({condition})" if condition else present
        found = self._asked(
            f"SELECT 1 FROM {quote(made.source)} WHERE {where} "
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

    def against(self, made: TablePlan, check: str) -> int:
        """Return how many rows contradict a check."""
        sql = f"SELECT count(*) FROM {quote(made.source)} WHERE NOT ({check})"
        found = self._asked(sql)
        return found[0][0] if found else 0

    def outgrows(self, made: TablePlan, expression: str) -> bool:
        """Whether an integer of an expression becomes a real in a row.

        Raises:
            Untranslatable: The expression cannot be read.
        """
        condition = outgrowing(expression)
        sql = f"SELECT 1 FROM {quote(made.source)} WHERE {condition} LIMIT 1"
        return bool(condition and self._asked(sql))

    def _asked(self, sql: str) -> list[Any]:
        try:
            return rows_of(self._connection, sql)
        except sqlite3.DatabaseError:
            return []  # what SQLite cannot compute, PostgreSQL is not asked to

    def _as_carried(self, column: ColumnPlan, collation: str) -> str:
        name, kind = quote(column.source), "TEXT" if column.type == "text" else "BLOB"
        if not column.codec.startswith("mixed"):
            text = f"{name} COLLATE BINARY"
        elif self._knows_reals:
            # SQLite's own text of a real has fewer digits, and another infinity.
            real = f"CAST({_REAL_AS_TEXT}({name}) AS {kind})"
            carried = f"CAST({name} AS {kind})"
            text = f"iif(typeof({name}) = 'real', {real}, {carried})"
        else:
            text = f"CAST({name} AS {kind})"
        if kind == "TEXT" and collation == "NOCASE":
            return f"lower({text})"
        return f"rtrim({text}, ' ')" if collation == "RTRIM" else text
