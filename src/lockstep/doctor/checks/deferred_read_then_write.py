"""Transactions that read first and then want to write (traced)."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted
from lockstep.doctor.trace.context import TraceContext


def examine(context: TraceContext) -> Findings:
    """Find deferred transactions that upgraded a read to a write."""
    for event in context.events("deferred-read-then-write"):
        first, second = event["shapes"]
        yield CHECK.finding(
            "warning",
            event["place"] or event["database"],
            f"{counted(event['count'], 'transaction')} began deferred, read ({first}), "
            f"then wrote ({second})",
            mend="begin the transactions that may write with BEGIN IMMEDIATE; "
            "lockstep's write sessions do",
            command="BEGIN IMMEDIATE",
            evidence={
                "database": event["database"],
                "count": event["count"],
                "read": first,
                "wrote": second,
            },
        )


CHECK = Check(
    name="deferred-read-then-write",
    looks_for="Transactions of a running program that begin deferred, read, then "
    "write.",
    why="When another connection has written meanwhile, SQLite refuses the upgrade at "
    "once with 'database is locked', and no busy timeout helps: with ten writers nine "
    "of ten fail.",
    trace=examine,
)
