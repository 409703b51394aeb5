"""What a SQLite file says about its own tables.

Owns the reading of ``sqlite_master`` and the PRAGMAs into plain values: columns,
keys, foreign keys, indexes, checks, views, triggers, virtual tables and the
tables those keep for themselves. It reads no row and knows no other engine.

Invariant: a statement that this code cannot take apart loses its checks and its
collations in the description (``problem`` says so), never its columns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lockstep.migrations.sqlite.table_text import TableText, parse_table
from lockstep.migrations.sqlite.tokens import fold, quote
from lockstep.mover.asking import rows_of
from lockstep.mover.model.sqlite import (
    Column,
    ForeignKey,
    Index,
    IndexPart,
    Schema,
    StoredStatement,
    Table,
    TableKind,
)
from lockstep.mover.model.values import Damaged, tolerant
from lockstep.mover.own_tables import journal_prefix, our_tables
from lockstep.mover.sqlite.unparsable import Name

ROWID_NAMES = ("rowid", "_rowid_", "oid")


def read_schema(
    connection: Any, unparsable: Mapping[Name, str] = MappingProxyType({})
) -> Schema:
    """Describe every table, view and trigger of the main database.

    A name that is no UTF-8 cannot be asked for: its table has a ``problem``.

    Args:
        connection: To the database.
        unparsable: What cannot be parsed in it, and why; such a table has a
            ``problem`` and no columns, whatever SQLite made of it.
    """
    if not isinstance(connection, sqlite3.Connection):
        return _read_schema(connection, unparsable)
    before, connection.text_factory = connection.text_factory, tolerant
    try:
        return _read_schema(connection, unparsable)
    finally:
        connection.text_factory = before


def _read_schema(connection: Any, unparsable: Mapping[Name, str]) -> Schema:
    encoding = str(rows_of(connection, "PRAGMA encoding")[0][0])
    stored = rows_of(
        connection, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"
    )
    listed = {row[1]: row for row in rows_of(connection, "PRAGMA main.table_list")}
    sequences = _sequences(connection, stored)
    ours = our_tables(journal_prefix(connection))
    tables: list[Table] = []
    for kind, name, _, sql in stored:
        if kind != "table" or name.lower().startswith("sqlite_") or name in ours:
            continue
        problem = unparsable.get((kind, name), "")
        if problem:
            tables.append(Table(name, "table", sql or "", [], problem=problem))
            continue
        table = _table(connection, name, sql or "", listed.get(name))
        table.sequence = sequences.get(name) if table.autoincrement else None
        tables.append(table)
    return Schema(
        tables,
        [
            StoredStatement(kind, name, table, sql, unparsable.get((kind, name), ""))
            for kind, name, table, sql in stored
            if kind in ("view", "trigger")
        ],
        [
            (kind, name, sql)
            for kind, name, _, sql in stored
            if sql is not None
            and not (name.lower().startswith("sqlite_") or name in ours)
        ],
        encoding,
        {name: why for (kind, name), why in unparsable.items() if kind == "index"},
    )


def _sequences(connection: Any, stored: list[Any]) -> dict[str, int]:
    if not any(row[1] == "sqlite_sequence" for row in stored):
        return {}
    rows = rows_of(connection, "SELECT name, seq FROM sqlite_sequence")
    return {name: seq for name, seq in rows if isinstance(seq, int)}


def _table(connection: Any, name: str, sql: str, listed: Any) -> Table:
    kind: TableKind = "table"
    if listed is not None and listed[2] in ("virtual", "shadow"):
        kind = listed[2]
    table = Table(name, kind, sql, [])
    if sql.lstrip().upper().startswith("CREATE VIRTUAL"):
        table.kind = "virtual"
        table.module = _module_of(sql)
    if listed is not None:
        table.without_rowid, table.strict = bool(listed[4]), bool(listed[5])
    if table.is_contentless:
        table.problem = "a full-text index without content gives no text back"
        return table
    try:
        _read_columns(connection, table)
    except sqlite3.DatabaseError as error:
        table.problem = str(error)
        return table
    if any(isinstance(n, Damaged) for n in (name, *(c.name for c in table.columns))):
        # A column that is asked for by another name is read as a text of that name.
        table.problem = "its name or a column's is no UTF-8: rename it before the move"
        table.columns = []
        return table
    if table.kind == "virtual":
        table.rowid_name = "rowid"
        return table
    if isinstance(sql, Damaged):
        table.problem = "its statement holds what is no UTF-8; the way back replaces it"
    deferrals = _read_text(table)
    _read_keys(connection, table, deferrals)
    return table


def _module_of(sql: str) -> str:
    words = sql.split("(")[0].split()
    return words[-1].lower() if words else ""


def _read_columns(connection: Any, table: Table) -> None:
    for row in rows_of(connection, f"PRAGMA table_xinfo({quote(table.name)})"):
        _, name, declared, not_null, default, key_position, hidden = row
        if hidden == 1:
            continue  # a virtual table's own arguments
        generated = {2: "virtual", 3: "stored"}.get(hidden, "")
        words = declared or ""
        if generated:
            # SQLite reports the clause as part of the type.
            words = words.upper().replace("GENERATED ALWAYS", "").strip()
        table.columns.append(
            Column(name, words, bool(not_null), default, key_position, generated)
        )


def leave_out_uncomputable(connection: Any, table: Table) -> None:
    """Take out the virtual columns that SQLite fails to compute.

    Only an application may have the function, or a row holds what it refuses.
    """
    for column in [c for c in table.columns if c.generated == "virtual"]:
        try:
            rows_of(
                connection,
                f"SELECT count({quote(column.name)}) FROM {quote(table.name)}",
            )
        except sqlite3.DatabaseError as error:
            table.uncomputable[column.name] = str(error)
            table.columns.remove(column)


def _read_text(table: Table) -> list[str]:
    """Take from the statement what no PRAGMA tells.

    Returns:
        When each foreign key is looked at, in the order of the statement.
    """
    try:
        text = parse_table(table.sql)
    except (ValueError, IndexError, KeyError):
        table.problem = "its CREATE TABLE statement could not be taken apart"
        only = table.column(table.key[0]) if len(table.key) == 1 else None
        if only is not None and only.declared.upper() == "INTEGER":
            table.rowid_alias = table.rowid_name = only.name
        return []
    for column_text in text.columns:
        column = table.column(column_text.name)
        if column is None:
            continue
        collate = column_text.clause("collate")
        if collate is not None:
            column.collation = collate.text.split()[-1].strip("\"'`[]").upper()
        generated = column_text.clause("generated")
        if generated is not None:
            column.expression = generated.expression
    table.autoincrement = text.has_autoincrement
    table.checks = [
        (clause.name, clause.expression)
        for _, clause in text.clauses()
        if clause.kind == "check"
    ]
    _find_rowid(table, text)
    return [
        clause.deferral
        for _, clause in text.clauses()
        if clause.kind in ("references", "foreign key")
    ]


def _find_rowid(table: Table, text: TableText) -> None:
    if table.without_rowid:
        return
    alias = text.rowid_alias()
    table.rowid_alias = alias if alias is not None and len(table.key) == 1 else None
    taken = {fold(column.name) for column in table.columns}
    free = [name for name in ROWID_NAMES if name not in taken]
    table.rowid_name = free[0] if free else None
    if table.rowid_alias is not None:
        table.rowid_name = table.rowid_alias


def _read_keys(connection: Any, table: Table, deferrals: Sequence[str]) -> None:
    if not table.sql and not table.columns:
        return
    if not table.without_rowid and table.rowid_name is None and table.problem:
        table.rowid_name = "rowid" if table.column("rowid") is None else None
    groups: dict[int, ForeignKey] = {}
    for row in rows_of(connection, f"PRAGMA foreign_key_list({quote(table.name)})"):
        number, _, parent, child, referred, on_update, on_delete, _ = row
        key = groups.setdefault(
            number, ForeignKey([], parent, [], on_update, on_delete, number=number)
        )
        key.columns.append(child)
        if referred is not None:
            key.referred.append(referred)
    # SQLite lists the last one first.
    table.foreign_keys = [groups[number] for number in sorted(groups, reverse=True)]
    for key, deferral in zip(table.foreign_keys, deferrals, strict=False):
        key.deferral = deferral
    for row in rows_of(connection, f"PRAGMA index_list({quote(table.name)})"):
        table.indexes.append(_index(connection, row))
    table.indexes.reverse()


def _index(connection: Any, row: Any) -> Index:
    _, name, unique, origin, partial = row
    parts = [
        IndexPart(column, bool(descending), str(collation or "BINARY").upper())
        for _, number, column, descending, collation, is_key in rows_of(
            connection, f"PRAGMA index_xinfo({quote(name)})"
        )
        if is_key and number != -1
    ]
    found = rows_of(
        connection,
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?",
        name,
    )
    sql = found[0][0] if found else None
    return Index(name, bool(unique), origin, bool(partial), parts, sql)
