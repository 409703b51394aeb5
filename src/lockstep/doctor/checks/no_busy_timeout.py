"""Connections that do not wait for a lock (traced)."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted
from lockstep.doctor.trace.context import TraceContext


def examine(context: TraceContext) -> Findings:
    """Find connections that wrote with a busy timeout of 0."""
    for event in context.events("no-busy-timeout"):
        yield CHECK.finding(
            "warning",
            event["place"] or event["database"],
            f"{counted(event['count'], 'connection')} wrote with a busy timeout of 0",
            mend="leave sqlite3.connect's timeout at 5 seconds or more",
            command="PRAGMA busy_timeout = 5000",
            evidence={"database": event["database"], "count": event["count"]},
        )


CHECK = Check(
    name="no-busy-timeout",
    looks_for="Connections of a running program that write with a busy timeout of 0.",
    why="Any other writer, for a millisecond, makes the statement fail with 'database "
    "is locked' instead of waiting for it.",
    trace=examine,
)
