"""Indexes that another index does as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lockstep.doctor.catalog import Index, Table
from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.context import SqliteContext


def examine(context: SqliteContext) -> Findings:
    """List indexes that repeat the beginning of another one."""
    yield from _findings(context.tables, context.name)


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """List indexes that repeat the beginning of another one."""
    yield from _findings(context.tables, context.database_name)


def _findings(tables: Sequence[Table], subject: str) -> Findings:
    found = [(table, *pair) for table in tables for pair in _pairs(table)]
    pairs = [(first, other) for _, first, other in found]
    if pairs:
        shown = [f"{first.name} (as {other.name})" for first, other in pairs]
        yield CHECK.finding(
            "notice",
            subject,
            f"{counted(len(pairs), 'index does', 'indexes do')} nothing that another "
            f"does not do: {', '.join(shown[:5])}",
            mend="drop them, after a look at the queries that name them",
            command="; ".join(
                f"DROP INDEX {table.beside(first.name)}"
                for table, first, _ in found[:5]
            ),
            evidence={"indexes": [[first.name, other.name] for first, other in pairs]},
        )


def _pairs(table: Table) -> Iterator[tuple[Index, Index]]:
    plain = [
        index
        for index in table.indexes
        if not index.partial and None not in index.columns and not index.special
    ]
    for index in plain:
        if index.unique or not index.declared:
            continue
        for other in plain:
            begins = other.columns[: len(index.columns)] == index.columns
            twins = other.columns == index.columns and not other.unique
            if (
                other is not index
                and begins
                and not (twins and other.name > index.name)
            ):
                yield index, other
                break


CHECK = Check(
    name="redundant-indexes",
    looks_for="Indexes whose columns another index begins with.",
    why="Every INSERT and UPDATE keeps them up, and no query needs them.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
