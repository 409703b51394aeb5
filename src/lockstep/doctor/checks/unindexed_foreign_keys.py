"""Foreign keys without an index on the side that points."""

from __future__ import annotations

from lockstep.doctor.catalog import ForeignKey, Table
from lockstep.doctor.check import Check, Findings, Repair
from lockstep.doctor.findings import Finding, counted
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.schema import constraint_name
from lockstep.schema.names import quote_identifier as quoted

ROWS_THAT_HURT = 1_000
"""Below this many rows reading the whole table costs next to nothing."""

ROWS_TO_INDEX_AT_ONCE = 100_000


def examine(context: SqliteContext) -> Findings:
    """Find foreign keys whose rows can only be found by reading the table."""
    for table in context.tables:
        for key in table.foreign_keys:
            if table.leading(key.columns) is None:
                rows = context.row_count(table)
                more = rows >= context.limits.rows_max
                yield _finding(table, key, rows, or_more=more)


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Find foreign keys whose rows can only be found by reading the table."""
    for table in context.tables:
        for key in table.foreign_keys:
            if table.leading(key.columns) is None:
                rows = table.rows_estimate
                if rows is None and table in context.readable_tables:  # never analysed
                    rows = context.row(
                        "SELECT count(*) FROM (SELECT FROM {t} LIMIT 100001) AS s",
                        table,
                    )[0]
                yield _finding(table, key, rows or 0, live_server=True)


def _finding(
    table: Table,
    key: ForeignKey,
    rows: int,
    *,
    live_server: bool = False,
    or_more: bool = False,
) -> Finding:
    columns = ", ".join(key.columns)
    acts = key.on_delete in ("CASCADE", "SET NULL", "SET DEFAULT")
    # Building an index locks a server's writers out; that is not done unasked.
    too_large = live_server and rows > ROWS_TO_INDEX_AT_ONCE
    name = constraint_name("ix", table.plain_name, *key.columns)
    if any(index.name == name for index in table.indexes):  # a partial one
        name = constraint_name("ix", table.plain_name, *key.columns, "all")
    return CHECK.finding(
        "warning" if rows >= ROWS_THAT_HURT else "notice",
        f"{table.name}.{columns}"
        if len(key.columns) == 1
        else f"{table.name} ({columns})",
        f"no index finds the rows that point at one of {key.parent}; the table has "
        f"{counted(rows, 'row')}"
        + " or more" * or_more
        + (f", ON DELETE {key.on_delete}" if acts else ""),
        mend="make an index on the column",
        command=f"CREATE INDEX {'CONCURRENTLY ' * too_large}{quoted(name)} "
        f"ON {table.quoted} ({', '.join(map(quoted, key.columns))})",
        fixable=not too_large,
        evidence={
            "columns": list(key.columns),
            "parent": key.parent,
            "rows": rows,
            "on_delete": key.on_delete,
        },
    )


def repair(finding: Finding) -> Repair:
    """Create the index that the finding names."""
    return Repair(
        finding,
        f"create an index for {finding.subject}; writers wait while it is built",
        (finding.command,),
    )


CHECK = Check(
    name="unindexed-foreign-keys",
    looks_for="Foreign keys without an index on the pointing columns.",
    why="Every DELETE or key change of a parent row, and every join from it, reads the "
    "whole child table, while the write lock is held.",
    sqlite=examine,
    postgresql=examine_postgresql,
    repair=repair,
)
