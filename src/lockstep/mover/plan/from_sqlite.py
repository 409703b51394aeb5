"""The plan for a SQLite file that moves to PostgreSQL.

Owns the decisions about tables, keys and names; ``types.py`` decides about
columns, ``constraints.py`` about what is built behind the rows.

Invariant: whatever is in the file is either in the plan's tables and statements
or in its losses.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from lockstep.migrations.sqlite.tokens import fold, quote
from lockstep.mover.asking import rows_of
from lockstep.mover.model.plan import (
    ORDERED_CODECS,
    ColumnPlan,
    Instead,
    Loss,
    Plan,
    Statement,
    TablePlan,
)
from lockstep.mover.model.profile import ColumnProfile, TableProfile
from lockstep.mover.model.sqlite import Column, ForeignKey, Schema, Table, owns_nothing
from lockstep.mover.model.values import Damaged
from lockstep.mover.plan.constraints import Constraints, meanings
from lockstep.mover.plan.frameworks import NOTHING_KNOWN, Moments
from lockstep.mover.plan.keys import KeyValues
from lockstep.mover.plan.names import CATALOG, Names, column_names
from lockstep.mover.plan.types import but_for_few, choose
from lockstep.mover.plan.width import why_too_wide
from lockstep.mover.translate.comments import comments_of
from lockstep.mover.translate.defaults import translate_default
from lockstep.mover.translate.tree import Untranslatable
from lockstep.mover.translate.views import Relation, translate_view
from lockstep.wording import counted

KEPT_PRAGMAS = ("encoding", "user_version", "application_id", "auto_vacuum")

_TRIGGERED = "PostgreSQL's triggers call a function, which somebody has to write"


def plan_tables(
    connection: Any,
    schema: Schema,
    profiles: Mapping[str, TableProfile],
    moments: Moments = NOTHING_KNOWN,
) -> Plan:
    """Plan names and types of all tables and columns.

    Args:
        connection: To the source; asked for its pragmas and the widest rows.
        schema: What the file says about itself.
        profiles: What lies in each table that can be read.
        moments: What its moments mean.
    """
    plan = Plan("sqlite", "postgresql", [])
    plan.way_back = [list(item) for item in schema.objects]
    for name in KEPT_PRAGMAS:
        plan.pragmas[name] = str(rows_of(connection, f"PRAGMA {name}")[0][0])
    relations = Names(CATALOG)
    for table in schema.tables:
        if not _is_carried(plan, schema, table, profiles):
            continue
        table_plan = _table(plan, table, profiles[table.name], relations, moments)
        too_wide = why_too_wide(connection, table, table_plan)
        if too_wide:
            plan.losses.append(Loss("table", table.name, too_wide, is_data=True))
            continue
        table_plan.order_key = _order_key(table, table_plan, schema.encoding)
        if table.autoincrement:
            table_plan.greatest_key = _greatest_key(connection, table)
        plan.tables.append(table_plan)
    return plan


def add_statements(
    connection: Any,
    plan: Plan,
    schema: Schema,
    profiles: Mapping[str, TableProfile],
) -> None:
    """Plan what hangs on names and types: keys, indexes, references, views.

    Args:
        connection: To the source; asked for orphans and for equal keys.
        plan: Its tables and columns are named and typed.
        schema: What the file says about itself.
        profiles: What lies in each table that can be read.
    """
    relations = Names(CATALOG)
    carried = {made.source: made for made in plan.carried()}
    chosen = [(t, carried[t.name]) for t in schema.tables if t.name in carried]
    for table_plan in plan.tables:
        relations.reserve(table_plan.target)
    for table_plan in plan.tables:
        for column in table_plan.columns:
            if column.identity:
                relations.reserve(f"{table_plan.target}_{column.target}_seq")
    values = KeyValues(connection)
    constraints = Constraints(plan, schema, dict(profiles), relations, values)
    for table, table_plan in chosen:
        constraints.add_keys(table, table_plan)
    for table, table_plan in chosen:
        orphans = _orphans(connection, table, schema)
        constraints.add_foreign_keys(table, table_plan, orphans)
    plan.views.clear()
    reasons = _views(plan, connection, chosen, schema, relations)
    _say_what_stays(plan, schema, reasons)


def _is_carried(
    plan: Plan, schema: Schema, table: Table, profiles: Mapping[str, TableProfile]
) -> bool:
    if table.kind == "table":
        if table.name not in profiles:
            reason = table.problem or "its rows cannot be read"
            plan.losses.append(Loss("table", table.name, reason, is_data=True))
            return False
        return True
    if table.kind == "virtual":
        return _is_virtual_carried(plan, table, profiles)
    owner = _owner_of(schema, table)
    if owner is None or owner.name in profiles or owns_nothing(owner):
        why = f"internal storage of the virtual table {owner.name if owner else '?'}"
        plan.losses.append(Loss("shadow table", table.name, why))
        return False
    plan.notices.append(
        f"{table.name} is carried as it is: the virtual table {owner.name} "
        f"({owner.module}) cannot be read here"
    )
    return table.name in profiles


def _is_virtual_carried(
    plan: Plan, table: Table, profiles: Mapping[str, TableProfile]
) -> bool:
    if owns_nothing(table):
        why = "it shows or indexes what another table holds, and holds no rows itself"
        plan.losses.append(Loss("virtual table", table.name, why))
        return False
    if table.is_contentless:
        why = (
            f"{table.problem}; the tables it consists of are carried, for the way back"
        )
        plan.losses.append(Loss("virtual table", table.name, why))
        return False
    if table.name not in profiles:
        why = (
            f"module {table.module} cannot be read here ({table.problem or 'no rows'})"
        )
        plan.losses.append(Loss("virtual table", table.name, why))
        return False
    plan.notices.append(
        f"the virtual table {table.name} ({table.module}) becomes an ordinary table"
    )
    return True


def _greatest_key(connection: Any, table: Table) -> int:
    rowid = quote(table.rowid_name or "rowid")
    ((greatest,),) = rows_of(
        connection, f"SELECT coalesce(max({rowid}), 0) FROM {quote(table.name)}"
    )
    return greatest


def _owner_of(schema: Schema, shadow: Table) -> Table | None:
    owners = [
        table
        for table in schema.tables
        if table.kind == "virtual" and shadow.name.startswith(f"{table.name}_")
    ]
    return max(owners, key=lambda table: len(table.name), default=None)


def _table(
    plan: Plan, table: Table, profile: TableProfile, relations: Names, moments: Moments
) -> TablePlan:
    names = column_names([column.name for column in table.columns])
    target = relations.give(table.name)
    if target != table.name:
        plan.notices.append(f"{table.name!r} becomes {target!r}")
    made = TablePlan(table.name, target, [], rows=profile.rows)
    made.sequence = table.sequence
    for column, name in zip(table.columns, names, strict=True):
        made.columns.append(_column(plan, table, column, name, profile, moments))
    for name, problem in table.uncomputable.items():
        why = f"SQLite cannot compute it here ({problem}), and stores no value of it"
        plan.losses.append(Loss("generated column", f"{table.name}.{name}", why))
    written = comments_of(table.sql)
    made.comment = written.table
    for column in made.columns:
        column.comment = written.columns.get(fold(column.source), "")
    return made


def _column(
    plan: Plan,
    table: Table,
    column: Column,
    name: str,
    profile: TableProfile,
    moments: Moments,
) -> ColumnPlan:
    stored = profile.column(column.name)
    where = f"{table.name}.{column.name}"
    chosen = moments.meant_by(column, stored, choose(column, stored))
    made = ColumnPlan(column.name, name, chosen.type, chosen.codec, note=chosen.note)
    if name != column.name:
        plan.notices.append(f"{where} becomes {name!r}")
    has_null = bool(stored.counts["null"])
    in_key = bool(column.key_position) and (table.without_rowid or table.strict)
    is_alias = column.name == table.rowid_alias
    made.not_null = (column.not_null or in_key or is_alias) and not has_null
    if column.not_null and has_null:
        why = f"{stored.counts['null']} rows hold NULL"
        plan.losses.append(Loss("not null", where, why))
    made.identity = is_alias and made.codec == "integer"
    made.generated = column.generated
    if column.default is not None and not column.generated and not made.identity:
        _default(plan, where, column, made)
    if column.collation == "RTRIM":
        why = "PostgreSQL compares the blanks at the end of a text"
        plan.losses.append(Loss("collation", where, why))
    made.instead = _instead(table, column, stored, made, moments)
    return made


def _instead(
    table: Table,
    column: Column,
    stored: ColumnProfile,
    made: ColumnPlan,
    moments: Moments,
) -> Instead | None:
    """Return the type that a column could have but for a few odd values."""
    rest, rows = but_for_few(column, stored)
    if not rows or made.generated or column.name in table.key:
        return None
    chosen = moments.meant_by(column, rest, choose(column, rest))
    other = replace(made, type=chosen.type, codec=chosen.codec, default=None)
    if column.default is not None and made.default is not None:
        with suppress(Untranslatable):
            other.default = translate_default(column.default, column.declared, other)
    made.note += f"; {chosen.type} but for {counted(rows, 'row')}"
    return Instead(other.type, other.codec, other.default, rows)


def _default(plan: Plan, where: str, column: Column, made: ColumnPlan) -> None:
    assert column.default is not None, "asked only for a column with a default"
    if isinstance(column.default, Damaged):
        plan.losses.append(Loss("default", where, "its text is no UTF-8"))
        return
    try:
        made.default = translate_default(column.default, column.declared, made)
    except Untranslatable as reason:
        why = f"DEFAULT {column.default}: {reason}"
        plan.losses.append(Loss("default", where, why))


def _order_key(table: Table, made: TablePlan, encoding: str) -> list[str]:
    """Return the source columns by which both engines sort the rows alike.

    A file in UTF-16 sorts texts by its bytes, which is another order.
    """
    if table.kind == "virtual" or (table.without_rowid and _has_odd_order(table)):
        return []
    if table.rowid_alias is not None:
        column = made.column(table.rowid_alias)
        return [column.source] if column.codec == "integer" else []
    key = [made.column(name) for name in table.key]
    if not key or not all(c.not_null and _is_ordered(c) for c in key):
        return []
    if encoding != "UTF-8" and any(column.codec == "text" for column in key):
        return []
    return [column.source for column in key]


def _is_ordered(column: ColumnPlan) -> bool:
    return column.codec in ORDERED_CODECS and column.type in (
        *("bigint", "text", "bytea"),
    )


def _has_odd_order(table: Table) -> bool:
    return any(c.collation not in ("BINARY", "NOCASE", "RTRIM") for c in table.columns)


def _orphans(connection: Any, table: Table, schema: Schema) -> dict[int, int]:
    """Count the rows that point at nothing, by the number of the foreign key."""
    counts: dict[int, int] = {}
    if not table.foreign_keys:
        return counts
    try:
        found = rows_of(connection, f"PRAGMA foreign_key_check({quote(table.name)})")
    except sqlite3.DatabaseError:
        # One parent has no such key, and SQLite checks none of them.
        return {
            key.number: _pointing_at_nothing(connection, table, key, schema)
            for key in table.foreign_keys
        }
    for _, _, _, number in found:
        counts[number] = counts.get(number, 0) + 1
    return counts


def _pointing_at_nothing(
    connection: Any, table: Table, key: ForeignKey, schema: Schema
) -> int:
    parent = schema.table(key.parent)
    referred = key.referred or (parent.key if parent is not None else [])
    if parent is None or len(referred) != len(key.columns):
        return 0  # a foreign key that is not made
    # The parent's column decides how they are compared.
    same = " AND ".join(
        f"parent.{quote(above)} = +child.{quote(name)}"
        for above, name in zip(referred, key.columns, strict=True)
    )
    present = " AND ".join(f"child.{quote(name)} IS NOT NULL" for name in key.columns)
    # For a join SQLite makes the index that is lacking; for NOT EXISTS it does not.
    sql = (
        f"SELECT count(*) FROM {quote(table.name)} AS child "
        f"LEFT JOIN {quote(parent.name)} AS parent ON {same} "
        f"WHERE {present} AND parent.{quote(referred[0])} IS NULL"
    )
    try:
        return rows_of(connection, sql)[0][0]
    except sqlite3.DatabaseError:
        return 0  # of a column that is not there


def _views(
    plan: Plan,
    connection: Any,
    chosen: list[tuple[Table, TablePlan]],
    schema: Schema,
    names: Names,
) -> dict[str, str]:
    """Plan the views that can be translated; return why others cannot, by name."""
    relations = {
        fold(table.name): Relation(made.target, meanings(table, made))
        for table, made in chosen
    }
    reasons: dict[str, str] = {}
    for view in schema.statements:
        if view.kind != "view" or view.problem:
            continue
        try:
            shown = rows_of(connection, f"PRAGMA table_info({quote(view.name)})")
            columns = [row[1] for row in shown]
            target = names.give(view.name)
            sql, relation = translate_view(view.sql, target, columns, relations)
        except (Untranslatable, sqlite3.DatabaseError) as reason:
            reasons[view.name] = str(reason)
            continue
        relations[fold(view.name)] = relation
        reasons[view.name] = ""
        chosen[-1][1].statements.append(Statement("view", target, sql))
        plan.views[target] = quote(view.name)
    return reasons


def _say_what_stays(plan: Plan, schema: Schema, reasons: Mapping[str, str]) -> None:
    for name, why in schema.unparsable_indexes.items():
        plan.losses.append(Loss("index", name, why))
    for statement in schema.statements:
        known = _TRIGGERED if statement.kind == "trigger" else "its SQL is SQLite's"
        reason = statement.problem or reasons.get(statement.name, known)
        if reason:
            why = f"{reason}; it is kept in lockstep_move.plan for the way back"
            loss = Loss(statement.kind, statement.name, why, sql=statement.sql or "")
            plan.losses.append(loss)
    for table in schema.tables:
        if table.problem and table.kind == "table":
            plan.notices.append(f"{table.name}: {table.problem}")
