"""What of a PostgreSQL database is no table: programs, rules, rights, loose ends.

Owns the questions whose answers are only named. Nothing of it travels, and nobody
should learn so when the old server is gone.

See https://www.postgresql.org/docs/current/catalogs.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lockstep.mover.model.postgresql import PgOther, PgView

if TYPE_CHECKING:
    import psycopg

IS_OURS: Final = (
    "n.nspname NOT LIKE 'pg\\_%' "
    "AND n.nspname NOT IN ('information_schema', 'lockstep_move')"
)
"""Whether a schema is neither the system's nor the mover's."""

_OF_A_PARTITION = "only a partition has it, and SQLite has none"
_OF_AN_EXTENSION = (
    "EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = {0}.oid "
    "AND d.classid = '{1}'::regclass AND d.deptype = 'e')"
)

_QUESTIONS: Final = (
    # A view over a view was made after it.
    "SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' "
    "ELSE 'foreign table' END, n.nspname, c.relname, CASE c.relkind WHEN 'f' THEN "
    "'its rows are another server''s' ELSE 'its SQL is PostgreSQL''s' END, false, "
    "CASE c.relkind WHEN 'f' THEN '' ELSE format('CREATE %sVIEW %I.%I AS%s', "
    "CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END, n.nspname, c.relname, "
    "chr(10) || pg_get_viewdef(c.oid)) END "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relkind IN ('v', 'm', 'f') AND NOT c.relispartition AND {IS_OURS} "
    f"AND NOT {_OF_AN_EXTENSION.format('c', 'pg_class')} "
    "ORDER BY n.nspname <> 'public', n.nspname, c.oid",
    "SELECT 'sequence', n.nspname, c.relname, 'no column owns it' FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' "
    f"AND {IS_OURS} AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid "
    "AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i', 'e')) "
    "ORDER BY c.oid",
    "SELECT DISTINCT 'function', n.nspname, p.proname, 'SQLite stores no functions' "
    f"FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {IS_OURS} "
    f"AND NOT {_OF_AN_EXTENSION.format('p', 'pg_proc')} AND NOT EXISTS (SELECT 1 "
    "FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass "
    "AND d.deptype = 'i') ORDER BY 2, 3",
    # A trigger's own statement says little without its function's.
    "SELECT 'trigger', n.nspname, t.tgname, 'its SQL is PostgreSQL''s', false, "
    "pg_get_triggerdef(t.oid) || ';' || chr(10) || pg_get_functiondef(t.tgfoid) "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND {IS_OURS} ORDER BY t.oid",
    "SELECT 'rule', n.nspname, c.relname || '.' || r.rulename, "
    "'its SQL is PostgreSQL''s', false, pg_get_ruledef(r.oid) FROM pg_rewrite r "
    "JOIN pg_class c ON c.oid = r.ev_class "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE r.rulename <> '_RETURN' AND {IS_OURS} ORDER BY r.oid",
    "SELECT 'policy', n.nspname, c.relname || '.' || p.polname, "
    "'whoever opens the file sees all rows' "
    "FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid "
    f"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {IS_OURS} ORDER BY p.oid",
    "SELECT 'inheritance', n.nspname, c.relname, "
    "'its rows are no rows of ' || i.inhparent::regclass || ' any more' "
    "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE NOT c.relispartition AND c.relkind = 'r' AND {IS_OURS} ORDER BY c.oid",
    "SELECT CASE k.contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' "
    "WHEN 'x' THEN 'exclusion' ELSE 'unique' END, n.nspname, "
    f"c.relname || ': ' || pg_get_constraintdef(k.oid), '{_OF_A_PARTITION}' "
    "FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition "
    "AND k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conparentid = 0 "
    f"AND k.coninhcount = 0 AND {IS_OURS} ORDER BY k.oid",
    "SELECT CASE WHEN x.indisunique THEN 'unique' ELSE 'index' END, n.nspname, "
    f"c.relname || '.' || i.relname, '{_OF_A_PARTITION}' FROM pg_index x "
    "JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition "
    "AND NOT i.relispartition AND NOT EXISTS (SELECT 1 FROM pg_constraint k "
    "WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x')) "
    f"AND {IS_OURS} ORDER BY i.oid",
)
"""Each gives kind, schema, name and why; some whether it is data, and their SQL."""


_VIEWS: Final = (
    "SELECT n.nspname, c.relname, pg_get_viewdef(c.oid), "
    "ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid "
    "AND a.attnum > 0 ORDER BY a.attnum), "
    "ARRAY(SELECT format_type(a.atttypid, NULL) FROM pg_attribute a "
    "WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relkind = 'v' AND {IS_OURS} "
    f"AND NOT {_OF_AN_EXTENSION.format('c', 'pg_class')} ORDER BY c.oid"
)


def read_views(connection: psycopg.Connection[Any]) -> list[PgView]:
    """Return the views outside of the system's and our own schemas.

    One over another was made after it.
    """
    ask = "SELECT current_setting('search_path')"
    before = (connection.execute(ask).fetchone() or ("",))[0]
    set_path = "SELECT set_config('search_path', %s, false)"
    # Then no name stands without its schema.
    connection.execute(set_path, ("",))
    rows = connection.execute(_VIEWS.encode()).fetchall()
    connection.execute(set_path, (before,))
    return [
        PgView(schema, name, sql or "", list(zip(columns, types, strict=True)))
        for schema, name, sql, columns, types in rows
    ]


def read_others(connection: psycopg.Connection[Any]) -> list[PgOther]:
    """Return what is no table, outside of the system's and our own schemas."""
    found = [
        PgOther(*row)
        for question in _QUESTIONS
        for row in connection.execute(question.encode()).fetchall()
    ]
    row = connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone()
    if row is not None and row[0]:
        why = "they lie in no table; columns of type oid hold their numbers"
        found.append(PgOther("large objects", "public", f"{row[0]}", why, is_data=True))
    return found
