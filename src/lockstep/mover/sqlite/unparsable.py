"""Read on where a statement of the schema is one that this SQLite cannot parse.

Owns what happens to a file that a newer SQLite wrote, or a program with a syntax of
its own: one such view makes SQLite refuse the whole file. It reads on when it is
told that the schema may be written (https://sqlite.org/pragma.html#pragma_writable_schema),
and then passes over what it cannot parse without a word. So each statement is tried
alone, in a database in memory, and those that fail are known by name.

Invariant: only a connection that may not write (``query_only``) is told so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

Name = tuple[str, str]
"""The type and the name of an object of the schema."""

_Row = tuple[str, str, str, str]
_FIRST_READ = "SELECT count(*) FROM sqlite_master"


def read_first(connection: sqlite3.Connection) -> None:
    """Read the schema; read on where a statement in it cannot be parsed.

    Raises:
        sqlite3.DatabaseError: The file cannot be read even so.
    """
    try:
        connection.execute(_FIRST_READ).fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(_FIRST_READ).fetchone()


def find_unparsable(connection: sqlite3.Connection) -> dict[Name, str]:
    """Return the objects whose statements cannot be parsed here, and why.

    Args:
        connection: That ``read_first`` was called with. Where it read the schema
            without trouble there are none, and nothing is asked.
    """
    if not connection.execute("PRAGMA writable_schema").fetchone()[0]:
        return {}
    rows: list[_Row] = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    ).fetchall()
    owners = {row[1]: row for row in rows if row[0] in ("table", "view")}
    found: dict[Name, str] = {}
    for row in owners.values():
        problem = _problem([row])
        if problem:
            found[row[0], row[1]] = problem
    for kind, name, table, sql in rows:
        if kind not in ("index", "trigger"):
            continue
        owner = owners.get(table)
        if owner is None or owner[:2] in found:
            found[kind, name] = f"{table}, to which it belongs, cannot be read"
        elif problem := _problem([owner, (kind, name, table, sql)]):
            found[kind, name] = problem
    return found


def _problem(rows: Sequence[_Row]) -> str:
    """Return what SQLite says when it finds these statements in a file."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
        # Each object has a page that is there.
        scratch.execute("CREATE TABLE one (x)")
        scratch.execute("CREATE TABLE two (x)")
        scratch.execute("PRAGMA writable_schema = ON")
        scratch.execute("DELETE FROM sqlite_master")
        for page, (kind, name, table, sql) in enumerate(rows, 2):
            stored = page if kind in ("table", "index") else 0
            if sql.lstrip().upper().startswith("CREATE VIRTUAL"):
                stored = 0
            scratch.execute(
                "INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)",
                (kind, name, table, stored, sql),
            )
        scratch.execute("PRAGMA writable_schema = RESET")
        try:
            scratch.execute(_FIRST_READ).fetchone()
        except sqlite3.DatabaseError as error:
            return f"SQLite {sqlite3.sqlite_version} cannot parse it: {error}"
    return ""
