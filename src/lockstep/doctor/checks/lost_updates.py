"""Rows that are read, changed in the program and written back (traced)."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted
from lockstep.doctor.trace.context import TraceContext


def examine(context: TraceContext) -> Findings:
    """Find rows that were read outside of the transaction that wrote them."""
    for event in context.events("unprotected-read-modify-write"):
        table, update = event["shapes"]
        yield CHECK.finding(
            "warning",
            event["place"] or table,
            f"{counted(event['count'], 'row')} of {table} were read outside of a "
            f"transaction and written back: {update}",
            mend="let the database compute (SET n = n - ? WHERE n >= ?), check a "
            "version column in the WHERE, or read and write inside one BEGIN IMMEDIATE",
            evidence={
                "database": event["database"],
                "count": event["count"],
                "wrote": update,
            },
        )


CHECK = Check(
    name="lost-updates",
    looks_for="Rows that a running program reads outside of a transaction, then "
    "updates by the same key with values of its own.",
    why="What another connection wrote between the two is overwritten without an "
    "error: with a hundred writers 98 of 100 increments are gone.",
    trace=examine,
)
