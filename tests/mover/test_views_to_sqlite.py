"""Views of PostgreSQL that a file gets show what they showed there, or are named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.mover import Mover, plan_to_toml
from lockstep.mover.plan import views_from_postgresql
from lockstep.mover.translate.views_to_sqlite import View
from lockstep.mover.verify import views

MakeDatabase = Callable[..., Database]

TABLES = """
CREATE TYPE mood AS ENUM ('ok', 'bad');
CREATE SCHEMA elsewhere;
CREATE TABLE part (id int PRIMARY KEY, name text, price numeric(9, 2), real8 float8,
  real4 real, at timestamptz, day date, mood mood, ok bool, big bigint, doc jsonb,
  code varchar(9), "Ab" int, "aB" int);
CREATE TABLE move (id int PRIMARY KEY, part int REFERENCES part, qty int, "Note" text);
CREATE TABLE elsewhere.part (id int);
CREATE TABLE heir (more int) INHERITS (elsewhere.part);
INSERT INTO part SELECT i, 'n' || i % 3, i * 1.5, i / 3.0, i / 3.0,
  '2024-01-01'::timestamptz + i * interval '1 h', '2024-01-01'::date + i,
  CASE WHEN i % 2 = 0 THEN 'ok' ELSE 'bad' END::mood, nullif(i, 5) % 2 = 0,
  i * 10000000000, '{"a": 1}', repeat('x', i % 4), i, -i FROM generate_series(1, 10) i;
INSERT INTO part (id) VALUES (11), (12);
INSERT INTO move SELECT i, nullif(i % 9, 4) + 1, i % 13, 'N' || i % 4
  FROM generate_series(1, 30) i;
INSERT INTO elsewhere.part VALUES (1), (2);
"""
CARRIED = {
    "plain": "SELECT id, name, price, real8, real4, at, day, mood, ok, doc FROM part",
    "joined": 'SELECT p.id, p.name, m.qty, m."Note" FROM part p JOIN move m '
    "ON m.part = p.id WHERE m.qty > 3 AND p.ok",
    "grouped": 'SELECT p.name, count(*) AS n, count(DISTINCT m."Note") AS kinds, '
    "sum(m.qty) AS total, max(m.qty) AS top, min(p.real8) AS least, sum(p.big) AS big, "
    "coalesce(sum(p.big), 0) AS sure, max(p.day) AS last FROM part p LEFT JOIN move m "
    "ON m.part = p.id GROUP BY p.name HAVING count(*) > 1 ORDER BY count(*), p.name",
    "of_view": "SELECT name, n + 1 AS more FROM grouped WHERE n > 2",
    "united": "SELECT id FROM part UNION SELECT part FROM move ORDER BY 1 DESC LIMIT 7",
    "twice": "SELECT id, qty AS n FROM move UNION ALL SELECT id, id FROM part",
    "less": "SELECT id FROM part EXCEPT SELECT part FROM move",
    "cases": "SELECT id, CASE WHEN ok THEN 'yes' WHEN ok IS NULL THEN 'unknown' ELSE "
    "'no' END AS word, id % 3 AS rest, name || '!' AS loud, -id AS minus, id / 2 AS h, "
    "real8 * 2 AS twice, ok AND id > 3 AS both, nullif(id, 3) AS no_three FROM part "
    "WHERE mood = 'ok' OR name IN ('n1', 'n2') OR code LIKE 'x%' OR name IS NULL",
    "within": "SELECT x.id, x.total FROM (SELECT part AS id, sum(qty) AS total FROM move"
    " GROUP BY part) x WHERE x.total > 10",
    "members": "SELECT id FROM part WHERE id IN (SELECT part FROM move WHERE qty > 9) "
    "AND NOT EXISTS (SELECT 1 FROM move m WHERE m.id = part.id AND m.qty = 4)",
    "latest": "SELECT id FROM part ORDER BY day DESC, id LIMIT 3 OFFSET 1",
    "nulls": "SELECT id, real8 FROM part ORDER BY ok, real8 DESC NULLS LAST, id",
    "distinct_ones": "SELECT DISTINCT ok, mood, at FROM part",
    "one_value": "SELECT id, (SELECT max(qty) FROM move WHERE part = p.id) AS most "
    "FROM part p",
    "three": "SELECT p.id, m.qty, n.id AS other FROM (part p JOIN move m ON p.id = "
    "m.part) LEFT JOIN move n ON n.id = m.id + 20 CROSS JOIN (SELECT max(id) AS most "
    "FROM part) x WHERE m.id < x.most",
    "cut_short": "SELECT id, name::text AS name FROM part WHERE code::varchar(9) = 'xx'",
}
NAMED = {
    "averages": ("SELECT avg(price) AS a FROM part", "avg() of numeric"),
    "decimals": ("SELECT price * 2 AS p FROM part", "numeric"),
    "dear": ("SELECT id FROM part WHERE price > 3", "numeric"),
    "same": ("SELECT price, count(*) AS n FROM part GROUP BY price", "GROUP BY of"),
    "four": ("SELECT id FROM part WHERE real4 < 1", "four bytes"),
    "first_names": ("SELECT name FROM part ORDER BY name LIMIT 2", "order of texts"),
    "cut": ("SELECT name::varchar(1) AS c FROM part", "cast to character varying(1)"),
    "sums": ("SELECT sum(real8) AS s FROM part", "sum() of real"),
    "numbered": ("SELECT row_number() OVER () AS n FROM part", "OVER"),
    "with_one": ("WITH x AS (SELECT 1 FROM part) SELECT id FROM part, x", "WITH"),
    "using_one": ("SELECT id FROM part JOIN move USING (id)", "USING"),
    "full_one": ("SELECT p.id FROM part p FULL JOIN move m ON p.id = m.id", "FULL"),
    "first_of": ("SELECT DISTINCT ON (name) name, id FROM part", "on()"),
    "moment": ("SELECT now() AS at FROM part", "now()"),
    "nowhere": ("SELECT 1 AS one", "FROM"),
    "catalog": ("SELECT relname FROM pg_class", "pg_class"),
    "of_heirs": ("SELECT id FROM elsewhere.part", "elsewhere.part"),
    "over_named": ("SELECT a FROM averages", "averages"),
    "case_only": ('SELECT "Ab" FROM part', "Ab"),
}


def with_views(url: str) -> str:
    every = CARRIED | {name: sql for name, (sql, _) in NAMED.items()}
    made = "".join(f"CREATE VIEW {name} AS {sql};" for name, sql in every.items())
    made += "CREATE VIEW elsewhere.plain AS SELECT id FROM public.part;"
    made += "CREATE MATERIALIZED VIEW kept AS SELECT id FROM part;"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((TABLES + made).encode())
    return url


def test_a_view_shows_the_same_rows_or_is_named_with_its_reason(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url, path = with_views(make_database("postgresql").url.unmasked()), tmp_path / "a"
    result = Mover(url, path).move()
    assert result.is_exact
    assert result.not_built == []
    lost = {x.name: x.why for x in result.plan.losses if x.kind.endswith("view")}
    assert lost.keys() == NAMED.keys() | {"kept"}
    for name, (_, reason) in NAMED.items():
        assert reason in lost[name], name
    differ = {x.name for x in result.plan.losses if x.kind == "expression"}
    assert differ == {"grouped", "latest"}
    with closing(sqlite3.connect(path)) as connection:
        views = connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'")
        assert {name for (name,) in views} == CARRIED.keys() | {"elsewhere_plain"}
    for name in CARRIED:
        there = checker.postgresql_rows(url, name)
        assert there, f"{name} has to show something"
        found = checker.sqlite_rows(path, name)
        if name in ("plain", "distinct_ones"):
            # Written as the tables write them: a moment in UTC, a decimal's digits.
            assert found.total() == there.total()
        else:
            assert found == there, name
    with closing(sqlite3.connect(path)) as here, psycopg.connect(url) as there:
        ordered = ("grouped", "united", "latest", "nulls")
        for query in (f"SELECT * FROM {name}" for name in ordered):
            rows = [tuple(row) for row in there.execute(query.encode()).fetchall()]
            first = [str(row[0]) for row in rows]
            assert [str(row[0]) for row in here.execute(query)] == first
        one, two = "SELECT * FROM plain ORDER BY id", "SELECT * FROM part ORDER BY id"
        columns = "id, name, price, real8, real4, at, day, mood, ok, doc"
        own = here.execute(two.replace("*", columns)).fetchall()
        assert here.execute(one).fetchall() == own
    # Back there they are views again.
    again = make_database("postgresql").url.unmasked()
    back = Mover(path, again).move()
    assert back.is_exact
    assert checker.postgresql_rows(again, "united") == checker.postgresql_rows(
        url, "united"
    )


def test_views_follow_a_mapping_and_are_no_part_of_a_way_back(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            b"CREATE TABLE t (id int PRIMARY KEY, n text); INSERT INTO t VALUES (1, '7');"
            b"CREATE VIEW more AS SELECT id + 1 AS next FROM t;"
            b"CREATE VIEW named AS SELECT id FROM t WHERE n = '7'"
        )
    text = plan_to_toml(Mover(url, tmp_path / "a.db").plan())
    text = text.replace(
        '"n" = { target = "n", type = "TEXT", codec = "text"',
        ('"n" = { target = "m", type = "INTEGER", codec = "integer"'),
    )
    result = Mover(url, tmp_path / "a.db", plan=text).move()
    assert result.is_exact
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        assert connection.execute("SELECT * FROM more").fetchall() == [(2,)]
    assert [(x.kind, x.name) for x in result.plan.losses] == [("view", "named")]

    nocase = checker.made(
        tmp_path / "b.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT COLLATE NOCASE);"
        "INSERT INTO t VALUES (1, 'A')",
    )
    url = make_database("postgresql").url.unmasked()
    assert Mover(nocase, url).move().is_exact
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"CREATE VIEW low AS SELECT id FROM t WHERE n = 'a'")
    (loss,) = Mover(url, tmp_path / "back.db").plan().losses
    assert (loss.kind, loss.name) == ("view", "low")
    assert loss.sql.startswith("CREATE VIEW")


SHOWN = """
CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, s TEXT);
INSERT INTO t VALUES (1, 9223372036854775807, 'a'), (2, 5, NULL);
CREATE VIEW fails AS SELECT n + 1 AS more FROM t;
CREATE VIEW over_it AS SELECT more FROM fails WHERE more > 0;
CREATE VIEW fails_here_too AS SELECT sum(n) AS total FROM t;
CREATE VIEW many AS SELECT a.id FROM t a, t b, t c;
CREATE VIEW fine AS SELECT id, n, s FROM t;
"""


def test_a_view_that_would_show_other_rows_is_taken_back(
    tmp_path: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "ROWS_MAX", 7)
    path = checker.made(tmp_path / "a.db", SHOWN)
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert result.is_exact
    assert [(x.kind, x.name) for x in result.not_built] == [
        ("view", "fails"),
        ("view", "over_it"),
    ]
    assert "out of range" in result.not_built[0].why
    assert result.notices == ["the view many was not compared: it has more than 7 rows"]
    with psycopg.connect(url) as connection:
        names = connection.execute("SELECT viewname FROM pg_views").fetchall()
    assert {("fine",), ("fails_here_too",), ("many",)} <= set(names)
    assert not {("fails",), ("over_it",)} & set(names)
    # It is told by every later run, and the file gets all of them again.
    assert Mover(path, url).move().not_built == result.not_built
    assert Mover(url, tmp_path / "back.db").move().is_exact
    assert checker.sqlite_rows(tmp_path / "back.db", "over_it").total() == 2


def test_a_wrong_translation_would_not_stay(
    tmp_path: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            b"CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2);"
            b"CREATE VIEW twice AS SELECT id * 2 AS n FROM t;"
            b"CREATE VIEW same AS SELECT id FROM t;"
            b"CREATE VIEW last AS SELECT id FROM t ORDER BY id DESC LIMIT 1"
        )
    translated = views_from_postgresql.view_to_sqlite

    def wrong(*words: Any) -> View:
        made = translated(*words)
        sql = made.sql.replace("* 2", "* 3").replace(" DESC", "")
        return replace(made, sql=sql)

    monkeypatch.setattr(views_from_postgresql, "view_to_sqlite", wrong)
    result = Mover(url, tmp_path / "a.db").move()
    assert [(loss.name, loss.why) for loss in result.not_built] == [
        ("twice", "it lacks '2'; it was taken back"),
        ("last", "it lacks '2'; it was taken back"),
    ]
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        shown = connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'")
        assert shown.fetchall() == [("same",)]


CHOOSING = """
CREATE TABLE t (id {integer} PRIMARY KEY, n {integer}, s TEXT);
INSERT INTO t VALUES (1, 2, 'd'), (4, 1, 'a'), (2, 2, 'c'), (3, 1, 'b'), (5, 0, 'e');
CREATE VIEW tied AS SELECT id, n FROM t ORDER BY n LIMIT 2;
CREATE VIEW behind AS SELECT id FROM t ORDER BY n LIMIT 1 OFFSET 1;
CREATE VIEW any_two AS SELECT id FROM t LIMIT 2;
CREATE VIEW over_tied AS SELECT id FROM tied;
CREATE VIEW within AS SELECT id FROM t WHERE id IN (SELECT id FROM t ORDER BY n LIMIT 2);
CREATE VIEW total AS SELECT id FROM t ORDER BY n, id LIMIT 2;
CREATE VIEW sure AS SELECT id FROM t ORDER BY n LIMIT 1;
"""


@pytest.mark.parametrize("engine", ["sqlite", "libsql"])
def test_a_limit_that_chooses_between_equal_rows_is_no_difference(
    engine: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    """PostgreSQL has met the rows in another order than SQLite will."""
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(CHOOSING.format(integer="int").encode())
    target = make_database(engine).url
    result = Mover(url, target.path or target.unmasked()).move()
    assert (result.not_built, result.plan.losses) == ([], [])
    told = {notice.split()[2] for notice in result.notices if "LIMIT" in notice}
    assert told == {"tied", "behind", "any_two", "over_tied", "within"}
