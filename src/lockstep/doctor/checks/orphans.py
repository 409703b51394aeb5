"""Rows that point at rows that are not there."""

from __future__ import annotations

from collections import Counter

from lockstep.doctor.catalog import ForeignKey, Table
from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import EXAMPLES_MAX, Finding, counted
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.schema.names import quote_identifier as quoted


def examine(context: SqliteContext) -> Findings:
    """Let SQLite check every foreign key whose target can be looked up."""
    for table in context.tables:
        sound = {
            key.number: key for key in table.foreign_keys if _is_sound(context, key)
        }
        if not sound:
            continue
        if len(sound) == len(table.foreign_keys):
            yield from _by_pragma(context, table, sound)
        else:
            # The pragma refuses the whole table for one broken declaration.
            for key in sound.values():
                yield from _by_query(context, table, key)


def _is_sound(context: SqliteContext, key: ForeignKey) -> bool:
    parent = context.catalog.table(key.parent)
    return (
        parent is not None
        and bool(key.parent_columns)
        and all(parent.column(name) for name in key.parent_columns)
        and parent.is_unique(key.parent_columns)
        # Equal is then what a program says that is not here.
        and not context.opened.is_sorted_elsewhere(parent.sql)
    )


def _by_pragma(
    context: SqliteContext, table: Table, keys: dict[int, ForeignKey]
) -> Findings:
    counts: Counter[int] = Counter()
    examples: dict[int, list[int]] = {}
    with context.timed():
        cursor = context.connection.execute(
            f"PRAGMA foreign_key_check({quoted(table.name)})"
        )
        for _, rowid, _, number in cursor:
            counts[number] += 1
            if rowid is not None and counts[number] <= EXAMPLES_MAX:
                examples.setdefault(number, []).append(rowid)
    for number, count in sorted(counts.items()):
        yield _finding(table, keys[number], count, examples.get(number, []))


def _by_query(context: SqliteContext, table: Table, key: ForeignKey) -> Findings:
    condition = _orphan_condition(key)
    sql = f"SELECT count(*) FROM {quoted(table.name)} AS child WHERE {condition}"
    count = context.value(sql)
    if count:
        yield _finding(table, key, count, [])


def _orphan_condition(key: ForeignKey, parent: str = "") -> str:
    given = " AND ".join(f"child.{quoted(c)} IS NOT NULL" for c in key.columns)
    same = " AND ".join(
        f"parent.{quoted(other)} = child.{quoted(own)}"
        for own, other in zip(key.columns, key.parent_columns, strict=True)
    )
    return (
        f"{given} AND NOT EXISTS (SELECT 1 FROM {parent or quoted(key.parent)} AS "
        "parent"
        f" WHERE {same})"
    )


def _finding(
    table: Table,
    key: ForeignKey,
    count: int,
    rowids: list[int],
    parent: str = "",
) -> Finding:
    columns, others = ", ".join(key.columns), ", ".join(key.parent_columns)
    return CHECK.finding(
        "problem",
        f"{table.name}.{columns}"
        if len(key.columns) == 1
        else f"{table.name} ({columns})",
        f"{counted(count, 'row points', 'rows point')} at a row of {key.parent} "
        f"({others}) that is not there",
        mend="bring the missing rows back, set the columns to NULL, or delete the "
        "orphans; then see to it that every connection enforces foreign keys",
        command=f"SELECT * FROM {table.quoted} AS child"
        f" WHERE {_orphan_condition(key, parent)}",
        evidence={
            "rows": count,
            "columns": list(key.columns),
            "parent": key.parent,
            "rowids": rowids,
        },
    )


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Count the orphans of keys that were added NOT VALID; the others have none."""
    for table in context.readable_tables:
        for key in table.foreign_keys:
            parent = context.catalog.table(key.parent)
            if key.validated or parent not in context.readable_tables:
                continue
            condition = _orphan_condition(key, parent.quoted)
            count = context.value(
                f"SELECT count(*) FROM {table.quoted} AS child WHERE {condition}"
            )
            if count:
                yield _finding(table, key, count, [], parent.quoted)
            else:
                yield CHECK.finding(
                    "notice",
                    f"{table.name}: {key.name}",
                    "the foreign key is NOT VALID, and no row breaks it",
                    mend="let the server check it",
                    command=f"ALTER TABLE {table.quoted} VALIDATE CONSTRAINT "
                    f"{context.name(key.name)}",
                )


CHECK = Check(
    name="orphans",
    looks_for="Rows whose foreign key points at nothing, composite keys included.",
    why="A join drops such rows silently, the application meets a missing object, and "
    "another database refuses them when they are moved.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
