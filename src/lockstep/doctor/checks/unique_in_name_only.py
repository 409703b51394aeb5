"""What is called unique and is not, and what is unique and lets duplicates in."""

from __future__ import annotations

import re

from lockstep.doctor.catalog import Index, Table
from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Finding, counted
from lockstep.doctor.limits import OutOfTime
from lockstep.doctor.names import says_unique
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.doctor.uniqueness import closing_sql, loopholes
from lockstep.schema import constraint_name
from lockstep.schema.names import quote_identifier as quoted

_COMMENT = re.compile(r"--([^\n]*)|/\*(.*?)\*/", re.DOTALL)
_SAID = re.compile(r"(?<!not )(?<!non-)(?<!non )\bunique\b", re.IGNORECASE)
_COLUMN_LINE = re.compile(r'^\s*["`\[]?(\w+)["`\]]?\s[^\n]*?--([^\n]*)$', re.MULTILINE)


def examine(context: SqliteContext) -> Findings:
    """Compare names and comments with what the indexes enforce."""
    written = dict(
        context.rows(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"
        )
    )
    for table in context.tables:
        for index in table.indexes:
            said = _said(table, index, _comments(written.get(index.name, "")))
            if said:
                elsewhere = context.opened.is_sorted_elsewhere(table.sql)
                duplicates = None if elsewhere else _duplicates(context, table, index)
                yield _finding(table, index, said, duplicates)
        for column, comment in _COLUMN_LINE.findall(table.sql):
            if table.column(column) is None or table.is_unique((column,)):
                continue
            if _SAID.search(comment):
                yield CHECK.finding(
                    "warning",
                    f"{table.name}.{column}",
                    "a comment in the table's definition says unique, and nothing "
                    "enforces it",
                    mend="make a unique index, after removing duplicates",
                    command=f"CREATE UNIQUE INDEX "
                    f"{quoted(constraint_name('uq', table.plain_name, column))} ON "
                    f"{table.quoted} ({quoted(column)})",
                )
        if not context.opened.is_sorted_elsewhere(table.sql):
            yield from _let_in(context, table)


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Compare names and comments with what the indexes enforce."""
    for table in context.tables:
        for index in table.indexes:
            said = _said(table, index, index.comment)
            if said:
                readable = table in context.readable_tables
                duplicates = _duplicates(context, table, index) if readable else None
                yield _finding(table, index, said, duplicates)
    modern = context.version >= 150000
    for table in context.readable_tables:
        yield from _let_in(context, table, nulls_not_distinct=modern)


def _let_in(
    context: SqliteContext | PostgresqlContext,
    table: Table,
    *,
    nulls_not_distinct: bool = False,
) -> Findings:
    """Yield the duplicates that unique indexes of ``table`` let in."""
    parents = {
        (key.parent, set_of(key.parent_columns))
        for other in context.tables
        for key in other.foreign_keys
    }
    told: set[tuple[str, ...]] = set()
    for index in table.indexes:
        for loophole in loopholes(table, index, context.limits.rows_max):
            is_parent = (table.name, set_of(index.columns)) in parents
            if loophole.columns in told or (loophole.kind == "key" and is_parent):
                continue  # such an index is what a composite foreign key points at
            try:
                count = int(context.value(loophole.question) or 0)
            except OutOfTime:
                continue
            if not count:
                continue
            told.add(loophole.columns)
            columns = ", ".join(loophole.columns)
            yield CHECK.finding(
                loophole.severity,
                f"{table.name}.{columns}"
                if len(loophole.columns) == 1
                else f"{table.name} ({columns})",
                f"{index.name} is unique, and "
                f"{counted(count, 'value stands', 'values stand')} there "
                f"{loophole.what}",
                mend="decide which of the rows stay; then make an index that refuses "
                "such rows",
                command=closing_sql(
                    loophole, table, index, nulls_not_distinct=nulls_not_distinct
                ),
                evidence={
                    "columns": list(loophole.columns),
                    "kind": loophole.kind,
                    "duplicates": count,
                },
            )


def set_of(columns: tuple[str | None, ...]) -> frozenset[str]:
    """Return the names in any order and case."""
    return frozenset(name.lower() for name in columns if name is not None)


def _said(table: Table, index: Index, comment: str) -> str:
    """Return where it is said that ``index`` is unique; empty when it is, or not."""
    plain = tuple(name for name in index.columns if name is not None)
    if index.unique or (len(plain) == len(index.columns) and table.is_unique(plain)):
        return ""
    if says_unique(index.name, index.columns, table.plain_name):
        return "its name"
    return "its comment" if _SAID.search(comment) else ""


def _comments(sql: str) -> str:
    return " ".join(a or b for a, b in _COMMENT.findall(sql or ""))


def _duplicates(
    context: SqliteContext | PostgresqlContext, table: Table, index: Index
) -> int | None:
    """Return how many values occur more than once; None when nobody could count."""
    if None in index.columns or index.partial:
        return None
    columns = [quoted(name) for name in index.columns if name is not None]
    given = " AND ".join(f"{name} IS NOT NULL" for name in columns)
    sql = (
        f"SELECT count(*) FROM (SELECT 1 FROM {table.quoted} WHERE {given}"
        f" GROUP BY {', '.join(columns)} HAVING count(*) > 1) AS d"
    )
    try:
        return int(context.value(sql))
    except OutOfTime:
        return None


def _finding(table: Table, index: Index, said: str, duplicates: int | None) -> Finding:
    columns = ", ".join(name or "an expression" for name in index.columns)
    found = (
        f"; {counted(duplicates, 'value occurs', 'values occur')} more than once "
        "already"
        if duplicates
        else ""
    )
    return CHECK.finding(
        "problem" if duplicates else "warning",
        f"{table.name}: {index.name}",
        f"{said} says that the index over ({columns}) is unique, and it is not{found}",
        mend="remove the duplicates and make it unique; or rename it",
        command=_made_unique(table, index),
        evidence={"columns": list(index.columns), "duplicates": duplicates},
    )


def _made_unique(table: Table, index: Index) -> str:
    """Return the statements that put a unique index in the place of a plain one."""
    listed = ", ".join(quoted(name) for name in index.columns if name is not None)
    own = f"CREATE INDEX {quoted(index.name)} ON {table.quoted} ({listed})"
    made = re.sub(r"(?i)^\s*CREATE\s+INDEX", "CREATE UNIQUE INDEX", index.sql or own)
    return f"DROP INDEX {table.beside(index.name)}; {made}"


CHECK = Check(
    name="unique-in-name-only",
    looks_for="Plain indexes whose name or comment says unique (uq_, unq, unique); "
    "unique ones that let duplicates in: texts that differ in case or spaces only, "
    "NULLs among several columns, the primary key among the columns.",
    why="Everybody who reads the schema relies on it, and duplicates get in.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
