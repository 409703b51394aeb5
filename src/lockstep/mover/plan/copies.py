"""The plan for a copy that keeps its dialect: a file to a libSQL server and back.

Owns what "word for word" means. Tables, indexes, triggers and views are made by
their own statements, in their own order; cells keep their class; a rowid that a
query can see keeps its number.

Invariant: whatever is in the source is in the plan's tables and statements or in
its losses, and a row that the target would refuse is named before the first byte.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Literal

from lockstep.errors import Unmappable
from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.asking import rows_of
from lockstep.mover.model.plan import ColumnPlan, Loss, Plan, Statement, TablePlan
from lockstep.mover.model.profile import TableProfile
from lockstep.mover.model.sqlite import Schema, Table, owns_nothing
from lockstep.mover.own_tables import OUR_PREFIX, journal_prefix
from lockstep.mover.plan.from_sqlite import KEPT_PRAGMAS
from lockstep.mover.translate.scratch import collations_in

CopyTarget = Literal["sqlite", "libsql"]

ROW_BYTES_COUNTED = 1_000_000
"""Rows that cannot be longer are not counted exactly."""

_SERVER_PRAGMAS = ("user_version",)
_SERVER_LACKS = {
    "encoding": ("UTF-8", "a server stores UTF-8; the texts stay the same"),
    "application_id": ("0", "a server does not let it be set"),
    "auto_vacuum": ("0", "a server gives space back in its own way"),
}
_SORTED_CLASSES = ({"integer"}, {"text"})
"""Of which the last sorts alike where both sides hold UTF-8."""


def plan_copy(
    connection: Any,
    schema: Schema,
    profiles: Mapping[str, TableProfile],
    *,
    to: CopyTarget,
) -> Plan:
    """Make the plan of a whole database.

    Args:
        connection: To the source; asked for what contradicts its own constraints.
        schema: What the source says about itself.
        profiles: What lies in each table that can be read.
        to: What the target is.

    Raises:
        Unmappable: A row contradicts its own table's constraints, and the target
            would refuse it.
    """
    plan = Plan("sqlite", "sqlite", [], is_copy=True)
    for table in schema.tables:
        if table.kind == "shadow" or (
            table.kind == "virtual" and (owns_nothing(table) or table.is_contentless)
        ):
            continue
        if table.name not in profiles:
            why = table.problem or "its rows cannot be read"
            plan.losses.append(Loss("table", table.name, why, is_data=True))
            continue
        _refuse_contradictions(connection, table, profiles[table.name], to)
        made = _table(table, profiles[table.name], is_utf8=schema.encoding == "UTF-8")
        if to == "libsql" and made.row_bytes_max > ROW_BYTES_COUNTED:
            made.row_bytes_max, made.widest_cell = _widest(connection, table)
        plan.tables.append(made)
    _pragmas(plan, connection, to)
    _objects(plan, schema)
    _say_what_stays(plan, connection)
    if to == "libsql":
        _say_what_servers_lack(plan, schema)
    return plan


def _table(table: Table, profile: TableProfile, *, is_utf8: bool) -> TablePlan:
    made = TablePlan(table.name, table.name, [], create=table.sql, rows=profile.rows)
    made.sequence = table.sequence
    made.counts_exactly = table.autoincrement
    made.primary_key = table.key
    made.row_bytes_max = sum(column.text_bytes_max for column in profile.columns)
    if _has_visible_rowid(table):
        assert table.rowid_name is not None, "a rowid that is seen has a name"
        made.columns.append(
            ColumnPlan(table.rowid_name, table.rowid_name, "", "stored")
        )
        if table.kind == "table":
            made.order_key = [table.rowid_name]
    for column in table.columns:
        is_raw = profile.column(column.name).invalid_text > 0
        codec = "stored:raw" if is_raw else "stored"
        planned = ColumnPlan(column.name, column.name, column.declared, codec)
        planned.generated = column.generated
        made.columns.append(planned)
    if table.rowid_alias is not None:
        made.order_key = [table.rowid_alias]
    elif table.without_rowid and all(
        profile.column(name).classes in _SORTED_CLASSES[: 2 if is_utf8 else 1]
        and not profile.column(name).invalid_text
        for name in table.key
    ):
        made.order_key = table.key
    return made


def _widest(connection: Any, table: Table) -> tuple[int, str]:
    """Return the bytes of the longest row, and which cell of it is the longest."""
    names = [column.name for column in table.columns]
    sizes = [f"coalesce(length(CAST({quote(name)} AS BLOB)), 0)" for name in names]
    rowid = table.rowid_alias or table.rowid_name
    key = [rowid] if rowid is not None else table.key
    wanted = ", ".join([*sizes, *map(quote, key)])
    sql = (
        f"SELECT {' + '.join(sizes)}, {wanted} FROM {quote(table.name)}"
        " ORDER BY 1 DESC LIMIT 1"
    )
    total, *found = rows_of(connection, sql)[0]
    cells, values = found[: len(names)], found[len(names) :]
    widest = max(range(len(names)), key=cells.__getitem__)
    told = zip(key, values, strict=True)
    where = ", ".join(f"{name} = {value!r}" for name, value in told)
    return int(total), f"{names[widest]} where {where} ({cells[widest]:,} bytes)"


def _has_visible_rowid(table: Table) -> bool:
    if table.kind == "virtual":
        return table.module.startswith("fts")
    return table.rowid_name is not None and table.rowid_alias is None


def _refuse_contradictions(
    connection: Any, table: Table, profile: TableProfile, to: CopyTarget
) -> None:
    """Refuse rows that only an older schema, or a pragma, let in."""
    for column in table.columns:
        if column.not_null and profile.column(column.name).counts["null"]:
            raise Unmappable(
                f"{table.name}.{column.name} is NOT NULL and holds NULL: no other "
                "database takes such a row",
                hint="mend the row in the source, or change the column there",
                detail={"table": table.name, "column": column.name},
            )
    if to == "sqlite":
        return  # a file can be told to ignore its checks for a while
    for _, expression in table.checks:
        sql = f"SELECT count(*) FROM {quote(table.name)} WHERE NOT ({expression})"
        try:
            ((count,),) = rows_of(connection, sql)
        except sqlite3.DatabaseError:
            continue  # a function that only the application has; the server judges
        if count:
            raise Unmappable(
                f"{count} rows of {table.name} contradict CHECK ({expression}), and "
                "a libSQL server cannot be told to ignore it",
                hint="mend the rows in the source, or change the constraint there",
                detail={"table": table.name},
            )


def _pragmas(plan: Plan, connection: Any, to: CopyTarget) -> None:
    for name in KEPT_PRAGMAS:
        value = str(rows_of(connection, f"PRAGMA {name}")[0][0])
        if to == "sqlite" or name in _SERVER_PRAGMAS:
            plan.pragmas[name] = value
        elif value != _SERVER_LACKS[name][0]:
            plan.losses.append(
                Loss("pragma", f"{name} {value}", _SERVER_LACKS[name][1])
            )


def _objects(plan: Plan, schema: Schema) -> None:
    """Plan indexes, views, triggers and full-text indexes, in their own order."""
    made = {table.source for table in plan.tables}
    lost = {loss.name for loss in plan.losses if loss.kind == "table"}
    unparsable = {s.name: s.problem for s in schema.statements if s.problem}
    unparsable |= schema.unparsable_indexes
    found: list[Statement] = []
    for kind, name, sql in schema.objects:
        if kind != "table" and name in unparsable:
            plan.losses.append(Loss(kind, name, unparsable[name]))
            continue
        table = schema.table(name) if kind == "table" else None
        if kind == "table" and (name in made or name in lost or table is None):
            continue
        if table is None:
            found.append(Statement("index" if kind == "index" else "view", name, sql))
        elif table.kind == "virtual":
            found += _index_of_others(plan, table)
    if plan.tables:
        plan.tables[-1].statements += found
    else:
        plan.before += [statement.sql for statement in found]


def _index_of_others(plan: Plan, table: Table) -> list[Statement]:
    if table.is_contentless:
        why = table.problem
        plan.losses.append(Loss("virtual table", table.name, why, is_data=True))
        return []
    name = quote(table.name)
    rebuild = f"INSERT INTO {name}({name}) VALUES ('rebuild')"
    plan.notices.append(f"the full-text index {table.name} is built again")
    return [
        Statement("view", table.name, table.sql),
        Statement("view", f"{table.name} rebuilt", rebuild),
    ]


def _say_what_stays(plan: Plan, connection: Any) -> None:
    names = {
        row[0]
        for row in rows_of(
            connection, "SELECT name FROM sqlite_master WHERE type = 'table'"
        )
    }
    if journal_prefix(connection):
        why = "the journal of an earlier move says nothing about a copy"
        plan.losses.append(Loss("table", f"{OUR_PREFIX}…", why))
    if any(name.startswith("sqlite_stat") for name in names):
        plan.notices.append("the statistics of ANALYZE are not carried; run it again")


def _say_what_servers_lack(plan: Plan, schema: Schema) -> None:
    for table in schema.tables:
        missing = collations_in([table.sql])
        if missing and table.name in {made.source for made in plan.tables}:
            raise Unmappable(
                f"{table.name} uses the collation {', '.join(missing)}, which only "
                "the application has; a libSQL server cannot make such a table",
                hint="give the column a collation of SQLite's own in the source",
                detail={"table": table.name},
            )


__all__ = ["CopyTarget", "plan_copy"]
