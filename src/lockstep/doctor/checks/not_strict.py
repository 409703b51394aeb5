"""Tables that take any value into any column."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted, some
from lockstep.doctor.sqlite.context import SqliteContext


def examine(context: SqliteContext) -> Findings:
    """List the tables that are not STRICT."""
    loose = [
        table.name
        for table in context.tables
        if not table.strict and table.name != "alembic_version"
    ]
    if loose:
        yield CHECK.finding(
            "notice",
            context.name,
            f"{counted(len(loose), 'table is', 'tables are')} not STRICT: "
            f"{some(loose)}",
            mend="declare new tables STRICT (SQLite 3.37 and newer); an existing one "
            "is rebuilt, after its values are clean (check 'dirty-types'). STRICT "
            "still turns the text '42' into the number 42",
            evidence={"tables": loose},
        )


CHECK = Check(
    name="not-strict",
    looks_for="Tables without STRICT.",
    why="Without it a column's type is a wish: the database stores 'twelve' in an "
    "INTEGER column and says nothing.",
    sqlite=examine,
)
