"""Foreign keys that cannot be enforced as they are declared."""

from __future__ import annotations

from lockstep.doctor.catalog import ForeignKey
from lockstep.doctor.check import Check, Findings
from lockstep.doctor.sqlite.context import SqliteContext


def examine(context: SqliteContext) -> Findings:
    """Find keys to tables or columns that are not there, or are not unique."""
    for table in context.tables:
        for key in table.foreign_keys:
            what = _fault(context, key)
            if what is None:
                continue
            columns = ", ".join(key.columns)
            yield CHECK.finding(
                "problem",
                f"{table.name}.{columns}",
                f"the foreign key points at {what}",
                mend="correct the declaration (rebuild the table), or make the "
                "parent's columns a primary key or UNIQUE",
                evidence={
                    "columns": list(key.columns),
                    "parent": key.parent,
                    "parent_columns": list(key.parent_columns),
                },
            )


def _fault(context: SqliteContext, key: ForeignKey) -> str | None:
    parent = context.catalog.table(key.parent)
    if parent is None:
        return f"{key.parent}, and there is no such table"
    missing = [name for name in key.parent_columns if parent.column(name) is None]
    if missing:
        return f"{key.parent}.{missing[0]}, and there is no such column"
    if len(key.parent_columns) != len(key.columns):
        return (
            f"the primary key of {key.parent}, which has "
            f"{len(key.parent_columns)} columns and not {len(key.columns)}"
        )
    if not parent.is_unique(key.parent_columns):
        others = ", ".join(key.parent_columns)
        return f"{key.parent} ({others}), which is neither a key nor UNIQUE"
    return None


CHECK = Check(
    name="broken-foreign-keys",
    looks_for="Foreign keys to a table or column that does not exist or is not unique.",
    why="While foreign keys are off nobody notices; on the first connection that "
    "switches them on, every write to these tables fails with 'foreign key mismatch' "
    "or 'no such table'.",
    sqlite=examine,
)
