"""SQLite's CREATE TABLE, taken apart and put together."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.migrations.sqlite.table_text import parse_table
from lockstep.migrations.sqlite.tokens import canonical, tokens

ODD = """CREATE TABLE IF NOT EXISTS "T (x" (
 id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, -- the key, of course
 'a b' TEXT DEFAULT NULL CHECK (length("a b") < 10) COLLATE NOCASE,
 [c] DECIMAL(10, 2) NOT NULL DEFAULT -1.5 CONSTRAINT cc CHECK(c > (0)),
 d INT GENERATED ALWAYS AS (c * 2) STORED, e AS (c+1), /* , */
 f INT REFERENCES "T (x"(id) ON DELETE SET NULL ON UPDATE SET DEFAULT
   NOT DEFERRABLE INITIALLY DEFERRED NOT NULL,
 g, h TEXT NULL UNIQUE ON CONFLICT IGNORE, `check` BLOB DEFAULT x'00',
 CONSTRAINT pk2 UNIQUE (c, d) CHECK (1), FOREIGN KEY (c) REFERENCES o(x) MATCH FULL
)"""


@given(st.text())
def test_joining_the_tokens_gives_the_statement_back(sql: str) -> None:
    assert "".join(token.text for token in tokens(sql)) == sql


def test_letters_beyond_ascii_make_names_and_no_blanks() -> None:
    name = "\N{PARTY POPPER}\N{NO-BREAK SPACE}"
    text = f"CREATE TABLE {name} (\N{BALLOON} INTEGER PRIMARY KEY)"
    table = parse_table(text)
    assert table.name == name
    assert table.rowid_alias() == "\N{BALLOON}"
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(text)  # so does SQLite
        found = connection.execute("SELECT name FROM sqlite_master").fetchone()
    assert found == (name,)


def test_an_odd_table_is_understood_and_stays_the_same_table() -> None:
    table = parse_table(ODD)
    assert table.name == "T (x"
    assert [column.name for column in table.columns] == [
        *("id", "a b", "c", "d", "e", "f", "g", "h", "check"),
    ]
    assert table.has_autoincrement
    assert table.rowid_alias() == "id"
    kinds = [clause.kind for clause in table.column("f").clauses]
    assert kinds == ["references", "not null"]
    assert [clause.name for clause in table.constraints] == ["pk2", None, None]
    assert table.column("c").clause("default").expression == "-1.5"  # type: ignore[union-attr]

    def shape(sql: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(":memory:")) as connection, connection:
            connection.execute(sql)
            found = connection.execute('PRAGMA table_xinfo("T (x")').fetchall()
            found += connection.execute('PRAGMA foreign_key_list("T (x")').fetchall()
        connection.close()
        return found

    assert shape(table.sql()) == shape(ODD)


@pytest.mark.parametrize(
    "sql", ["CREATE VIRTUAL TABLE t USING fts5(a)", "CREATE TABLE t AS SELECT 1", ""]
)
def test_what_is_no_ordinary_table_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="table"):
        parse_table(sql)


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("a>0", '( "A" > 0 )', True),
        ("a == 1", "a = 1", True),
        ("a = 'X'", "a = 'x'", False),
        ("(a) + (b)", "a + b", False),
        ("a /* why */ > 0", "a > 0", True),
    ],
)
def test_only_spelling_is_free(one: str, two: str, same: bool) -> None:
    assert (canonical(one) == canonical(two)) is same
