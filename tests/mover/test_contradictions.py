"""Rows that a target would refuse are named before the first of them is copied."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.mover import Mover
from lockstep.mover.postgresql import contradictions

MakeDatabase = Callable[..., Database]

FILE = """
CREATE TABLE nocase (k TEXT COLLATE NOCASE PRIMARY KEY, n INT);
CREATE TABLE blanks (k TEXT COLLATE RTRIM PRIMARY KEY);
CREATE TABLE merged (id INTEGER PRIMARY KEY, k BLOB UNIQUE);
CREATE TABLE numbered (id INTEGER PRIMARY KEY, k STRING, r REAL, i INT UNIQUE);
CREATE TABLE counted (id INTEGER PRIMARY KEY, t TEXT);
CREATE TABLE strict (id INTEGER PRIMARY KEY, r REAL, a ANY) STRICT;
CREATE TABLE checked (id INTEGER PRIMARY KEY, t TEXT CHECK (printf('%s', t) <> 'bad'));
CREATE TABLE pairs (id INTEGER PRIMARY KEY, a TEXT, b TEXT, UNIQUE (a, b));
CREATE UNIQUE INDEX by_expression ON pairs (printf('%s', b)) WHERE a > 'm';
CREATE UNIQUE INDEX by_part ON pairs (b) WHERE a < 'm';
INSERT INTO nocase VALUES ('a', 1), ('b', 2);
INSERT INTO blanks VALUES ('a');
INSERT INTO merged VALUES (1, '1'), (2, 1);
INSERT INTO numbered VALUES (1, 'x', 1.5, 'text'), (2, 'y', 'text', 5);
INSERT INTO counted VALUES (1, 'one'), (2, 'two');
INSERT INTO strict VALUES (1, 1.5, 'x');
INSERT INTO checked VALUES (1, 'good');
INSERT INTO pairs VALUES (1, 'a', 'x'), (2, 'z', 'x');
"""
THERE = """
ALTER TABLE nocase DROP CONSTRAINT pk_nocase; DROP INDEX uq_nocase_k;
INSERT INTO nocase VALUES ('A', 3), ('c', 4);
INSERT INTO blanks VALUES ('a ');
INSERT INTO merged VALUES (3, '7'), (4, '7');
INSERT INTO numbered VALUES (3, '7', '2.5', '8'), (4, '007', '2', '8.0'),
  (5, 'z', '-0.0', 'y');
ALTER TABLE counted DROP CONSTRAINT pk_counted;
INSERT INTO counted VALUES (2, 'two again'), (NULL, 'none');
INSERT INTO strict VALUES (2, 'NaN', 'x');
INSERT INTO checked VALUES (2, 'bad');
INSERT INTO pairs VALUES (3, 'b', 'y'), (4, 'y', 'x'), (5, NULL, 'x'), (6, NULL, 'x');
"""
NAMED = {
    ("unique", "nocase (k)", True),
    ("unique", "blanks (k)", True),
    ("unique", "merged (k)", True),
    ("type", "numbered.k", True),
    ("type", "numbered.r", True),
    ("type", "numbered.i", True),
    ("unique", "counted (id)", True),
    ("null", "counted.id", True),
    ("type", "strict", True),
    ("check", "checked", False),
    ("unique", "by_expression", False),
}


def there(path: Path, url: str) -> str:
    assert Mover(checker.made(path, FILE), url).move().is_exact
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"ALTER TABLE counted ALTER id DROP IDENTITY IF EXISTS")
        connection.execute(THERE.split("INSERT INTO counted")[0].encode())
        connection.execute(b"ALTER TABLE counted ALTER id DROP NOT NULL")
        rest = THERE.split("INSERT INTO counted")[1]
        connection.execute(f"INSERT INTO counted{rest}".encode())
    return url


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_what_the_files_own_statements_refuse_is_named_before_it_is_copied(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = there(tmp_path / "a.db", make_database("postgresql").url.unmasked())
    path = tmp_path / "back.db"
    mover = Mover(url, path, quarantine=tmp_path / "q")
    losses = mover.plan().losses
    assert {(loss.kind, loss.name, loss.is_data) for loss in losses} == NAMED
    result = mover.move()
    assert result.plan.losses == losses
    assert result.not_built == []
    # Nothing went that was not named: one row each, of two tables two.
    assert result.quarantined == 8
    assert rows(path, "SELECT * FROM nocase") == [("a", 1), ("b", 2), ("c", 4)]
    assert rows(path, "SELECT * FROM numbered WHERE id > 2") == [(3, 7, 2.5, 8)]
    assert rows(path, "SELECT t FROM counted") == [("one",), ("two",)]
    assert rows(path, "SELECT t FROM checked") == [("good",), ("bad",)]
    assert len(rows(path, "SELECT * FROM pairs")) == 6
    indexes = rows(path, "SELECT name FROM sqlite_master WHERE name LIKE 'by_%'")
    assert indexes == [("by_part",)]


def test_keys_that_the_server_still_holds_are_not_asked_for(
    tmp_path: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = checker.made(
        tmp_path / "a.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT, n NUMERIC);"
        "CREATE UNIQUE INDEX two ON t (b, a); CREATE UNIQUE INDEX some ON t (b)"
        "WHERE a > 'm'; INSERT INTO t VALUES (1, 'x', 'y', 1.5), (2, 'a', 'y', 'z')",
    )
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact

    def refused(*_: object) -> None:
        raise AssertionError("rows were read to find what cannot be there")

    monkeypatch.setattr(contradictions, "_judge", refused)
    assert Mover(url, tmp_path / "back.db").move().is_exact


UNCHECKED = """
CREATE DOMAIN sure AS integer CHECK (VALUE > 0);
CREATE TABLE parents (id integer PRIMARY KEY, n numeric UNIQUE, two numeric(9, 2) UNIQUE,
  doc jsonb UNIQUE, code varchar(9) UNIQUE, at timestamptz UNIQUE, own sure UNIQUE);
CREATE TABLE children (id bigint REFERENCES parents, n numeric REFERENCES parents (n),
  two numeric(9, 2) REFERENCES parents (two), doc jsonb REFERENCES parents (doc),
  code text REFERENCES parents (code), day date, at timestamptz REFERENCES parents (at),
  own bigint REFERENCES parents (own), qty integer);
INSERT INTO parents VALUES
  (1, 1.0, 1, '{"a": 1.0}', 'x', '2024-02-29 00:00:00+02', 7);
INSERT INTO children VALUES (1, 1.00, 1.00, '{"a": 1.00}', 'x', NULL,
  '2024-02-28 22:00:00+00', 7, -1), (9, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 5);
CREATE TABLE unfinished (n integer); INSERT INTO unfinished VALUES (1), (1);
"""


def test_what_the_server_never_checked_is_named(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            UNCHECKED.replace("bigint REFERENCES parents,", "bigint,").encode()
        )
        connection.execute(
            b"ALTER TABLE children ADD CONSTRAINT broken CHECK (qty > 0) NOT VALID,"
            b"ADD CONSTRAINT kept CHECK (qty < 9) NOT VALID,"
            b"ADD FOREIGN KEY (id) REFERENCES parents NOT VALID"
        )
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(
                b"CREATE UNIQUE INDEX CONCURRENTLY once ON unfinished (n)"
            )
    path = tmp_path / "there.db"
    result = Mover(url, path).move()
    assert result.is_exact
    assert result.not_built == []
    assert {(loss.kind, loss.name) for loss in result.plan.losses} == {
        ("check", "children: CHECK ((qty > 0)) NOT VALID"),
        ("check", "parents.own: CHECK ((VALUE > 0))"),
        ("foreign key", "children: FOREIGN KEY (id) REFERENCES parents(id) NOT VALID"),
        ("foreign key", "children: FOREIGN KEY (n) REFERENCES parents(n)"),
        ("foreign key", "children: FOREIGN KEY (doc) REFERENCES parents(doc)"),
        ("unique", "unfinished.once"),
    }
    # What is carried finds its parents, but for the row that never had one.
    assert [row[:3] for row in rows(path, "PRAGMA foreign_key_check")] == [
        ("children", 2, "parents")
    ]


def test_a_null_among_the_keys_hides_no_orphan(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE parents (code text UNIQUE, above text); "
            "CREATE TABLE children (above text, code text); "
            "INSERT INTO parents VALUES ('a'), (NULL); "
            "INSERT INTO children VALUES (NULL, 'a'), (NULL, 'b'), (NULL, NULL); "
            "ALTER TABLE children "
            "ADD FOREIGN KEY (code) REFERENCES parents (code) NOT VALID"
        )
    plan = Mover(url, tmp_path / "there.db").move().plan
    (found,) = plan.losses
    assert found.kind == "foreign key"
    assert found.why.startswith("1 row")


def test_rows_longer_than_sqlite_holds_are_named(
    tmp_path: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contradictions, "ROW_BYTES_MAX", 100_000)
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            b"CREATE TABLE t (id int, a text STORAGE EXTERNAL, b bytea); INSERT INTO t VALUES "
            b"(1, repeat('x', 60000), repeat('y', 60000)::bytea), "
            b"(2, repeat('x', 60000), '')"
        )
    plan = Mover(url, tmp_path / "there.db").plan()
    (loss,) = plan.losses
    assert (loss.kind, loss.name, loss.is_data) == ("type", "t", True)
    assert loss.why.startswith("1 row of more than 100,000 bytes")
    assert "quarantine" in {column.on_dirt for column in plan.tables[0].columns}


def test_a_key_that_the_file_sorts_as_numbers(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, url = tmp_path / "a.db", make_database("postgresql").url.unmasked()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE n (k INT NOT NULL PRIMARY KEY)")
        connection.execute("INSERT INTO n VALUES (''), (' '), ('b')")
    assert Mover(path, url).move().is_exact
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO n VALUES ('42'), ('5')")
    assert Mover(url, tmp_path / "back.db").move().is_exact
    with closing(sqlite3.connect(tmp_path / "back.db")) as connection:
        found = connection.execute("SELECT k FROM n ORDER BY k").fetchall()
    assert found == [(5,), (42,), ("",), (" ",), ("b",)]
