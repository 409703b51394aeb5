"""Statements that this SQLite cannot parse, and indexes without their texts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.mover import Mover, inspect_database

MakeDatabase = Callable[..., Database]

FROM_LATER = {
    "newer": "CREATE VIEW newer AS SELECT n FROM t ORDER BY n WITHIN LATER",
    "t_later": "CREATE UNIQUE INDEX t_later ON t (s LATER)",
    "on_later": "CREATE TRIGGER on_later AFTER LATER ON t BEGIN SELECT 1; END",
    "of_later": "CREATE TABLE of_later (n INTEGER PRIMARY KEY, s TEXT) LATER",
}
"""Read with the table option left out, the last one would give a row."""


def from_later(path: Path, *names: str) -> Path:
    """Make a file as a newer SQLite would: these objects have words of its own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            """
            CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT);
            INSERT INTO t VALUES (1, 'one'), (2, NULL);
            CREATE TABLE of_later (n INTEGER PRIMARY KEY, s TEXT);
            INSERT INTO of_later VALUES (7, 'seven');
            CREATE INDEX of_later_s ON of_later (s);
            CREATE VIEW newer AS SELECT n FROM t;
            CREATE UNIQUE INDEX t_later ON t (s);
            CREATE TRIGGER on_later AFTER INSERT ON t BEGIN SELECT 1; END;
            CREATE VIEW plain AS SELECT n FROM t;
            PRAGMA writable_schema = ON;
            """
        )
        for name in names:
            connection.execute(
                "UPDATE sqlite_master SET sql = ? WHERE name = ?",
                (FROM_LATER[name], name),
            )
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        checker.sqlite_rows(path, "t")
    return path


def test_what_cannot_be_parsed_is_named_and_all_else_arrives(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = from_later(tmp_path / "later.db", "newer", "t_later", "on_later")
    before = path.read_bytes()
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert result.is_exact
    assert checker.postgresql_rows(url, "t") == {(b"1", b"one"): 1, (b"2", None): 1}
    assert checker.postgresql_rows(url, "of_later").total() == 1
    assert checker.postgresql_rows(url, "plain").total() == 2
    lost = {loss.name: loss.why for loss in result.plan.losses}
    assert lost.keys() == {"newer", "t_later", "on_later"}
    assert all("cannot parse" in why for why in lost.values())

    back = tmp_path / "back.db"
    again = Mover(url, back).move()
    assert again.is_exact
    (newer,) = [loss for loss in again.plan.losses if loss.name == "newer"]
    # A SQLite that knows the words can make it again.
    assert newer.sql == FROM_LATER["newer"]
    assert checker.typed_rows(back, "t").total() == 2  # and it can be opened
    assert Mover(path, back).verify().is_same
    assert path.read_bytes() == before


def test_a_table_that_cannot_be_parsed_is_rows_left_behind(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = from_later(tmp_path / "later.db", "of_later")
    plan = Mover(path, make_database("postgresql").url.unmasked()).plan()
    assert [table.source for table in plan.carried()] == ["t"]
    (lost,) = [loss for loss in plan.losses if loss.is_data]
    assert (lost.kind, lost.name) == ("table", "of_later")
    assert "unknown table option" in lost.why
    assert "of_later_s" in {loss.name for loss in plan.losses}
    found = {finding.where for finding in inspect_database(path).findings}
    assert "of_later" in found

    same = tmp_path / "same.db"
    same.write_bytes(path.read_bytes())
    report = Mover(path, same).verify()
    assert {(d.kind, d.table) for d in report.differences} == {
        ("unreadable table", "of_later")
    }


def test_an_index_without_its_texts_comes_back_as_it_was(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = tmp_path / "index.db", tmp_path / "back.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE VIRTUAL TABLE f USING fts5(body, content = '')")
        connection.execute("INSERT INTO f (rowid, body) VALUES (3, 'a lost text')")
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert [(loss.kind, loss.name) for loss in result.plan.losses] == [
        ("virtual table", "f")
    ]
    assert "gives no text back" in result.plan.losses[0].why
    assert Mover(url, back).move().is_exact
    with closing(sqlite3.connect(back)) as connection:
        found = connection.execute("SELECT rowid FROM f WHERE f MATCH 'lost'")
        assert found.fetchall() == [(3,)]
        connection.execute("INSERT INTO f(f) VALUES ('integrity-check')")
    assert Mover(path, back).verify().is_same


def test_a_table_called_as_ours_goes_there_and_back(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = tmp_path / "theirs.db", tmp_path / "back.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE lockstep_move_state (a)")
        connection.execute("INSERT INTO lockstep_move_state VALUES (1)")
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    assert Mover(url, back).move().is_exact
    with closing(sqlite3.connect(back)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert found == [("lockstep_move_state",)]
    assert checker.typed_rows(back, "lockstep_move_state").total() == 1
