"""The plan for a PostgreSQL database that moves to a SQLite file.

Owns which type of SQLite holds which type of PostgreSQL, and the statements that
make the tables: SQLite wants keys and checks inside of CREATE TABLE.

    integers, oid        INTEGER         boolean   BOOLEAN, 0 and 1
    double precision     REAL            bytea     BLOB
    timestamptz          TEXT            in UTC, with +00:00
    everything else      TEXT            PostgreSQL's own text, every digit of it

Invariant: a value's text in PostgreSQL can be computed from what SQLite stores.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing

from lockstep.migrations.sqlite.tokens import fold, quote
from lockstep.mover.model.plan import (
    ORDERED_CODECS,
    ColumnPlan,
    Loss,
    Plan,
    Statement,
    TablePlan,
)
from lockstep.mover.model.postgresql import PgColumn, PgIndex, PgKey, PgSchema, PgTable
from lockstep.mover.plan.constraints import left_of
from lockstep.mover.plan.names import SqliteNames, sqlite_column_names
from lockstep.mover.plan.views_from_postgresql import plan_views
from lockstep.mover.translate.comments import Comments, commented
from lockstep.mover.translate.from_postgresql import (
    Expression,
    expression_to_sqlite,
    family,
)
from lockstep.mover.translate.to_sqlite import default_to_sqlite
from lockstep.mover.translate.tree import Untranslatable
from lockstep.schema.names import constraint_name
from lockstep.schema.types.portable import quoted

_NO_COLUMN = "a table of SQLite has a column"

_OF_ROWS = ("default", "not null", "type", "column")
"""Losses that no change of a mapping file makes or mends."""

_INTEGERS = frozenset({"smallint", "integer", "bigint", "oid"})
_TYPES = {
    "boolean": ("BOOLEAN", "boolean"),
    "double precision": ("REAL", "real"),
    "real": ("REAL", "real"),
    "bytea": ("BLOB", "bytes"),
    "timestamp with time zone": ("TEXT", "zoned"),
}
_EQUAL_AS_TEXT = frozenset(
    {
        *("boolean", "real", "double precision", "bytea", "uuid", "date", "oid"),
        *("timestamp without time zone", "timestamp with time zone", "inet", "cidr"),
        *("time without time zone", "time with time zone", "macaddr", "macaddr8"),
        *("bit", "bit varying", "pg_lsn", "name", "money"),
    }
)
"""Types whose equal values have one text, or are stored as one number."""

_SETS_SOME = re.compile(r" ON DELETE SET (NULL|DEFAULT) \(")
_PERIOD = re.compile(r"^FOREIGN KEY \(.*, PERIOD ")
_ORDERED = frozenset({"text", "character varying", "uuid", "bytea", *_INTEGERS})


def plan_from_postgresql(schema: PgSchema) -> Plan:
    """Make the plan of a whole database."""
    plan = Plan("postgresql", "sqlite", [])
    names = SqliteNames()
    for table in schema.tables:
        wanted = table.name
        if table.schema != schema.home:
            wanted = f"{table.schema}_{table.name}"
        plan.tables.append(_table(plan, table, names.give(wanted)))
    for table, made in zip(schema.tables, plan.tables, strict=True):
        alias = _alias(table, made)
        for found, column in zip(table.columns, made.columns, strict=True):
            if found.name != alias:
                _default(plan, table, found, column)
            else:
                _say_if_counted_otherwise(plan, table, found)
    _build(plan, schema, names)
    return plan


def rebuild(plan: Plan, schema: PgSchema, *, carries_views: bool = True) -> None:
    """Make every statement anew, after a mapping file changed names and types.

    Args:
        plan: What ``plan_from_postgresql`` made, changed; completed in place.
        schema: What it was made from.
        carries_views: Whether the tables compare as this plan's own do; a file's own
            statements may fold and convert.
    """
    names = SqliteNames()
    plan.losses[:] = [loss for loss in plan.losses if loss.kind in _OF_ROWS]
    for table, made in zip(schema.tables, plan.tables, strict=True):
        made.statements.clear()
        made.primary_key = [made.column(n).target for n in table.primary_key]
        names.give(made.target)
    _build(plan, schema, names, carries_views=carries_views)


def _build(
    plan: Plan, schema: PgSchema, names: SqliteNames, *, carries_views: bool = True
) -> None:
    for table, made in zip(schema.tables, plan.tables, strict=True):
        why = table.problem or ("" if made.columns else _NO_COLUMN)
        if why:
            made.carry = False
            plan.losses.append(Loss("table", made.source, why, is_data=True))
    for table, made in zip(schema.tables, plan.tables, strict=True):
        if made.columns:
            _constraints(plan, table, made, names)
    reasons = plan_views(plan, schema, names) if carries_views else {}
    for item in schema.others:
        why = item.why
        if item.kind == "view" and item.shown in reasons:
            why = reasons[item.shown]
            if not why:
                continue
        loss = Loss(item.kind, item.shown, why, item.is_data, item.sql)
        plan.losses.append(loss)


def _say_if_counted_otherwise(plan: Plan, table: PgTable, key: PgColumn) -> None:
    why = ""
    if key.default is not None and "nextval(" not in key.default:
        why = f"{key.default}: SQLite counts such a key up by itself"
    elif table.sequence_column == key.name and table.sequence_step != 1:
        why = f"it counts by {table.sequence_step}: SQLite counts by one"
    if why:
        plan.losses.append(Loss("default", f"{table.full_name}.{key.name}", why))


def _default(plan: Plan, table: PgTable, found: PgColumn, column: ColumnPlan) -> None:
    if found.identity:
        why = "its numbers count up: SQLite counts up a primary key, and nothing else"
        plan.losses.append(Loss("default", f"{table.full_name}.{found.name}", why))
    if found.default is None or found.generated:
        return
    try:
        column.default = default_to_sqlite(found.default, found.constant, column)
    except Untranslatable as reason:
        where = f"{table.full_name}.{column.source}"
        plan.losses.append(Loss("default", where, f"{found.default}: {reason}"))


def column_plan(column: PgColumn) -> ColumnPlan:
    """Return how a column of PostgreSQL is stored in SQLite."""
    if column.type in _INTEGERS:
        kind, codec = "INTEGER", "integer"
    else:
        kind, codec = _TYPES.get(column.type, ("TEXT", "text"))
    note = "" if kind != "TEXT" or column.type == "text" else f"was {column.full_type}"
    made = ColumnPlan(column.name, column.name, kind, codec, note=note)
    made.not_null, made.source_type = column.not_null, column.full_type
    made.comment = column.comment or ""
    return made


def _table(plan: Plan, table: PgTable, target: str) -> TablePlan:
    made = TablePlan(table.full_name, target, [], rows=table.rows_estimated)
    if table.name != target:
        plan.notices.append(f"{made.source!r} becomes {target!r}")
    made.columns = [column_plan(column) for column in table.columns]
    given = sqlite_column_names([column.name for column in table.columns])
    for column, name in zip(made.columns, given, strict=True):
        if column.target != name:
            column.target = name
            where = f"{made.source}.{column.source}"
            plan.notices.append(f"{where} becomes {name!r}")
    made.primary_key = list(table.primary_key)
    made.sequence, made.comment = table.sequence, table.comment or ""
    if made.primary_key and all(
        _is_ordered(table, made, name) for name in made.primary_key
    ):
        made.order_key = list(made.primary_key)
    return made


def _is_ordered(table: PgTable, made: TablePlan, name: str) -> bool:
    return (
        table.column(name).type in _ORDERED
        and made.column(name).codec in ORDERED_CODECS
    )


def _constraints(
    plan: Plan, table: PgTable, made: TablePlan, names: SqliteNames
) -> None:
    """Write CREATE TABLE with all that SQLite can hold, and plan the indexes."""
    alias = _alias(table, made)
    clauses = [
        (c.target, _column_clause(plan, table, made, c, alias)) for c in made.columns
    ]
    for key in table.keys:
        text = _key_clause(plan, table, made, key, alias)
        if text and not _is_accepted(made, [*clauses, ("", text)]):
            _lose(plan, table, key, "SQLite refuses it")
            text = ""
        if text:
            clauses.append(("", text))
    named = {fold(c.target): c.comment for c in made.columns if c.comment}
    made.create = commented(made.target, Comments(made.comment, named), clauses)
    for index in table.indexes:
        _index(plan, table, made, index, names)


def _alias(table: PgTable, made: TablePlan) -> str | None:
    """Return the integer column that becomes the rowid."""
    key = table.primary_key
    is_integer = len(key) == 1 and made.column(key[0]).codec == "integer"
    return key[0] if is_integer else None


def _column_clause(
    plan: Plan, table: PgTable, made: TablePlan, column: ColumnPlan, alias: str | None
) -> str:
    found = table.column(column.source)
    words = [quote(column.target), column.type]
    if column.source == alias:
        words.append("PRIMARY KEY")
        if table.sequence_column == column.source:
            words.append("AUTOINCREMENT")
            column.identity = True
        return " ".join(words)
    if column.not_null:
        words.append("NOT NULL")
    if found.length_max is not None:
        words.append(f"CHECK (length({quote(column.target)}) <= {found.length_max})")
    if found.labels and column.codec == "text":
        listed = ", ".join(map(quoted, found.labels))
        words.append(f"CHECK ({quote(column.target)} IN ({listed}))")
    for check in found.domain_checks:
        where = f"{table.full_name}.{column.source}: {check}"
        plan.losses.append(Loss("check", where, f"{found.full_type} is a domain"))
    if found.generated:
        words.append(_generated(plan, table, made, column, found.default or ""))
    elif column.default is not None:
        words.append(f"DEFAULT {column.default}")
    return " ".join(filter(None, words))


def _generated(
    plan: Plan, table: PgTable, made: TablePlan, column: ColumnPlan, text: str
) -> str:
    """Return the clause of a computed column; empty where its values are carried."""
    where = f"{table.full_name}.{column.source}"
    column.generated = ""  # what it was before a mapping file changed other columns
    try:
        found = _translated(table, made, text)
        reason = "; ".join(found.differences)
        if found.kind != family(column.source_type):
            reason = f"it gives {found.kind}"
    except Untranslatable as refused:
        found, reason = None, str(refused)
    if found is None or reason:
        why = f"its values are carried, AS {text} is not: {reason}"
        plan.losses.append(Loss("generated column", where, why))
        return ""
    column.generated = "stored"
    return f"GENERATED ALWAYS AS ({found.sql}) STORED"


def _translated(table: PgTable, made: TablePlan, text: str) -> Expression:
    types = {column.name: column.type for column in table.columns}
    labelled = {column.type for column in table.columns if column.labels}
    return expression_to_sqlite(text, made, types, labelled)


def _expression(
    plan: Plan, table: PgTable, made: TablePlan, name: str, text: str
) -> str:
    found = _translated(table, made, text)
    for difference in found.differences:
        plan.losses.append(Loss("expression", f"{made.source}.{name}", difference))
    return found.sql


def _key_clause(
    plan: Plan, table: PgTable, made: TablePlan, key: PgKey, alias: str | None
) -> str:
    if needed := left_of(made, key.columns):
        _lose(plan, table, key, needed)
        return ""
    columns = ", ".join(quote(made.column(name).target) for name in key.columns)
    if key.definition.endswith(" NOT ENFORCED") or _PERIOD.search(key.definition):
        is_of_periods = not key.definition.endswith(" NOT ENFORCED")
        why = "SQLite knows no periods" if is_of_periods else "the server enforces none"
        _lose(plan, table, key, why)
        return ""
    if key.kind in ("p", "u"):
        if " WITHOUT OVERLAPS" in key.definition:
            _lose(plan, table, key, "SQLite refuses periods that are equal, no others")
        _say_if_folded(plan, table, key.name, key.columns)
        if key.deferral:
            _lose(plan, table, key, "SQLite looks at a unique key with every row")
    if key.kind == "p":
        return "" if alias is not None else f"PRIMARY KEY ({columns})"
    head = f"CONSTRAINT {quote(key.name)} "
    if key.kind == "u":
        _say_if_nulls_repeat(plan, table.full_name, key.name, key.definition)
        return f"{head}UNIQUE ({columns})"
    if key.kind == "f":
        text = _reference(plan, table, key, columns)
        return head + text if text else ""
    if key.kind == "c":
        try:
            text = _expression(plan, table, made, key.name, key.definition)
        except Untranslatable as reason:
            _lose(plan, table, key, str(reason))
            return ""
        return f"{head}CHECK ({text})"
    _lose(plan, table, key, "SQLite has no exclusion constraints")
    return ""


def _say_if_folded(
    plan: Plan, table: PgTable, name: str, columns: Sequence[str | None]
) -> None:
    folded = [c.name for c in table.columns if c.is_folded and c.name in columns]
    if folded:
        why = f"SQLite tells texts apart that are equal in {', '.join(folded)}"
        plan.losses.append(Loss("unique", f"{table.full_name}.{name}", why))


def _say_if_nulls_repeat(plan: Plan, table: str, name: str, definition: str) -> None:
    if "NULLS NOT DISTINCT" in definition:
        why = "SQLite lets NULL in more than once"
        plan.losses.append(Loss("unique", f"{table}.{name}", why))


def _reference(plan: Plan, table: PgTable, key: PgKey, columns: str) -> str:
    parent = next((t for t in plan.carried() if t.source == key.refers_to), None)
    if parent is None:
        # SQLite would refuse every row of a table that refers to none.
        _lose(plan, table, key, f"{key.parent} is a partition, or is not carried")
        return ""
    misfit = left_of(parent, key.referred) or _compared_otherwise(table, key)
    if misfit:
        _lose(plan, table, key, misfit)
        return ""
    referred = ", ".join(quote(parent.column(n).target) for n in key.referred)
    text = f"FOREIGN KEY ({columns}) REFERENCES {quote(parent.target)} ({referred})"
    if key.on_update != "NO ACTION":
        text += f" ON UPDATE {key.on_update}"
    if key.on_delete != "NO ACTION":
        text += f" ON DELETE {key.on_delete}"
    if " MATCH FULL" in key.definition:
        _lose(plan, table, key, "SQLite takes a key of which a part is NULL")
    if _SETS_SOME.search(key.definition):
        _lose(plan, table, key, "SQLite sets all columns of the key")
    return f"{text} {key.deferral}".rstrip()


def _compared_otherwise(table: PgTable, key: PgKey) -> str:
    """Return where SQLite would not find the row that a reference points at."""
    for name, parent in zip(key.columns, key.referred_columns, strict=True):
        child = table.column(name)
        if not _are_found_alike(child, parent):
            return (
                f"SQLite compares {child.full_type} with {parent.full_type} by their "
                "texts, which may differ where the values are equal"
            )
    return ""


def _are_found_alike(child: PgColumn, parent: PgColumn) -> bool:
    """Whether what is equal on the server is equal as SQLite stores it."""
    if child.is_folded or parent.is_folded:
        return False
    kind = family(child.type)
    if kind in ("integer", "text"):
        return kind == family(parent.type)
    # Of a fixed scale or width equal values have one text.
    is_fixed = child.full_type.startswith(("numeric(", "character("))
    if is_fixed or child.labels:
        return child.full_type == parent.full_type
    return child.type in _EQUAL_AS_TEXT and child.type == parent.type


def _lose(plan: Plan, table: PgTable, key: PgKey, why: str) -> None:
    kinds = {"c": "check", "x": "exclusion", "u": "unique", "f": "foreign key"}
    name = f"{table.full_name}: {key.definition}"
    plan.losses.append(Loss(kinds.get(key.kind, "key"), name, why))


def _is_accepted(made: TablePlan, clauses: list[tuple[str, str]]) -> bool:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
        try:
            scratch.execute(commented(made.target, Comments(), clauses))
        except sqlite3.Error:
            return False
    return True


def _index(
    plan: Plan, table: PgTable, made: TablePlan, index: PgIndex, names: SqliteNames
) -> None:
    where = f"{made.source}.{index.name}"
    kind = "unique" if index.unique else "index"
    if index.unique and not index.is_valid:
        why = "the server never finished it, and keys may repeat"
        plan.losses.append(Loss(kind, where, why))
        return
    if index.method not in ("btree", "hash"):
        plan.losses.append(Loss(kind, where, f"SQLite has no {index.method} index"))
        return
    if needed := left_of(made, [name or "" for name in index.columns]):
        plan.losses.append(Loss(kind, where, needed))
        return
    try:
        parts: list[str] = []
        for place, column in enumerate(index.columns):
            if column is None:
                text = _expression(
                    plan, table, made, index.name, index.expressions[place]
                )
                part = f"({text})"
            else:
                part = quote(made.column(column).target)
            is_down = place < len(index.descending) and index.descending[place]
            parts.append(f"{part} DESC" if is_down else part)
        condition = ""
        if index.condition is not None:
            text = _expression(plan, table, made, index.name, index.condition)
            condition = f" WHERE {text}"
    except Untranslatable as reason:
        plan.losses.append(Loss(kind, where, str(reason)))
        return
    if index.unique:
        _say_if_folded(plan, table, index.name, index.columns)
        _say_if_nulls_repeat(plan, made.source, index.name, index.definition)
    name = names.give(index.name or constraint_name("ix", made.target))
    unique = "UNIQUE " if index.unique else ""
    sql = (
        f"CREATE {unique}INDEX {quote(name)} ON {quote(made.target)} "
        f"({', '.join(parts)}){condition}"
    )
    made.statements.append(Statement(kind, name, sql))
