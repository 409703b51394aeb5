"""Indexes that are called unique, or said to be, and are not."""

from __future__ import annotations

import re

from lockstep.doctor.catalog import Index, Table
from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Finding, counted
from lockstep.doctor.limits import OutOfTime
from lockstep.doctor.names import says_unique
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.context import SqliteContext
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
                duplicates = _duplicates(context, table, index)
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
                    command=f"CREATE UNIQUE INDEX ON {table.quoted} ({quoted(column)})",
                )


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Compare names and comments with what the indexes enforce."""
    for table in context.tables:
        for index in table.indexes:
            said = _said(table, index, index.comment)
            if said:
                yield _finding(table, index, said, None)


def _said(table: Table, index: Index, comment: str) -> str:
    """Return where it is said that ``index`` is unique; empty when it is, or not."""
    plain = tuple(name for name in index.columns if name is not None)
    if index.unique or (len(plain) == len(index.columns) and table.is_unique(plain)):
        return ""
    if says_unique(index.name, index.columns):
        return "its name"
    return "its comment" if _SAID.search(comment) else ""


def _comments(sql: str) -> str:
    return " ".join(a or b for a, b in _COMMENT.findall(sql or ""))


def _duplicates(context: SqliteContext, table: Table, index: Index) -> int | None:
    """Return how many values occur more than once; None when nobody could count."""
    if None in index.columns or index.partial:
        return None
    if context.opened.is_sorted_elsewhere(table.sql):
        return None
    columns = [quoted(name) for name in index.columns if name is not None]
    given = " AND ".join(f"{name} IS NOT NULL" for name in columns)
    sql = (
        f"SELECT count(*) FROM (SELECT 1 FROM {table.quoted} WHERE {given}"
        f" GROUP BY {', '.join(columns)} HAVING count(*) > 1)"
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
        command=f"CREATE UNIQUE INDEX … ON {table.quoted} ("
        + ", ".join(quoted(name) for name in index.columns if name)
        + ")",
        evidence={"columns": list(index.columns), "duplicates": duplicates},
    )


CHECK = Check(
    name="unique-in-name-only",
    looks_for="Plain indexes whose name or comment says unique (uq_, unq, unique).",
    why="Everybody who reads the schema relies on it, and duplicates get in.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
