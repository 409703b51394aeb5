"""A write-ahead log that only grows."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.processes import holders_of
from lockstep.doctor.sqlite.context import SqliteContext

LARGE_BYTES = 64 * 1024 * 1024


def examine(context: SqliteContext) -> Findings:
    """Compare the -wal file with the database."""
    wal = context.opened.beside.wal_bytes or 0
    size = context.path.stat().st_size
    if wal < LARGE_BYTES or wal < size / 4:
        return
    holders = [f"{h.program} ({h.pid})" for h in holders_of(context.path)]
    yield CHECK.finding(
        "warning",
        context.name,
        f"the -wal file has {wal // 1024**2:,} MiB, the database {size // 1024**2:,} "
        "MiB" + (f"; open in {', '.join(holders[:5])}" if holders else ""),
        mend="find the connection that keeps a read transaction open (an unfinished "
        "cursor, a forgotten commit), end it, then checkpoint; set a "
        "journal_size_limit",
        command="PRAGMA wal_checkpoint(TRUNCATE)",
        evidence={"wal_bytes": wal, "size_bytes": size},
    )


CHECK = Check(
    name="wal-size",
    looks_for="A -wal file that is large beside its database.",
    why="A checkpoint cannot pass the oldest reader: while one read transaction stays "
    "open the file grows without end, and every read gets slower.",
    sqlite=examine,
    needs_file=True,
)
