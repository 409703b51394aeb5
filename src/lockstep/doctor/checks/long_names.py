"""Names that PostgreSQL would cut."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted, some
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.schema import IDENTIFIER_BYTES_MAX


def examine(context: SqliteContext) -> Findings:
    """List tables, columns and indexes with names above 63 bytes."""
    names = [name for (name,) in context.rows("SELECT name FROM sqlite_master")]
    names += [column.name for table in context.tables for column in table.columns]
    long = sorted({name for name in names if len(name.encode()) > IDENTIFIER_BYTES_MAX})
    if not long:
        return
    cut = [name.encode()[:IDENTIFIER_BYTES_MAX] for name in long]
    alike = len(cut) - len(set(cut))
    yield CHECK.finding(
        "warning" if alike else "notice",
        context.name,
        f"{counted(len(long), 'name is', 'names are')} longer than "
        f"{IDENTIFIER_BYTES_MAX} bytes"
        + (f", {alike} of them alike in the first 63" if alike else "")
        + f": {some(long)}",
        mend="shorten them before a move; lockstep's naming convention does it for "
        "constraints and indexes",
        evidence={"names": long, "alike": alike},
    )


CHECK = Check(
    name="long-names",
    looks_for="Names of more than 63 bytes.",
    why="PostgreSQL cuts a longer name with a NOTICE that nobody reads; two names that "
    "differ later become one, and the second statement fails or replaces the first.",
    sqlite=examine,
)
