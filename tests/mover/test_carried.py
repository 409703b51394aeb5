"""Checks, computed columns, views and comments go on working on the other side."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.mover import checker
from tests.mover.checker import made

from lockstep.engine import Database
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]


COMPUTED = """
CREATE TABLE lines (id INTEGER PRIMARY KEY, qty INTEGER NOT NULL, cents INTEGER,
  name TEXT NOT NULL,
  total INTEGER GENERATED ALWAYS AS (qty * cents) STORED,
  folded TEXT AS (lower(trim(name))) VIRTUAL,
  half REAL AS (qty / 2.0),
  share INTEGER AS (cents / qty),
  twice INTEGER AS (total * 2),
  day TEXT AS (date(cents, 'unixepoch')));
CREATE UNIQUE INDEX by_folded ON lines (folded);
INSERT INTO lines (qty, cents, name) VALUES (3, 250, ' Ä Bolt '), (0, 7, 'NUT'),
  (-7, NULL, 'x'), (2, 9007199254740993, 'big');
"""


def test_a_computed_column_is_computed_on_postgresql_too(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = made(tmp_path / "a.db", COMPUTED)
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert result.is_exact
    assert [loss.name for loss in result.plan.losses] == ["lines.twice", "lines.day"]
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "INSERT INTO lines (qty, cents, name, twice, day) "
            "VALUES (9, 100, ' Ö', 1800, '1970-01-01') RETURNING total, folded, half, share"
        ).fetchone()
        assert row == (900, "Ö", 4.5, 11)
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO lines (qty, name) VALUES (1, 'nut ')")
    back = tmp_path / "back.db"
    assert Mover(url, back).move().is_exact
    with closing(sqlite3.connect(back)) as connection, connection:
        rows = connection.execute("SELECT total, folded, half, share, twice FROM lines")
        assert rows.fetchall()[-1] == (900, "Ö", 4.5, 11, 1800)
    connection.close()
    assert len(checker.sqlite_rows(back, "lines")) == 5


COMMENTED = """
CREATE TABLE parts (  -- what lies in the store
  id INTEGER PRIMARY KEY,  -- it's given by the scanner
  /* shelf,
   * row */
  bin TEXT DEFAULT '-- none',
  qty INTEGER /* never negative */ CHECK (qty >= 0),
  -- no column
  UNIQUE (bin)
);
INSERT INTO parts VALUES (1, 'A-1', 5);
"""
COMMENTS = [
    (0, "what lies in the store"),
    (1, "it's given by the scanner"),
    (2, "shelf,\nrow"),
    (3, "never negative"),
]


def comments(url: str) -> list[tuple[int, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            b"SELECT objsubid, description FROM pg_description "
            b"WHERE objoid = 'parts'::regclass ORDER BY objsubid"
        ).fetchall()


def test_comments_arrive_and_are_written_into_the_statement_on_the_way_back(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = made(tmp_path / "a.db", COMMENTED)
    url = make_database("postgresql").url.unmasked()
    Mover(path, url).move()
    assert comments(url) == COMMENTS
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"DROP SCHEMA lockstep_move CASCADE")
    Mover(url, tmp_path / "b.db").move()
    again = make_database("postgresql").url.unmasked()
    assert Mover(tmp_path / "b.db", again).move().is_exact
    assert comments(again) == COMMENTS


NATIVE = """
CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, qty integer, price numeric,
  CONSTRAINT named CHECK (name LIKE 'a%' AND name NOT LIKE '%\\_'),
  CONSTRAINT known CHECK (qty = ANY (ARRAY[1, 2, 3]) OR qty IS NULL),
  CONSTRAINT priced CHECK (price > 0), CONSTRAINT sorted CHECK (name < 'b'),
  double_qty integer GENERATED ALWAYS AS (qty * 2) STORED,
  loud text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE UNIQUE INDEX by_name ON items (lower(name)) WHERE qty > 1;
INSERT INTO items VALUES (1, 'apple', 2, 1.5), (2, 'a*', NULL, NULL);
"""


def test_what_postgresql_checks_and_computes_sqlite_does_too(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(NATIVE.encode())
    path = tmp_path / "b.db"
    result = Mover(url, path).move()
    assert result.is_exact
    assert sorted(loss.name.partition(":")[0] for loss in result.plan.losses) == [
        *("items", "items", "items.by_name", "items.loud")
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        for wrong in (
            "INSERT INTO items (id, name) VALUES (3, 'Apple')",
            "INSERT INTO items (id, name) VALUES (3, 'a_')",
            "INSERT INTO items (id, name, qty) VALUES (3, 'ab', 4)",
            "INSERT INTO items (id, name, qty) VALUES (3, 'aPPLE', 3)",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(wrong)
        row = connection.execute(
            "INSERT INTO items (id, name, qty) VALUES (3, 'ab', 3) RETURNING double_qty"
        ).fetchone()
    connection.close()
    assert row == (6,)


VIEWS = {
    "plain": "SELECT id, name, cents / 100.0 AS price FROM parts WHERE qty > 1",
    "starred": "SELECT p.*, s.name AS shelf FROM parts p LEFT JOIN shelves AS s "
    "ON s.id = p.shelf_id AND s.name LIKE 'A%'",
    "grouped": "SELECT shelf_id, count(*) n, sum(qty) AS total, max(name), min(cents) "
    "FROM parts GROUP BY shelf_id HAVING count(*) > 1 ORDER BY total DESC, 1",
    "latest": "SELECT name FROM parts ORDER BY name DESC, id LIMIT 5 OFFSET 2",
    "crossed": "SELECT a.id, b.id FROM shelves a, shelves b WHERE a.id < b.id",
    "distinct_days": "SELECT DISTINCT strftime('%Y-%m', made_at) AS month, made_at IS "
    "NULL FROM parts ORDER BY month",
    "cases": "SELECT id, CASE WHEN qty > 3 THEN 'many' ELSE substr(name, -2) END AS w, "
    "NOT qty FROM parts",
    "folded": "SELECT code FROM shelves ORDER BY code, id",
}
REFUSED = {
    "averaged": "SELECT avg(qty) FROM parts",
    "nested": "SELECT id FROM parts WHERE id IN (SELECT id FROM shelves)",
    "united": "SELECT id FROM parts UNION SELECT id FROM shelves",
    "bare": "SELECT name, max(qty) FROM parts",
    "by_code": "SELECT code, count(*) FROM shelves GROUP BY code",
}


def test_a_view_shows_the_same_rows(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = made(
        tmp_path / "a.db",
        "CREATE TABLE shelves (id INTEGER PRIMARY KEY, name TEXT, "
        "code TEXT COLLATE NOCASE);"
        "CREATE TABLE parts (id INTEGER PRIMARY KEY, name TEXT, qty INTEGER, "
        "cents INTEGER, shelf_id INTEGER, made_at DATETIME);"
        + "".join(f"CREATE VIEW {n} AS {sql};" for n, sql in (VIEWS | REFUSED).items()),
    )
    connection = sqlite3.connect(path)
    connection.executemany(
        "INSERT INTO shelves VALUES (?, ?, ?)",
        [(1, "A1", "b"), (2, "a2", "A"), (3, "B", "a"), (4, None, None)],
    )
    connection.executemany(
        "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)",
        [
            (i, *row)
            for i, row in enumerate(
                [
                    *(("Ä", 1, 250, 1, "2024-02-29 10:00:00"), ("a", 5, -7, 1, None)),
                    *(
                        ("Z", 2, None, 2, "2024-02-01 00:00:00"),
                        (None, 0, 3, None, None),
                    ),
                    *(("b", 7, 99, 1, "2023-12-31 23:59:59"), ("é", 3, 1, 9, None)),
                    *(("Zz", None, 50, 2, None), ("a", 4, 4, 4, "2024-02-01 00:00:00")),
                ]
            )
        ],
    )
    connection.commit()
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert {loss.name: "" for loss in result.plan.losses}.keys() == REFUSED.keys()
    with psycopg.connect(url) as other:
        for name, sql in VIEWS.items():
            mine = connection.execute(f"SELECT * FROM {name}").fetchall()
            rows = other.execute(f"SELECT * FROM {name}".encode()).fetchall()
            theirs = [tuple(checker.canonical(v) for v in row) for row in rows]
            expected = [tuple(checker.canonical(v) for v in row) for row in mine]
            if "ORDER BY" not in sql:
                theirs.sort(key=repr)
                expected.sort(key=repr)
            assert theirs == expected, name
    connection.close()
    back = Mover(url, tmp_path / "back.db").move()
    assert back.is_exact
    assert back.plan.losses == []


NO_TEXTS = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, g INTEGER AS (id + 1) VIRTUAL,
  h TEXT AS (typeof("g")) STORED, u AS (mine(a)) VIRTUAL, CHECK ("rowid" < 9));
INSERT INTO t (a) VALUES ('one'), (NULL);
CREATE VIEW numbers AS SELECT "rowid" AS r, a FROM t;
CREATE VIEW mine_only AS SELECT "u" AS u FROM t;
"""


def test_names_in_double_quotes_that_are_no_columns_here_are_no_texts(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    """SQLite takes an unknown name in double quotes for a text; these are none."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("mine", 1, str, deterministic=True)
        connection.executescript(NO_TEXTS)
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert result.is_exact
    assert {(loss.kind, loss.name) for loss in result.plan.losses} == {
        *(("generated column", "t.h"), ("generated column", "t.u"), ("check", "t")),
        *(("view", "numbers"), ("view", "mine_only")),
    }
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT id, g, h FROM t ORDER BY id").fetchall()
    assert rows == [(1, 2, "integer"), (2, 3, "integer")]
