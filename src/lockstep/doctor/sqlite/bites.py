"""Read a table bite by bite, so that no statement runs long.

Owns how the first ``rows_max`` rows are gone through: in ranges of the rowid where
there is one, in one limited statement where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lockstep.doctor.limits import OutOfTime
from lockstep.schema.names import quote_identifier as quoted

if TYPE_CHECKING:
    from lockstep.doctor.catalog import Table
    from lockstep.doctor.sqlite.questions import SqliteQuestions

BITE_ROWS = 20_000
ROWID = "_lockstep_rowid"


@dataclass(slots=True)
class Progress:
    """How far a reading came.

    Attributes:
        looked_at: Rows that were looked at.
        is_complete: Whether these were all.
    """

    looked_at: int = 0
    is_complete: bool = False

    def told(self) -> str:
        """Return what a finding adds when not all rows were looked at."""
        if self.is_complete:
            return ""
        return f" (the first {self.looked_at:,} rows looked at)"


def aggregates(
    database: SqliteQuestions,
    table: Table,
    expressions: list[str],
    progress: Progress,
    *,
    row: str = "*",
) -> Iterator[list[Any]]:
    """Yield the aggregate ``expressions`` of each bite of ``table``.

    Args:
        database: The open database.
        table: The table; its columns are named as they are.
        expressions: Aggregates over the rows of a bite.
        progress: Says afterwards how far it came.
        row: What of each row the aggregates see; computed once per row.
    """
    try:
        yield from _bites(database, table, expressions, progress, row)
    finally:
        if not progress.is_complete:
            database.partial[table.name] = None


def _bites(
    database: SqliteQuestions,
    table: Table,
    expressions: list[str],
    progress: Progress,
    row: str,
) -> Iterator[list[Any]]:
    rows_max = database.limits.rows_max
    if not table.has_rowid or hides_rowid(table):
        source = f"SELECT {row} FROM {quoted(table.name)} LIMIT {rows_max}"
        yield from _at_once(database, source, expressions, progress, rows_max)
        return
    select = ", ".join(["count(*)", f"max({ROWID})", *expressions])
    last: int | None = None
    while progress.looked_at < rows_max:
        bite = min(BITE_ROWS, rows_max - progress.looked_at)
        after = "" if last is None else f" WHERE rowid > {last}"
        sql = (
            f"SELECT {select} FROM (SELECT rowid AS {ROWID}, {row} FROM"
            f" {quoted(table.name)}{after} ORDER BY rowid LIMIT {bite})"
        )
        try:
            count, last, *values = database.rows(sql)[0]
        except OutOfTime:
            return
        progress.looked_at += count
        if count:
            yield values
        if count < bite:
            progress.is_complete = True
            return
        if database.deadline.is_over:
            return


def _at_once(
    database: SqliteQuestions,
    source: str,
    expressions: list[str],
    progress: Progress,
    rows_max: int,
) -> Iterator[list[Any]]:
    select = ", ".join(["count(*)", *expressions])
    try:
        count, *values = database.rows(f"SELECT {select} FROM ({source})")[0]
    except OutOfTime:
        return
    progress.looked_at = count
    progress.is_complete = count < rows_max
    if count:
        yield values


def hides_rowid(table: Table) -> bool:
    """Return whether a column of that name hides the row's number."""
    return table.column("rowid") is not None and table.primary_key != ("rowid",)
