"""The schema of a SQLite database, read for comparison.

Owns the reading: PRAGMAs for structure, the stored CREATE text for what no
PRAGMA tells (names of constraints, checks, collations, generated expressions).
Must not know: models, PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from lockstep.migrations.sqlite.catalog import Catalog
from lockstep.migrations.sqlite.table_text import (
    Clause,
    ColumnText,
    TableText,
    parse_table,
)
from lockstep.migrations.sqlite.tokens import (
    canonical,
    closing,
    fold,
    joined,
    meaningful,
    quote,
    split_top,
    tokens,
)
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
    import sqlalchemy as sa


def sqlite_snapshot(
    connection: sa.Connection, *, ignore: Collection[str] = ()
) -> SchemaState:
    """Return the schema of the connection's main database.

    Args:
        connection: In a transaction of the caller's.
        ignore: Tables to leave out, such as Alembic's own.
    """
    catalog = Catalog(connection)
    schema = SchemaState()
    left_out = {fold(name) for name in ignore}
    for stored in catalog.tables():
        if fold(stored.name) in left_out:
            continue
        text = parse_table(stored.sql)
        schema.tables[stored.name] = _table(catalog, stored.name, text)
    return schema


def _table(catalog: Catalog, name: str, text: TableText) -> TableState:
    state = TableState(name, options=_options(text))
    keyed = {fold(column) for column in _key_columns(catalog, name)}
    for column in text.columns:
        state.columns[column.name] = _column(
            column, is_alias=column.name == text.rowid_alias(), keyed=keyed
        )
    state.primary_key = _primary_key(catalog, name, text)
    state.uniques = _uniques(catalog, name, text)
    state.foreign_keys = _foreign_keys(catalog, name, text)
    state.checks = [
        CheckState(clause.name, canonical(clause.expression))
        for _, clause in text.clauses()
        if clause.kind == "check"
    ]
    for stored in catalog.objects_on(name):
        if stored.type == "index":
            state.indexes.append(index_state(stored.sql))
        else:
            state.triggers[stored.name] = canonical(stored.sql)
    return state


def _options(text: TableText) -> frozenset[str]:
    options = {
        "strict": text.is_strict,
        "without rowid": text.is_without_rowid,
        "autoincrement": text.has_autoincrement,
    }
    return frozenset(name for name, present in options.items() if present)


def _column(column: ColumnText, *, is_alias: bool, keyed: set[str]) -> ColumnState:
    default = column.clause("default")
    collate = column.clause("collate")
    generated = column.clause("generated")
    # A rowid can never be NULL, and a key that is no rowid may be by an old
    # accident of SQLite that no model wants; both count as NOT NULL.
    nullable = (
        column.clause("not null") is None
        and not is_alias
        and fold(column.name) not in keyed
    )
    return ColumnState(
        name=column.name,
        type=" ".join(part.text.upper() for part in meaningful(tokens(column.type))),
        nullable=nullable,
        default=None if default is None else _default(default.expression),
        generated=None if generated is None else _generated(generated),
        collation=None if collate is None else _collation(collate),
    )


def _default(text: str) -> str | None:
    spelled = canonical(text)
    return None if spelled == "null" else spelled


def _generated(clause: Clause) -> str:
    stored = any(part.is_word("STORED") for part in tokens(clause.text))
    return f"{canonical(clause.expression)} {'stored' if stored else 'virtual'}"


def _collation(clause: Clause) -> str | None:
    name = (meaningful(tokens(clause.text))[-1].name or "").upper()
    return None if name == "BINARY" else name


def _key_columns(catalog: Catalog, table: str) -> list[str]:
    rows = [r for r in catalog.rows(f"PRAGMA table_xinfo({quote(table)})") if r[5]]
    return [row[1] for row in sorted(rows, key=lambda row: row[5])]


def _primary_key(catalog: Catalog, name: str, text: TableText) -> UniqueState | None:
    columns = _key_columns(catalog, name)
    if not columns:
        return None
    clause = next(c for _, c in text.clauses() if c.kind == "primary key")
    return UniqueState(clause.name, tuple(columns))


def _uniques(catalog: Catalog, name: str, text: TableText) -> list[UniqueState]:
    names: dict[tuple[str, ...], list[str | None]] = {}
    for column, clause in text.clauses():
        if clause.kind == "unique":
            listed = clause.columns if column is None else (column.name,)
            key = tuple(fold(item) for item in listed)
            names.setdefault(key, []).append(clause.name)
    found: list[UniqueState] = []
    for row in catalog.rows(f"PRAGMA index_list({quote(name)})"):
        if row[3] != "u":
            continue
        info = catalog.rows(f"PRAGMA index_info({quote(row[1])})")
        columns = tuple(str(item[2]) for item in info)
        known = names.get(tuple(fold(item) for item in columns))
        found.append(UniqueState(known.pop(0) if known else None, columns))
    return found


def _foreign_keys(
    catalog: Catalog, name: str, text: TableText
) -> list[ForeignKeyState]:
    clauses: list[tuple[tuple[str, ...], Clause]] = []
    for column, clause in text.clauses():
        if clause.kind in ("references", "foreign key"):
            listed = clause.columns if column is None else (column.name,)
            clauses.append((tuple(fold(item) for item in listed), clause))
    grouped: dict[int, list[tuple[object, ...]]] = {}
    for row in catalog.rows(f"PRAGMA foreign_key_list({quote(name)})"):
        grouped.setdefault(row[0], []).append(tuple(row))
    found: list[ForeignKeyState] = []
    for rows in grouped.values():
        rows.sort(key=lambda row: int(str(row[1])))
        columns = tuple(str(row[3]) for row in rows)
        target = str(rows[0][2])
        remote = tuple("" if row[4] is None else str(row[4]) for row in rows)
        if "" in remote:  # REFERENCES parent, without columns: its primary key
            remote = tuple(_key_columns(catalog, target)) or remote
        key = tuple(fold(item) for item in columns)
        clause = next(
            (c for listed, c in clauses if listed == key and _points(c, target)), None
        )
        deferral = "" if clause is None else clause.deferral.lower()
        actions = f"delete {rows[0][6]} update {rows[0][5]}"
        found.append(
            ForeignKeyState(
                None if clause is None else clause.name,
                columns,
                target,
                remote if len(remote) == len(columns) else columns,
                f"{actions} {deferral}".rstrip(),
            )
        )
    return found


def _points(clause: Clause, target: str) -> bool:
    return fold(clause.target or "") == fold(target)


def index_state(sql: str) -> IndexState:
    """Take a CREATE INDEX statement apart."""
    parts = tokens(sql)
    start = next(i for i, part in enumerate(parts) if part.is_symbol("("))
    end = closing(parts, start)
    head = meaningful(parts[:start])
    on = max(i for i, part in enumerate(head) if part.is_word("ON"))
    behind = [i for i, part in enumerate(parts) if i > end and part.is_word("WHERE")]
    keys = tuple(
        _index_key(joined(group)) for group in split_top(parts[start + 1 : end], ",")
    )
    return IndexState(
        name=head[on - 1].name or "",
        unique=head[1].is_word("UNIQUE"),
        keys=keys,
        where=canonical(joined(parts[behind[0] + 1 :])) if behind else None,
    )


def _index_key(text: str) -> str:
    spelled = canonical(text)
    return spelled.removesuffix(" asc")
