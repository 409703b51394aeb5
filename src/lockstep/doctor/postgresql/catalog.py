"""Read the schema of a PostgreSQL database into the doctor's catalog.

Owns the questions to pg_catalog. The server's own schemas, the mover's journal and the
tables of extensions are left out; partitions count as part of their table.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from lockstep.doctor.catalog import Catalog, Column, Family, ForeignKey, Index, Table
from lockstep.schema.names import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[[str], list[tuple[Any, ...]]]

_OURS = """
    n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname !~ '^pg_(toast|temp)' AND n.nspname <> 'lockstep_move'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                    AND d.objid = c.oid AND d.deptype = 'e')
"""
_TABLES = f"""
SELECT c.oid, n.nspname, c.relname, c.reltuples::bigint,
       coalesce(obj_description(c.oid, 'pg_class'), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {_OURS}
ORDER BY n.nspname, c.relname
"""
_COLUMNS = f"""
SELECT c.oid, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       coalesce(col_description(c.oid, a.attnum), '')
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0
  AND NOT a.attisdropped AND {_OURS}
ORDER BY c.oid, a.attnum
"""
_INDEXES = f"""
SELECT c.oid, i.relname, x.indisunique, x.indpred IS NOT NULL, x.indisvalid,
       x.indisprimary, k.conname IS NULL,
       coalesce(obj_description(i.oid, 'pg_class'), ''),
       am.amname <> 'btree' OR EXISTS (
           SELECT 1 FROM unnest(x.indclass) AS u (o) JOIN pg_opclass oc ON oc.oid = u.o
           WHERE NOT oc.opcdefault)
       OR EXISTS (SELECT 1 FROM unnest(x.indoption) AS v (b) WHERE v.b <> 0),
       ARRAY(SELECT a.attname::text FROM
             unnest(x.indkey) WITH ORDINALITY AS w (num, pos)
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = w.num
                                         AND w.num > 0
             WHERE w.pos <= x.indnkeyatts ORDER BY w.pos),
       coalesce(to_jsonb(x) ->> 'indnullsnotdistinct', 'false') = 'true',
       -- Deparsing waits for a table that is locked, and a plain index needs none.
       CASE WHEN (x.indexprs IS NOT NULL OR x.indpred IS NOT NULL) AND NOT EXISTS (
           SELECT 1 FROM pg_locks l WHERE l.relation = x.indrelid AND l.granted
           AND l.mode = 'AccessExclusiveLock')
       THEN pg_get_indexdef(i.oid) ELSE '' END
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_am am ON am.oid = i.relam
LEFT JOIN pg_constraint k ON k.conindid = i.oid AND k.contype IN ('p', 'u', 'x')
WHERE NOT c.relispartition AND {_OURS}
ORDER BY c.oid, i.relname
"""
_FOREIGN_KEYS = f"""
SELECT c.oid, k.conname, p.relname, pn.nspname, k.confdeltype, k.convalidated,
       ARRAY(SELECT a.attname::text FROM
             unnest(k.conkey) WITH ORDINALITY AS u (num, pos)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.num
             ORDER BY u.pos),
       ARRAY(SELECT a.attname::text FROM
             unnest(k.confkey) WITH ORDINALITY AS u (num, pos)
             JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum = u.num
             ORDER BY u.pos)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class p ON p.oid = k.confrelid
JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND NOT c.relispartition AND {_OURS}
ORDER BY c.oid, k.conname
"""
_ON_DELETE = {
    "a": "NO ACTION",
    "r": "RESTRICT",
    "c": "CASCADE",
    "n": "SET NULL",
    "d": "SET DEFAULT",
}
_FAMILIES: dict[str, Family] = {
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "real": "real",
    "double precision": "real",
    "numeric": "decimal",
    "money": "decimal",
    "boolean": "boolean",
    "text": "text",
    "character varying": "text",
    "character": "text",
    "bytea": "blob",
    "date": "date",
    "json": "json",
    "jsonb": "json",
    "uuid": "uuid",
}


def read_catalog(ask: Ask) -> Catalog:
    """Return the tables that the role may know of, by schema and name."""
    columns = _by_table(ask(_COLUMNS))
    indexes = _by_table(ask(_INDEXES))
    keys = _by_table(ask(_FOREIGN_KEYS))
    return Catalog(
        tuple(
            Table(
                name=_shown(schema, name),
                columns=tuple(_column(row) for row in columns[oid]),
                primary_key=next((tuple(r[8]) for r in indexes[oid] if r[4]), ()),
                indexes=tuple(_index(row) for row in indexes[oid]),
                foreign_keys=tuple(_foreign_key(row) for row in keys[oid]),
                rows_estimate=estimate if estimate >= 0 else None,
                comment=comment,
                schema=schema,
            )
            for oid, schema, name, estimate, comment in ask(_TABLES)
        )
    )


def family_of(declared: str) -> Family:
    """Return what a type of PostgreSQL, as ``format_type`` spells it, means."""
    if declared.startswith("timestamp"):
        return "time"
    return _FAMILIES.get(declared.partition("(")[0].strip(), "other")


def _by_table(rows: list[tuple[Any, ...]]) -> defaultdict[int, list[tuple[Any, ...]]]:
    found: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for oid, *rest in rows:
        found[oid].append(tuple(rest))
    return found


def _shown(schema: str, name: str) -> str:
    return name if schema == "public" else f"{schema}.{name}"


def _column(row: tuple[Any, ...]) -> Column:
    name, declared, nullable, comment = row
    return Column(name, declared, family_of(declared), nullable, comment=comment)


def _index(row: tuple[Any, ...]) -> Index:
    name, unique, partial, valid, _, declared, comment, special, columns, *more = row
    nulls_equal, sql = more
    names = [spelled for c in columns if c for spelled in (c, quote_identifier(c))]
    only_not_null = tuple(f"WHERE ({name} IS NOT NULL)" for name in names)
    return Index(
        name=name,
        columns=tuple(columns),
        unique=unique,
        partial=partial,
        finds_keys=not partial or sql.endswith(only_not_null),
        nulls_equal=nulls_equal,
        sql=sql,
        comment=comment,
        declared=declared,
        special=special,
        valid=valid,
    )


def _foreign_key(row: tuple[Any, ...]) -> ForeignKey:
    name, parent, parent_schema, on_delete, validated, columns, others = row
    return ForeignKey(
        columns=tuple(columns),
        parent=_shown(parent_schema, parent),
        parent_columns=tuple(others),
        on_delete=_ON_DELETE.get(on_delete, "NO ACTION"),
        name=name,
        validated=validated,
    )
