"""Checks, computed columns, views and comments go on working on the other side."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

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
    "averaged": "SELECT shelf_id, avg(qty), avg(DISTINCT cents) FROM parts GROUP BY 1",
    "of_none": "SELECT avg(qty), sum(qty), count(qty) FROM parts WHERE id > 99",
    "nested": "SELECT id FROM parts WHERE shelf_id IN (SELECT id FROM shelves WHERE "
    "name > 'B') OR name NOT IN (SELECT name FROM shelves WHERE name IS NOT NULL)",
    "not_in_null": "SELECT id FROM parts WHERE id NOT IN (SELECT shelf_id FROM parts)",
    "existing": "SELECT s.id FROM shelves s WHERE EXISTS (SELECT 1 FROM parts "
    "WHERE shelf_id = s.id AND name = s.name) OR NOT EXISTS "
    "(SELECT * FROM parts p WHERE p.shelf_id = s.id)",
    "greatest": "SELECT name, (SELECT max(qty) FROM parts p WHERE p.shelf_id = "
    "parts.shelf_id) AS most FROM parts WHERE qty = (SELECT max(qty) FROM parts)",
    "newest": "SELECT id, (SELECT name FROM parts WHERE shelf_id = s.id "
    "ORDER BY id DESC LIMIT 1) FROM shelves s",
    "united": "SELECT name, id FROM parts UNION SELECT name, id FROM shelves "
    "UNION ALL SELECT 'x', 9 FROM shelves ORDER BY name DESC, 2",
    "left_to_right": "SELECT id FROM parts UNION SELECT shelf_id FROM parts "
    "INTERSECT SELECT id FROM shelves EXCEPT SELECT 3 FROM shelves",
    "inner_totals": "SELECT t.s, t.n * 2, total FROM (SELECT shelf_id AS s, count(*) n, "
    "sum(qty) AS total FROM parts GROUP BY shelf_id) t JOIN shelves ON shelves.id = t.s "
    "WHERE t.n > 1",
    "unnamed": "SELECT * FROM (SELECT id, name || '!', made_at FROM parts) WHERE id > 2",
    "with_totals": "WITH big AS (SELECT id, name AS who, shelf_id FROM parts WHERE "
    "qty > 1), counted(s, n) AS (SELECT shelf_id, count(*) FROM big GROUP BY shelf_id) "
    "SELECT who, n FROM big JOIN counted ON s IS shelf_id ORDER BY who, big.id",
    "with_shadow": "WITH parts AS (SELECT id AS qty FROM shelves) SELECT qty FROM parts "
    "WHERE qty IN (WITH shelves AS (SELECT qty FROM parts) SELECT qty FROM shelves)",
    "own_groups": "SELECT id, (SELECT max(n) FROM (SELECT count(*) AS n, name AS code "
    "FROM parts GROUP BY code)) FROM shelves WHERE id IN (SELECT shelf_id AS id "
    "FROM parts GROUP BY shelf_id)",
    "over_a_view": "SELECT n, total + 1 AS more FROM grouped WHERE total IS NOT NULL",
    "braced": "SELECT '{}' AS x, id FROM (SELECT id, '{}' FROM shelves) AS \"a {} b\"",
}
REFUSED = {
    "averaged_reals": "SELECT avg(cents / 100.0) FROM parts",
    "recursive": "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 5) "
    "SELECT i FROM n",
    "by_alias": 'SELECT name AS "x" FROM parts WHERE "x" = name',
    "inner_alias": "SELECT id FROM parts WHERE EXISTS (SELECT code AS qty FROM shelves "
    "WHERE qty > 3)",
    "any_code": "SELECT id FROM parts WHERE name = (SELECT max(name) FROM shelves) "
    "AND 'a' = (SELECT code FROM shelves ORDER BY id LIMIT 1)",
    "any_row": "SELECT (SELECT name FROM parts) FROM shelves",
    "united_classes": "SELECT id FROM parts UNION SELECT name FROM parts",
    "united_codes": "SELECT code FROM shelves UNION SELECT code FROM shelves",
    "in_codes": "SELECT id FROM shelves WHERE code IN (SELECT name FROM parts)",
    "bare": "SELECT name, max(qty) FROM parts",
    "by_code": "SELECT code, count(*) FROM shelves GROUP BY code",
}


def compare_views(mine: Any, theirs: Any) -> None:
    for name, sql in VIEWS.items():
        shown = [
            [
                tuple(checker.canonical(value) for value in row)
                for row in connection.execute(f"SELECT * FROM {name}")
            ]
            for connection in (mine, theirs)
        ]
        if "ORDER BY" not in sql.rpartition(")")[2]:
            for rows in shown:
                rows.sort(key=repr)
        assert shown[0] == shown[1], name


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
    assert {loss.name for loss in result.plan.losses} == set(REFUSED)
    with psycopg.connect(url) as other:
        compare_views(connection, other)
        # Whatever comes later: names that differ little, many equal, many missing.
        chance = random.Random(7)
        names = [None, "", "a", "A", "Ä", "é", "b", "Zz", "12", " a"]
        added = [
            (
                *(100 + i, chance.choice(names), chance.choice([None, *range(-3, 9)])),
                *(
                    chance.choice([None, 0, -7, 10**12 + 1]),
                    chance.choice([None, 1, 2, 9]),
                ),
                chance.choice(
                    [None, f"20{i:02}-02-28 23:59:59", "2024-02-29 00:00:00"]
                ),
            )
            for i in range(90)
        ]
        connection.executemany("INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)", added)
        other.cursor().executemany(
            "INSERT INTO parts VALUES (%s, %s, %s, %s, %s, %s)", added
        )
        compare_views(connection, other)
        other.rollback()
    connection.rollback()
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
