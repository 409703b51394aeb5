"""Money in binary fractions."""

from __future__ import annotations

from lockstep.doctor.catalog import Column, Table
from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted, some
from lockstep.doctor.names import (
    are_about_money,
    may_say_money,
    says_anything,
    says_money,
)
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.census import ColumnCensus
from lockstep.doctor.sqlite.context import SqliteContext

_MOST, _HALF, _FIFTH = 0.98, 0.5, 0.2
_MEND = (
    "store whole cents as INTEGER, or an exact decimal (lockstep's Money: NUMERIC on "
    "PostgreSQL, a scaled integer on SQLite); round once, while converting"
)


def examine(context: SqliteContext) -> Findings:
    """Find REAL columns whose name, or name and values, say money."""
    decimals: list[str] = []
    for table in context.tables:
        candidates = [
            column
            for column in table.columns
            if column.family in ("real", "decimal", "other")
            and (says_money(column.name) or may_say_money(column.name))
        ]
        if not candidates:
            continue
        census = context.census(table)
        for column in candidates:
            counts = census.columns.get(column.name, ColumnCensus())
            if not _looks_like_money(table, column, counts):
                continue
            subject = f"{table.name}.{column.name}"
            if column.family == "decimal":
                decimals.append(subject)
                continue
            # A path's cost or a price per byte has many decimals.
            has_cents = _share(counts) >= _HALF and _is_called_money(table, column)
            yield CHECK.finding(
                "warning" if has_cents else "notice",
                subject,
                f"{'money' if has_cents else 'what may be money'} is kept in a "
                f"{column.declared or 'typeless'} column "
                f"({counted(counts.values, 'value')}){census.told()}",
                mend=_MEND,
                evidence={"declared": column.declared, "values": counts.values},
            )
    if decimals:
        yield CHECK.finding(
            "notice",
            context.name,
            f"{counted(len(decimals), 'column')} declared DECIMAL or NUMERIC "
            f"{'holds' if len(decimals) == 1 else 'hold'} money, and SQLite stores "
            f"the fractions as REAL: {some(decimals)}",
            mend="to be exact on SQLite store whole cents, or text with a CHECK; on "
            "PostgreSQL NUMERIC is exact as it is",
            evidence={"columns": decimals},
        )


def _is_called_money(table: Table, column: Column) -> bool:
    if says_money(column.name):
        return True
    others = (other.name for other in table.columns if other is not column)
    return may_say_money(column.name) and are_about_money((table.plain_name, *others))


def _share(counts: ColumnCensus) -> float:
    """Return how many of the numbers have at most two decimals; 1.0 without any."""
    numbers = counts.integers + counts.reals
    return counts.cents / numbers if numbers else 1.0


def _looks_like_money(table: Table, column: Column, counts: ColumnCensus) -> bool:
    if column.family == "other" and not counts.reals:
        return False
    if says_money(column.name):
        return True
    # In no company of money, two decimals and uneven cents speak for an amount.
    uneven = counts.odd_cents >= _FIFTH * max(counts.reals, 1)
    uneven = uneven and not says_anything(column.name)
    return _share(counts) >= _MOST and (_is_called_money(table, column) or uneven)


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Find real and double precision columns whose name says money."""
    for table in context.tables:
        for column in table.columns:
            if column.family != "real" or not _is_called_money(table, column):
                continue
            four = column.declared == "real"
            yield CHECK.finding(
                "warning",
                f"{table.name}.{column.name}",
                f"money is kept in a {column.declared} column"
                + (" of 4 bytes: 16777217.01 becomes 16777218" if four else ""),
                mend=_MEND,
                command=f"ALTER TABLE {table.quoted} ALTER COLUMN "
                f"{context.name(column.name)} TYPE numeric(18, 2)",
                evidence={"declared": column.declared},
            )


CHECK = Check(
    name="real-money",
    looks_for="Prices, costs and balances in REAL, FLOAT or DOUBLE columns.",
    why="0.1 + 0.2 is not 0.3 in binary fractions: sums and comparisons are off by "
    "cents, and REAL has 4 bytes on PostgreSQL, where 89.99 becomes 89.98999786376953.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
