"""Whether the rows of a wide table fit PostgreSQL at all.

Owns the two limits of a table there: how many columns it has, and that a row lies in
one page of 8 KiB, where only texts and bytes can be put elsewhere, each for a pointer.

Invariant: a row that cannot lie there is found before anything moves.
"""

from __future__ import annotations

from typing import Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.asking import rows_of
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.model.sqlite import Table

COLUMNS_MAX: Final = 1600
ROW_BYTES_MAX: Final = 8_160
_HEADER_BYTES: Final = 24
_POINTER_BYTES: Final = 18
_INLINE_BYTES_MAX: Final = 20
"""A text is put elsewhere only if that makes the row shorter."""

_COLUMNS_AT_ONCE: Final = 50
_FIXED: Final = {
    **{"boolean": 1, "date": 4, "bigint": 8, "double precision": 8},
    **{"timestamp": 8, "time": 8, "timestamptz": 8},
}


def why_too_wide(connection: Any, table: Table, made: TablePlan) -> str:
    """Return why PostgreSQL cannot hold a table's rows; empty where it can.

    Args:
        connection: To the source; read only where the columns are so many that
            rows might not fit.
        table: What it has there.
        made: What its columns become.
    """
    if len(made.columns) > COLUMNS_MAX:
        return f"PostgreSQL's tables have at most {COLUMNS_MAX} columns"
    nulls = (len(made.columns) + 7) // 8
    most = _HEADER_BYTES + nulls + sum(map(_bytes_at_most, made.columns))
    if most <= ROW_BYTES_MAX:
        return ""
    size = _sum([_bytes_stored(column) for column in made.columns])
    present = _sum([f"({quote(c.source)} IS NOT NULL)" for c in made.columns])
    whole = f"{size} + {nulls} * ({present} < {len(made.columns)})"
    sql = f"SELECT max({whole}) FROM {quote(table.name)}"
    widest = _HEADER_BYTES + (rows_of(connection, sql)[0][0] or 0)
    if widest <= ROW_BYTES_MAX:
        return ""
    return (
        f"a row needs {widest} bytes in PostgreSQL's page, "
        f"which has place for {ROW_BYTES_MAX}"
    )


def _sum(terms: list[str]) -> str:
    # SQLite takes an expression of a thousand levels, and each plus is one.
    sums = [
        f"({' + '.join(terms[first : first + _COLUMNS_AT_ONCE])})"
        for first in range(0, len(terms), _COLUMNS_AT_ONCE)
    ]
    return f"({' + '.join(sums)})"


def _bytes_at_most(column: ColumnPlan) -> int:
    return _FIXED.get(column.type, _INLINE_BYTES_MAX + 1)


def _bytes_stored(column: ColumnPlan) -> str:
    name = quote(column.source)
    size = _FIXED.get(column.type)
    if size is not None:
        return f"{size} * ({name} IS NOT NULL)"
    length = f"ifnull(length(CAST({name} AS BLOB)), -1)"
    return f"iif({length} <= {_INLINE_BYTES_MAX}, 1 + {length}, {_POINTER_BYTES})"


__all__ = ["COLUMNS_MAX", "why_too_wide"]
