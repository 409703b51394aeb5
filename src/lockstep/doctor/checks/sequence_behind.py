"""Sequences that will hand out numbers which are taken."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings, Repair
from lockstep.doctor.findings import Finding
from lockstep.doctor.postgresql.context import PostgresqlContext


def examine(context: PostgresqlContext) -> Findings:
    """Compare each sequence with the largest key of its column."""
    for table, column, _, last in context.sequence_columns():
        if not context.value("SELECT has_table_privilege(%s, 'SELECT')", (table,)):
            continue
        name = context.name(column)
        largest = context.value(f"SELECT max({name}) FROM {table}")
        if largest is None or (last or 0) >= largest:
            continue
        yield CHECK.finding(
            "problem",
            f"{table}.{column}",
            f"the sequence is at {last or 0:,}, the largest number is {largest:,}",
            mend="set the sequence behind the largest number",
            command=f"SELECT setval(pg_get_serial_sequence('{_literal(table)}', "
            f"'{_literal(column)}'), (SELECT max({name}) FROM {table}))",
            fixable=True,
            evidence={"last": last, "largest": largest},
        )


def _literal(text: str) -> str:
    return text.replace("'", "''")


def repair(finding: Finding) -> Repair:
    """Set the sequence."""
    return Repair(
        finding,
        f"set the sequence of {finding.subject} to the largest number in use",
        (finding.command,),
    )


CHECK = Check(
    name="sequence-behind",
    looks_for="Identity and serial columns whose sequence lies behind their rows.",
    why="It happens when rows were copied with their keys. The next INSERT is given a "
    "number that is taken and fails with a duplicate key, again and again.",
    postgresql=examine,
    repair=repair,
)
