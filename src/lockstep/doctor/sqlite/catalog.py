"""Read the schema of a SQLite file into the doctor's catalog.

Owns the PRAGMAs that describe a schema. Tables of SQLite itself, virtual tables
and the shadow tables behind them are left out: nobody but their module writes
them, and what looks odd there is how it works. So are the tables that the GeoPackage
standard prescribes, and the mover's own.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from lockstep.doctor.catalog import Catalog, Column, ForeignKey, Index, Table
from lockstep.doctor.sqlite.declared import family_of, length_of
from lockstep.doctor.sqlite.opening import Opened
from lockstep.mover.own_tables import OUR_PREFIX
from lockstep.schema.names import quote_identifier as quoted


def read_catalog(opened: Opened) -> Catalog:
    """Return the ordinary tables that can be read, in the order they were made."""
    connection = opened.connection
    shadows = _shadow_tables(connection)
    statements = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY rowid"
    ).fetchall()
    kinds = _kinds(connection)
    estimates = _estimates(connection)
    return Catalog(
        tuple(
            _table(connection, name, sql, kinds.get(name, ""), estimates.get(name))
            for name, sql in statements
            if name not in shadows
            and kinds.get(name, "table") != "shadow"
            and not name.startswith(("gpkg_", OUR_PREFIX))
            and ("table", name) not in opened.unparsable
        )
    )


def _table(
    connection: sqlite3.Connection,
    name: str,
    sql: str,
    kind: str,
    estimate: int | None,
) -> Table:
    rows = connection.execute(f"PRAGMA table_xinfo({quoted(name)})").fetchall()
    # hidden: 0 ordinary, 1 of a virtual table, 2 and 3 generated.
    columns = tuple(
        Column(
            name=row[1],
            declared=row[2],
            family=family_of(row[2]),
            nullable=not row[3],
            length_max=length_of(row[2]),
        )
        for row in rows
        if row[6] != 1
    )
    keys = sorted((row[5], row[1]) for row in rows if row[5])
    return Table(
        name=name,
        columns=columns,
        primary_key=tuple(column for _, column in keys),
        indexes=_indexes(connection, name, sql or "", [k for _, k in keys], columns),
        foreign_keys=_foreign_keys(connection, name),
        sql=sql or "",
        has_rowid="rowid" not in kind.split(),
        strict="strict" in kind.split(),
        rows_estimate=estimate,
    )


def _indexes(
    connection: sqlite3.Connection,
    table: str,
    sql: str,
    key: list[str],
    columns: tuple[Column, ...],
) -> tuple[Index, ...]:
    found: list[Index] = []
    statements: dict[str, str | None] = dict(
        connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?",
            (table,),
        ).fetchall()
    )
    # Without COLLATE in the table its columns, and keys to them, compare bytes.
    own_collations = "COLLATE" in sql.upper()
    for _, name, unique, origin, partial in connection.execute(
        f"PRAGMA index_list({quoted(table)})"
    ).fetchall():
        # seqno, column number, name, descending, collation, part of the key
        rows = connection.execute(f"PRAGMA index_xinfo({quoted(name)})").fetchall()
        parts = [row for row in rows if row[5]]
        sorted_alike = own_collations or all(row[4] == "BINARY" for row in parts)
        made_by = statements.get(name) or ""
        covers = not partial or _leaves_out_nulls(made_by, parts)
        found.append(
            Index(
                name=name,
                columns=tuple(part[2] for part in parts),
                unique=bool(unique),
                partial=bool(partial),
                finds_keys=sorted_alike and covers,
                sql=made_by,
                declared=origin == "c",
                special=any(row[3] or row[4] != "BINARY" for row in parts),
            )
        )
    own = next((c for c in columns if [c.name] == key), None)
    if own is not None and own.declared.upper() == "INTEGER":
        # The rowid itself is the index.
        found.append(Index("rowid", (own.name,), unique=True, declared=False))
    return tuple(found)


_ONLY_NOT_NULL = re.compile(
    r"\bWHERE\s*\(*\s*[\"`\[]?(\w+)[\"`\]]?\s+(IS\s+NOT\s+NULL|NOTNULL)\s*\)*\s*;?\s*$",
    re.IGNORECASE,
)


def _leaves_out_nulls(sql: str, parts: list[Any]) -> bool:
    """Return whether a partial index leaves out NULLs of its own columns only.

    SQLite uses it then for every equality with such a column.
    See https://sqlite.org/partialindex.html
    """
    found = _ONLY_NOT_NULL.search(sql)
    columns = {str(part[2]).lower() for part in parts}
    return found is not None and found[1].lower() in columns


def _foreign_keys(connection: sqlite3.Connection, table: str) -> tuple[ForeignKey, ...]:
    parts: dict[int, list[tuple[int, str, str, str | None, str]]] = {}
    for number, position, parent, column, other, _, on_delete, _ in connection.execute(
        f"PRAGMA foreign_key_list({quoted(table)})"
    ).fetchall():
        part = (position, parent, column, other, on_delete)
        parts.setdefault(number, []).append(part)
    found: list[ForeignKey] = []
    for number, columns in sorted(parts.items()):
        columns.sort()
        others = tuple(other for *_, other, _ in columns if other is not None)
        parent = columns[0][1]
        found.append(
            ForeignKey(
                columns=tuple(column for _, _, column, _, _ in columns),
                parent=parent,
                parent_columns=others or _primary_key(connection, parent),
                on_delete=columns[0][4],
                number=number,
            )
        )
    return tuple(found)


def _primary_key(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    rows = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    return tuple(name for _, name in sorted((row[5], row[1]) for row in rows if row[5]))


def _kinds(connection: sqlite3.Connection) -> dict[str, str]:
    """Return what each table is, in words: ``shadow``, or ``table rowid strict``.

    The word ``rowid`` here means WITHOUT ROWID.
    """
    try:
        rows = connection.execute("PRAGMA table_list").fetchall()
    except sqlite3.Error:  # before 3.37
        return {}
    found: dict[str, str] = {}
    for schema, name, kind, _, without_rowid, strict in rows:
        if schema == "main":
            words = [kind, "rowid" * without_rowid, "strict" * strict]
            is_shadow = kind == "shadow"
            found[name] = "shadow" if is_shadow else " ".join(filter(None, words))
    return found


def _shadow_tables(connection: sqlite3.Connection) -> set[str]:
    """Return the tables behind virtual ones, also where SQLite cannot say so."""
    names = [
        row[0]
        for row in connection.execute("SELECT name FROM sqlite_master").fetchall()
    ]
    virtual = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"
        ).fetchall()
    ]
    endings = (
        *("_data", "_idx", "_content", "_docsize", "_config"),  # FTS5
        *("_segments", "_segdir", "_stat"),  # FTS3, FTS4
        *("_node", "_parent", "_rowid"),  # R-tree
    )
    possible = {f"{name}{ending}" for name in virtual for ending in endings}
    return possible & set(names)


def _estimates(connection: sqlite3.Connection) -> dict[str, int]:
    try:
        rows = connection.execute("SELECT tbl, stat FROM sqlite_stat1").fetchall()
    except sqlite3.Error:
        return {}
    found: dict[str, int] = {}
    for table, statistics in rows:
        first = str(statistics).split(" ", 1)[0]
        if first.isdigit():
            found[table] = max(found.get(table, 0), int(first))
    return found
