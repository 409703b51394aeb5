"""What a PostgreSQL database says about its own tables.

Owns the questions to the system catalogs. It reads no row and knows no other
engine.

See https://www.postgresql.org/docs/current/catalogs.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.model.postgresql import PgColumn, PgIndex, PgKey, PgSchema, PgTable
from lockstep.mover.postgresql.others import IS_OURS, read_others, read_views

if TYPE_CHECKING:
    import psycopg

_PROBLEM = (
    "CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') "
    "THEN format('%s may not use the schema %s', current_user, n.nspname) "
    "WHEN NOT has_table_privilege(c.oid, 'SELECT') "
    "THEN format('%s may not read it, or some of its columns only', current_user) "
    "WHEN row_security_active(c.oid) "
    "THEN format('row-level security hides rows from %s', current_user) ELSE '' END"
)
"""Why a table's rows cannot all be read. A policy would hide them without a word."""

_BASES = (
    "WITH RECURSIVE base AS (SELECT 1 AS step, t.oid, t.typtype, t.typbasetype, "
    "t.typnotnull FROM pg_type t WHERE t.oid = a.atttypid UNION ALL "
    "SELECT step + 1, t.oid, t.typtype, t.typbasetype, t.typnotnull FROM base "
    "JOIN pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd') "
    "SELECT array_agg(oid ORDER BY step) AS types, bool_or(typnotnull) AS not_null "
    "FROM base"
)
"""A column's type, and behind a domain the type it is made of, to the last one."""

_NEVER_CHECKED = (
    "EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = a.attrelid "
    "AND k.contype = 'n' AND a.attnum = ANY (k.conkey) AND NOT k.convalidated)"
)
"""Whether a column is NOT NULL for new rows only; PostgreSQL 18 brought that."""

_DEFAULT_OF_DOMAIN = (
    "(SELECT t.typdefault FROM unnest(b.types) WITH ORDINALITY u(o, step) "
    "JOIN pg_type t ON t.oid = u.o WHERE t.typtype = 'd' "
    "AND t.typdefault IS NOT NULL ORDER BY step LIMIT 1)"
)
_ACTIONS = {
    "a": "NO ACTION",
    "r": "RESTRICT",
    "c": "CASCADE",
    "n": "SET NULL",
    "d": "SET DEFAULT",
}

_LITERAL = r"('(?:[^']|'')*'|-?\d+(?:\.\d+)?|true|false)"
_CAST = r"(?:::[\w\". ]+(?:\[\])?)?"
_ONE: Final = re.compile(rf"\(?{_LITERAL}\)?{_CAST}")
_ITEM: Final = re.compile(f"{_LITERAL}{_CAST}")
_SOME: Final = re.compile(rf"ARRAY\[{_ITEM.pattern}(?:, {_ITEM.pattern})*\]")
_PLAIN_TYPE: Final = (
    "(SELECT format_type(p.oid, CASE WHEN cardinality(b.types) > 1 THEN "
    "(SELECT max(typtypmod) FROM pg_type WHERE oid = ANY (b.types)) "
    "ELSE a.atttypmod END) FROM pg_type p LEFT JOIN pg_type e ON e.oid = p.typelem "
    "WHERE p.oid = b.types[cardinality(b.types)] AND p.typtype IN ('b', 'e') "
    "AND coalesce(e.typtype IN ('b', 'e'), true))"
)
"""Where no domain has a check, which may call anything."""


def read_postgresql(
    connection: psycopg.Connection[Any], home: str = "public"
) -> PgSchema:
    """Describe every table outside of the system's and our own schemas.

    Args:
        connection: To the database.
        home: The schema whose name plans leave out.
    """
    rows = connection.execute(
        "SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', obj_description(c.oid), "
        "greatest(c.reltuples, 0)::bigint, "
        "c.relam = (SELECT oid FROM pg_am WHERE amname = 'heap'), "
        f"{_PROBLEM}, c.relkind = 'r' AND EXISTS (SELECT 1 FROM pg_inherits i "
        "WHERE i.inhparent = c.oid) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition "
        f"AND {IS_OURS} "
        "AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid "
        "AND d.classid = 'pg_class'::regclass AND d.deptype = 'e') "
        "ORDER BY n.nspname, c.oid".encode()
    ).fetchall()
    rows.sort(key=lambda row: row[1] != home)
    found: dict[int, PgTable] = {}
    for oid, schema, name, is_partitioned, comment, estimated, *more in rows:
        is_heap, why, has_heirs = more
        table = PgTable(schema, name, [], comment=comment, rows_estimated=estimated)
        table.is_partitioned, table.is_heap = is_partitioned, bool(is_heap)
        table.problem, table.has_heirs = why, has_heirs
        table.full_name = name if schema == home else f"{schema}.{name}"
        found[oid] = table
    # Asked once for all: of thousands each question takes longer than its answer.
    _read_columns(connection, found)
    _read_keys(connection, found)
    _read_indexes(connection, found)
    _read_sequences(connection, found)
    tables = list(found.values())
    others = [
        replace(other, schema="public") if other.schema == home else other
        for other in read_others(connection)
    ]
    schema = PgSchema(tables, others, read_views(connection), home)
    _tell_apart(schema)
    return schema


def _tell_apart(schema: PgSchema) -> None:
    """Quote the full names that an earlier table has, too; find keys' parents."""
    taken: set[str] = set()
    for table in schema.tables:
        if table.full_name in taken:
            table.full_name = f"{quote(table.schema)}.{quote(table.name)}"
        taken.add(table.full_name)
    for table in schema.tables:
        for key in table.keys:
            parent = schema.table(key.parent_schema, key.parent)
            if parent is not None:
                key.refers_to = parent.full_name
                key.referred_columns = [parent.column(name) for name in key.referred]


def _read_columns(
    connection: psycopg.Connection[Any], tables: Mapping[int, PgTable]
) -> None:
    rows = connection.execute(
        "SELECT a.attrelid, a.attname, "
        "format_type(b.types[cardinality(b.types)], NULL), "
        "format_type(a.atttypid, a.atttypmod), a.attnotnull OR b.not_null, "
        f"coalesce(pg_get_expr(d.adbin, d.adrelid), {_DEFAULT_OF_DOMAIN}), "
        "a.attidentity <> '', a.attgenerated <> '', "
        "CASE WHEN a.atttypid IN ('varchar'::regtype) AND a.atttypmod > 4 "
        "THEN a.atttypmod - 4 END, col_description(a.attrelid, a.attnum), "
        "ARRAY(SELECT e.enumlabel::text FROM pg_enum e "
        "WHERE e.enumtypid = b.types[cardinality(b.types)] "
        "ORDER BY e.enumsortorder), ARRAY(SELECT pg_get_constraintdef(k.oid) "
        "FROM pg_constraint k WHERE k.contypid = ANY (b.types) AND k.contype = 'c' "
        f"ORDER BY k.oid), NOT a.attnotnull OR {_NEVER_CHECKED}, "
        "EXISTS (SELECT 1 FROM pg_collation l "
        "WHERE l.oid = a.attcollation AND NOT l.collisdeterministic) OR (SELECT "
        "typname = 'citext' FROM pg_type WHERE oid = b.types[cardinality(b.types)]), "
        f"{_PLAIN_TYPE} "
        f"FROM pg_attribute a CROSS JOIN LATERAL ({_BASES}) b "
        "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        "WHERE a.attrelid = ANY (%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped "
        "ORDER BY a.attrelid, a.attnum".encode(),
        (list(tables),),
    ).fetchall()
    constants: dict[str, str | None] = {}
    for oid, *row in rows:
        column = PgColumn(*row)
        asked = _asked_constant(column)
        if asked and asked not in constants:
            constants[asked] = _constant(connection, asked)
        column.constant = constants.get(asked)
        tables[oid].columns.append(column)


def _asked_constant(column: PgColumn) -> str:
    """Return the query for what a default gives that calls nothing; or nothing."""
    default = column.default or ""
    one, some = _ONE.fullmatch(default), _SOME.fullmatch(default)
    if column.plain_type is None or not (one or some):
        return ""
    given = one[1] if one else f"ARRAY[{', '.join(_ITEM.findall(default))}]"
    return f"SELECT format('%s', ({given})::{column.plain_type})"


def _constant(connection: psycopg.Connection[Any], asked: str) -> str | None:
    import psycopg

    try:
        with connection.transaction():
            row = connection.execute(asked.encode()).fetchone()
    except psycopg.Error:
        return None
    return None if row is None else row[0]


def _read_keys(
    connection: psycopg.Connection[Any], tables: Mapping[int, PgTable]
) -> None:
    names = (
        "ARRAY(SELECT a.attname::text FROM unnest({keys}) WITH ORDINALITY k(n, o) "
        "JOIN pg_attribute a ON a.attrelid = {of} AND a.attnum = k.n ORDER BY k.o)"
    )
    own = names.format(keys="c.conkey", of="c.conrelid")
    other = names.format(keys="c.confkey", of="c.confrelid")
    rows = connection.execute(
        f"SELECT c.conrelid, c.contype, c.conname, {own}, pg_get_constraintdef(c.oid), "
        f"coalesce(n.nspname, ''), coalesce(p.relname, ''), {other}, "
        "c.confupdtype, c.confdeltype, CASE WHEN c.condeferred THEN 'DEFERRABLE "
        "INITIALLY DEFERRED' WHEN c.condeferrable THEN 'DEFERRABLE INITIALLY "
        "IMMEDIATE' ELSE '' END FROM pg_constraint c "
        "LEFT JOIN pg_class p ON p.oid = c.confrelid "
        "LEFT JOIN pg_namespace n ON n.oid = p.relnamespace "
        "WHERE c.conrelid = ANY (%s::oid[]) AND c.contype IN ('p', 'u', 'f', 'c', 'x') "
        "AND c.conparentid = 0 ORDER BY c.contype <> 'p', c.oid".encode(),
        (list(tables),),
    ).fetchall()
    for oid, kind, name, columns, text, schema, parent, referred, *rest in rows:
        on_update, on_delete, deferral = rest
        tables[oid].keys.append(
            PgKey(
                _letter(kind),
                name,
                columns,
                text,
                schema,
                parent,
                referred,
                _ACTIONS.get(_letter(on_update), "NO ACTION"),
                _ACTIONS.get(_letter(on_delete), "NO ACTION"),
                deferral,
            )
        )


def _letter(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _read_indexes(
    connection: psycopg.Connection[Any], tables: Mapping[int, PgTable]
) -> None:
    rows = connection.execute(
        "SELECT x.indrelid, i.relname, x.indisunique, m.amname, x.indnkeyatts, "
        "ARRAY(SELECT (SELECT a.attname::text FROM pg_attribute a "
        "WHERE a.attrelid = x.indrelid AND a.attnum = k.n AND k.n > 0) "
        "FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(n, o) ORDER BY k.o), "
        "ARRAY(SELECT pg_get_indexdef(x.indexrelid, g, true) "
        "FROM generate_series(1, x.indnkeyatts) g), "
        "ARRAY(SELECT (o & 1) = 1 FROM unnest(x.indoption::int2[]) o), "
        "pg_get_expr(x.indpred, x.indrelid), pg_get_indexdef(x.indexrelid), "
        "x.indisvalid "
        "FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid "
        "JOIN pg_am m ON m.oid = i.relam WHERE x.indrelid = ANY (%s::oid[]) "
        "AND NOT EXISTS "
        "(SELECT 1 FROM pg_constraint c WHERE c.conindid = x.indexrelid "
        "AND c.contype IN ('p', 'u', 'x')) ORDER BY i.oid",
        (list(tables),),
    ).fetchall()
    for oid, name, unique, method, count, columns, *rest in rows:
        index = PgIndex(name, unique, method, columns[:count], *rest)
        tables[oid].indexes.append(index)


def _read_sequences(
    connection: psycopg.Connection[Any], tables: Mapping[int, PgTable]
) -> None:
    """Find the sequence of each table's first column that has one, and its state.

    See pg_get_serial_sequence, which would be asked about each column.
    """
    rows = connection.execute(
        "SELECT a.attrelid, a.attname, CASE "
        "WHEN has_sequence_privilege(s.oid, 'SELECT') "
        "THEN coalesce(pg_sequence_last_value(s.oid), 0) END, q.seqincrement "
        "FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' "
        "JOIN pg_sequence q ON q.seqrelid = s.oid "
        "JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid "
        "WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 "
        "AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') "
        "AND d.refobjid = ANY (%s::oid[]) AND NOT a.attisdropped "
        "ORDER BY a.attrelid, a.attnum",
        ([oid for oid, table in tables.items() if not table.problem],),
    ).fetchall()
    for oid, column, last, step in rows:
        table = tables[oid]
        if table.sequence_column is None:
            # Where it cannot be read the greatest number in use stands in for it.
            table.sequence_column, table.sequence = column, last
            table.sequence_step = step
