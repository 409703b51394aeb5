"""The schema of a PostgreSQL database, read for comparison.

Owns the queries against ``pg_catalog``. Every expression comes from the server's
own deparser, so the same meaning has the same text (``settled.py`` has the exception).
Must not know: models, SQLite.

The caller puts the schema to be read first in ``search_path``: only then does the
server write the names inside expressions without a schema.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lockstep.migrations.postgresql.settled import settled
from lockstep.migrations.state import (
    CheckState,
    ColumnState,
    ForeignKeyState,
    IndexState,
    SchemaState,
    TableState,
    UniqueState,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TABLES = """
SELECT c.oid, c.relname, obj_description(c.oid, 'pg_class') AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
      AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname
"""

_COLUMNS = """
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull, pg_get_expr(d.adbin, d.adrelid) AS expression,
       a.attgenerated, a.attidentity, col_description(a.attrelid, a.attnum) AS comment,
       CASE WHEN a.attcollation <> t.typcollation THEN co.collname END AS collation,
       (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
        FROM pg_enum e WHERE e.enumtypid = a.atttypid) AS labels,
       CASE WHEN a.attidentity <> '' THEN (
         SELECT concat_ws(' ', 'start', s.seqstart, 'increment', s.seqincrement,
                          'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache,
                          CASE WHEN s.seqcycle THEN 'cycle' END)
         FROM pg_sequence s
         WHERE s.seqrelid = pg_get_serial_sequence(
             quote_ident(n.nspname) || '.' || quote_ident(c.relname),
             a.attname)::regclass) END AS sequence
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation co ON co.oid = a.attcollation
WHERE n.nspname = :schema AND c.relkind IN ('r', 'p') AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""

_CONSTRAINTS = """
SELECT k.conrelid, k.conname, k.contype, k.condeferrable, k.condeferred,
       k.confupdtype, k.confdeltype, k.confmatchtype, f.relname AS target,
       pg_get_expr(k.conbin, k.conrelid) AS expression,
       pg_get_constraintdef(k.oid) AS definition,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(n, i)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n
             ORDER BY u.i) AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(n, i)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n
             ORDER BY u.i) AS remote_columns
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class f ON f.oid = k.confrelid
WHERE n.nspname = :schema AND k.contype IN ('p', 'u', 'f', 'c')
ORDER BY k.conname
"""

_INDEXES = """
SELECT i.indrelid, c.relname AS name, i.indisunique,
       ARRAY(SELECT concat_ws(' ', pg_get_indexdef(i.indexrelid, k::int, true),
               CASE WHEN k <= i.indnkeyatts AND i.indcollation[k - 1] <> 0
                     AND i.indcollation[k - 1] <> coalesce((
                       SELECT a.attcollation FROM pg_attribute a
                       WHERE a.attrelid = i.indrelid
                         AND a.attnum = i.indkey[k - 1]), 100)
                    THEN 'collate ' || (SELECT collname FROM pg_collation
                                        WHERE oid = i.indcollation[k - 1]) END,
               CASE WHEN k <= i.indnkeyatts AND NOT o.opcdefault
                    THEN o.opcname::text END,
               CASE i.indoption[k - 1] & 3
                 WHEN 1 THEN 'desc nulls last' WHEN 2 THEN 'nulls first'
                 WHEN 3 THEN 'desc' END)
             FROM generate_series(1, i.indnkeyatts) k
             LEFT JOIN pg_opclass o ON o.oid = i.indclass[k - 1]
             ORDER BY k) AS keys,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k::int, true)
             FROM generate_series(i.indnkeyatts + 1, i.indnatts) k) AS included,
       pg_get_expr(i.indpred, i.indrelid) AS predicate, m.amname AS method,
       to_jsonb(i) ->> 'indnullsnotdistinct' AS nulls_not_distinct,
       i.indisvalid
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am m ON m.oid = c.relam
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid
                  AND k.contype IN ('p', 'u', 'x'))
ORDER BY c.relname
"""

_TRIGGERS = """
SELECT t.tgrelid, t.tgname, pg_get_triggerdef(t.oid, true) AS definition
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND NOT t.tgisinternal
"""

_ACTIONS = {
    "a": "NO ACTION",
    "r": "RESTRICT",
    "c": "CASCADE",
    "n": "SET NULL",
    "d": "SET DEFAULT",
}
_MATCHES = {"s": "", "f": " match full", "p": " match partial"}
_IDENTITIES = {"a": "always", "d": "by default"}


def postgresql_snapshot(
    connection: Connection, *, schema: str, ignore: Collection[str] = ()
) -> SchemaState:
    """Return one schema's tables.

    Args:
        connection: In a transaction of the caller's, ``schema`` first in its
            ``search_path``.
        schema: The schema to read.
        ignore: Tables to leave out, such as Alembic's own.
    """
    state = SchemaState()
    tables: dict[int, TableState] = {}

    def rows(sql: str) -> Iterator[Any]:
        for row in connection.execute(sa.text(sql), {"schema": schema}).all():
            if row[0] in tables:
                yield row

    for oid, name, comment in connection.execute(
        sa.text(_TABLES), {"schema": schema}
    ).all():
        if name not in ignore:
            tables[oid] = state.table(name)
            tables[oid].comment = comment
    for row in rows(_COLUMNS):
        tables[row.attrelid].columns[row.attname] = _column(row, schema)
    for row in rows(_CONSTRAINTS):
        _add_constraint(tables[row.conrelid], row)
    for row in rows(_INDEXES):
        tables[row.indrelid].indexes.append(_index(row))
    for row in rows(_TRIGGERS):
        text = settled(row.definition.replace(f"{schema}.", ""))
        tables[row.tgrelid].triggers[row.tgname] = text
    return state


def _column(row: Any, schema: str) -> ColumnState:
    generated = row.attgenerated not in ("", b"")
    expression = row.expression
    if expression is not None:
        # A sequence is the one thing that is written with its schema when the
        # default was stored before the search_path named it.
        expression = settled(expression.replace(f"{schema}.", ""))
    identity = None
    if row.attidentity in _IDENTITIES:
        identity = f"{_IDENTITIES[row.attidentity]} {row.sequence}"
    kind = f"{row.type} ({row.labels})" if row.labels is not None else row.type
    return ColumnState(
        name=row.attname,
        type=kind,
        nullable=not row.attnotnull,
        default=None if generated else expression,
        generated=f"{expression} stored" if generated else None,
        identity=identity,
        collation=row.collation,
        comment=row.comment,
    )


def _add_constraint(table: TableState, row: Any) -> None:
    columns = tuple(row.columns)
    deferral = ""
    if row.condeferrable:
        when = "deferred" if row.condeferred else "immediate"
        deferral = f" deferrable initially {when}"
    if row.contype == "c":
        table.checks.append(CheckState(row.conname, settled(row.expression)))
    elif row.contype == "f":
        actions = (
            f"delete {_ACTIONS[row.confdeltype]} update {_ACTIONS[row.confupdtype]}"
        )
        options = f"{actions}{_MATCHES[row.confmatchtype]}{deferral}"
        table.foreign_keys.append(
            ForeignKeyState(
                row.conname, columns, row.target, tuple(row.remote_columns), options
            )
        )
    else:
        distinct = "NULLS NOT DISTINCT" in row.definition
        nulls = " nulls not distinct" if distinct else ""
        state = UniqueState(row.conname, columns, (nulls + deferral).strip())
        if row.contype == "p":
            table.primary_key = state
        else:
            table.uniques.append(state)


def _index(row: Any) -> IndexState:
    options: list[str] = []
    if row.method != "btree":
        options.append(f"using {row.method}")
    if row.included:
        options.append(f"include ({', '.join(row.included)})")
    if row.nulls_not_distinct == "true":
        options.append("nulls not distinct")
    if not row.indisvalid:
        options.append("invalid")
    predicate = None if row.predicate is None else settled(row.predicate)
    return IndexState(
        row.name,
        row.indisunique,
        tuple(map(settled, row.keys)),
        predicate,
        " ".join(options),
    )
