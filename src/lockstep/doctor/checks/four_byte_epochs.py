"""Moments in integers of 4 bytes."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted, some
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.moments.units import SECONDS

INTEGER_MAX = 2**31 - 1
_NAMES_ALONE = ("_at", "_ts", "timestamp", "epoch")
_WIDE = ("bigint", "int8", "unsigned big int", "long", "int64")


def examine(context: SqliteContext) -> Findings:
    """List the INTEGER columns that hold epochs; SQLite itself has room for them."""
    found: list[str] = []
    for table in context.tables:
        for column in context.moment_columns(table):
            if column.family != "integer":
                continue
            if column.declared.lower() in _WIDE:
                continue
            if context.moments(table, column.name).numeric_units:
                found.append(f"{table.name}.{column.name}")
    if found:
        yield CHECK.finding(
            "notice",
            context.name,
            f"{counted(len(found), 'column')} declared INTEGER "
            f"{'holds' if len(found) == 1 else 'hold'} moments as numbers: "
            f"{some(found)}",
            why="SQLite's INTEGER has 8 bytes; PostgreSQL's has 4, where milliseconds "
            "overflow at once and seconds in 2038.",
            mend="nothing on SQLite; declare them BIGINT (or timestamps) when moving",
            evidence={"columns": found},
        )


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Find integer columns that hold seconds."""
    for table in context.readable_tables:
        for column in context.moment_columns(table):
            if column.declared != "integer":
                continue
            values, seconds = context.row(
                "SELECT count({c}), count(*) FILTER (WHERE {c} BETWEEN "
                f"{SECONDS.low} AND {INTEGER_MAX})"
                " FROM (SELECT {c} FROM {t} LIMIT {n}) AS s",
                table,
                column.name,
            )
            named = column.name.lower().endswith(_NAMES_ALONE)
            if not (seconds if values else named):
                continue
            yield CHECK.finding(
                "warning",
                f"{table.name}.{column.name}",
                f"{counted(seconds, 'moment')} in seconds in an integer of 4 bytes"
                if values
                else "the name says moment, and the type is an integer of 4 bytes",
                mend="make it bigint, or better timestamptz; both rewrite the table",
                command=f"ALTER TABLE {table.quoted} ALTER COLUMN "
                f"{context.name(column.name)} TYPE bigint",
                evidence={"values": values, "seconds": seconds},
            )


CHECK = Check(
    name="four-byte-epochs",
    looks_for="Moments as numbers in integer columns of 4 bytes.",
    why="Seconds since 1970 overflow 4 bytes on 19 January 2038, and milliseconds do "
    "at once: the INSERT fails with 'integer out of range'.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
