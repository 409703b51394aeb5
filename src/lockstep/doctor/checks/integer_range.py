"""Integers that are, or soon will be, too large for their column."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted, some
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.context import SqliteContext

INTEGER_MAX = 2**31 - 1
ROWID_NEAR_END = 2**63 - 1_000_000
_SIZES = {"smallint": 2**15 - 1, "integer": INTEGER_MAX, "bigint": 2**63 - 1}
_WIDE = ("bigint", "int8", "unsigned big int", "long", "int64")


def examine(context: SqliteContext) -> Findings:
    """Find integers that need 8 bytes, and rowids near their end."""
    large: list[str] = []
    for table in context.tables:
        census = context.census(table)
        moments = context.moment_columns(table)
        for column in table.columns:
            counts = census.columns.get(column.name)
            if counts is None or counts.largest is None or counts.smallest is None:
                continue
            if table.primary_key == (column.name,) and counts.largest > ROWID_NEAR_END:
                yield CHECK.finding(
                    "problem",
                    f"{table.name}.{column.name}",
                    "the largest key is next to the largest number there is",
                    why="SQLite then tries keys at random, and an AUTOINCREMENT table "
                    "refuses every INSERT with 'database or disk is full'.",
                    mend="find the row with the huge key and give it another one",
                    evidence={"largest": counts.largest},
                )
            is_wide = column.declared.lower() in _WIDE
            if column.family != "integer" or is_wide or column in moments:
                continue
            if counts.largest > INTEGER_MAX or counts.smallest < -INTEGER_MAX - 1:
                large.append(f"{table.name}.{column.name}")
    if large:
        yield CHECK.finding(
            "notice",
            context.name,
            f"{counted(len(large), 'INTEGER column holds', 'INTEGER columns hold')} "
            f"numbers above 2,147,483,647: {some(large)}",
            mend="nothing on SQLite, whose INTEGER has 8 bytes; declare them BIGINT "
            "when moving",
            evidence={"columns": large},
        )


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Find key columns whose sequence comes near the largest value of their type."""
    for table, column, declared, last in context.sequence_columns():
        largest = _SIZES.get(declared)
        if largest is None or last is None or last < largest * 0.7:
            continue
        share = 100 * last / largest
        yield CHECK.finding(
            "problem" if share >= 90 else "warning",
            f"{table}.{column}",
            f"{share:.0f} % of the numbers of {declared} are used up (at {last:,})",
            mend="make the column bigint while there is time; foreign keys to it too",
            command=f"ALTER TABLE {table} ALTER COLUMN {context.name(column)} TYPE "
            "bigint",
            evidence={"last": last, "largest": largest},
        )


CHECK = Check(
    name="integer-range",
    looks_for="Keys near the end of their type, and numbers that need 8 bytes.",
    why="When a sequence has used up its column's type, every INSERT fails.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
