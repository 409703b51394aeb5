"""Values that the other engine would change are named before the first row moves."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.mover import Mover
from lockstep.mover.translate.outgrown import outgrowing

MakeDatabase = Callable[..., Database]

FILE = """
CREATE TABLE zeros (id INTEGER PRIMARY KEY, r REAL, n NUMERIC, i INT, bare);
CREATE TABLE strict (id INTEGER PRIMARY KEY, r REAL) STRICT;
CREATE TABLE computed (id INTEGER PRIMARY KEY, a INT, there INT AS (a + 1) STORED,
  here TEXT AS (printf('%d', a)) STORED, virtual TEXT AS (printf('%03d', a)));
CREATE TABLE digits (id INTEGER PRIMARY KEY, d DECIMAL(9, 2));
CREATE TABLE retyped (id INTEGER PRIMARY KEY, n INT, b BOOLEAN);
CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE);
CREATE UNIQUE INDEX by_name ON parents (name);
CREATE TABLE children (id INTEGER PRIMARY KEY, parent INT REFERENCES parents,
  name TEXT REFERENCES parents (name));
INSERT INTO zeros VALUES (1, 1.5, 1.5, 2.5, 1.5), (2, 2, 2, 2, 2);
INSERT INTO strict VALUES (1, 1.5);
INSERT INTO computed (id, a) VALUES (1, 1), (2, 5);
INSERT INTO digits VALUES (1, 1.5), (2, 2);
INSERT INTO retyped VALUES (1, 1, 1), (2, 2, 0);
INSERT INTO parents VALUES (1, 'One');
INSERT INTO children VALUES (1, 1, 'ONE'), (2, 9, 'one');
"""
THERE = """
INSERT INTO zeros VALUES (3, '-0', 1, 1, 1), (4, 1, '-0', 1, 1),
  (5, 1, 1, '-0', 1), (6, 1, 1, 1, '-0'), (7, 'NaN', 'NaN', 'NaN', 'NaN');
INSERT INTO strict VALUES (2, '-0');
UPDATE computed SET here = 'edited' WHERE id = 1;
ALTER TABLE computed ALTER there DROP EXPRESSION; UPDATE computed SET there = 9;
INSERT INTO digits VALUES (3, 0.12345678901234567891), (4, 'NaN'), (5, 1e40);
ALTER TABLE retyped ALTER n TYPE numeric, ALTER b TYPE integer USING b::integer;
INSERT INTO retyped VALUES (3, 1.5, 7);
INSERT INTO children VALUES (3, 1, 'two'), (4, NULL, NULL);
"""


def edited(path: Path, url: str) -> str:
    assert Mover(checker.made(path, FILE), url).move().is_exact
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(THERE.encode())
    return url


def test_what_columns_would_change_is_named_before_it_is_copied(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = edited(tmp_path / "a.db", make_database("postgresql").url.unmasked())
    path, file = tmp_path / "back.db", tmp_path / "q"
    mover = Mover(url, path, quarantine=file)
    losses = mover.plan().losses
    assert {(loss.kind, loss.name, loss.why.split(" ")[0]) for loss in losses} == {
        *(("type", f"zeros.{name}", "1") for name in ("r", "i")),
        ("type", "strict.r", "1"),
        ("generated column", "computed.here", "1"),
        ("generated column", "computed.there", "2"),
        ("type", "digits.d", "1"),
        ("foreign key", "children (parent) → parents", "1"),
        ("foreign key", "children (name) → parents", "1"),
    }
    assert all(loss.is_data == (loss.kind != "foreign key") for loss in losses)
    result = mover.move()
    assert result.plan.losses == losses
    assert not result.is_exact
    rejected = {
        (row["table"], row["key"], row["column"])
        for row in map(json.loads, file.read_text().splitlines())
    }
    assert rejected == {
        ("zeros", "3", "r"),
        ("zeros", "5", "i"),
        ("strict", "2", "r"),
        ("digits", "3", "d"),
    }
    assert result.verification is not None
    # A computed cell stays what SQLite computes; no other cell is another one.
    verification = result.verification
    assert (verification.differences, verification.recomputed) == ([], 3)
    assert verification.quarantined == len(rejected) == result.quarantined
    again = Mover(url, path).verify()
    assert again.is_same
    assert (again.recomputed, again.quarantined) == (3, 4)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("UPDATE computed SET there = 8 WHERE id = 1")
    differ = [(d.key, d.column) for d in Mover(url, path).verify().differences]
    assert differ == [("1", "there"), ("2", "there")]
    with closing(sqlite3.connect(path)) as connection:

        def rows(sql: str) -> list[str]:
            return [repr(row) for row in connection.execute(sql)]

        assert rows("SELECT id, n, bare FROM zeros WHERE id > 3") == [
            "(4, 0, 1)",
            "(6, 1, -0.0)",
            "(7, 'NaN', 'NaN')",
        ]
        assert rows("SELECT d FROM digits") == [
            "(1.5,)",
            "(2,)",
            "('NaN',)",
            "(1e+40,)",
        ]
        assert rows("SELECT n, b FROM retyped") == ["(1, 1)", "(2, 0)", "(1.5, 7)"]


MERGED = """
CREATE TABLE reals (id INTEGER PRIMARY KEY, inf NUMERIC UNIQUE, digits UNIQUE,
  apart UNIQUE, nocase UNIQUE COLLATE NOCASE, part, other);
CREATE UNIQUE INDEX one_part ON reals (part) WHERE id < 9;
CREATE UNIQUE INDEX no_part ON reals (other) WHERE id < 2;
CREATE TABLE wide (id INTEGER PRIMARY KEY, r REAL, a INT,
  c INT AS (CAST(r AS INTEGER)) STORED, d INT AS (CASE WHEN a * 2 > 5 THEN 1 END),
  e INT AS (a - 1), CHECK (a + 1 > 0), CHECK (a > 0));
CREATE INDEX by_cast ON wide (CAST(r AS INTEGER));
CREATE INDEX by_product ON wide (a * 2);
CREATE TABLE keyless (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE pointing (id INTEGER PRIMARY KEY, name TEXT REFERENCES keyless (name),
  parent INT REFERENCES keyless);
INSERT INTO reals VALUES (1, 'inf', '1e+20', 0.30000000000000004, 'INF', '1', '1'),
  (2, 9e999, 1e20, '0.3', 9e999, 1, 1);
PRAGMA ignore_check_constraints = ON;
INSERT INTO wide (id, r, a) VALUES (1, 1e300, 9223372036854775807), (2, -9e999, 2),
  (3, 9223372036854774784, 3), (4, -1.9, -4);
INSERT INTO keyless VALUES (1, 'a');
INSERT INTO pointing VALUES (1, 'a', 1), (2, 'a', 8);
"""


def test_what_postgresql_cannot_build_on_these_rows_is_named(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = checker.made(tmp_path / "a.db", MERGED)
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert result.is_exact
    assert result.not_built == []
    assert sorted((loss.kind, loss.name) for loss in result.plan.losses) == [
        ("check", "wide"),
        ("check", "wide"),
        ("foreign key", "pointing (name) → keyless"),
        ("foreign key", "pointing (parent) → keyless"),
        ("generated column", "wide.d"),
        ("index", "wide.by_product"),
        ("unique", "reals.one_part"),
        *(("unique", f"reals.sqlite_autoindex_reals_{n}") for n in (1, 2, 4)),
    ]
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT c, d, e FROM wide ORDER BY id").fetchall()
    assert found == [
        (2**63 - 1, 1, 2**63 - 2),
        (-(2**63), None, 1),
        (9223372036854774784, 1, 2),
        (-1, None, -5),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "a + b * 2",
        "-a",
        "CASE WHEN b IS NULL THEN 1 ELSE a / -1 END",
        "coalesce(a, 0) - 10 IN (1, 2) AND t LIKE 'x%' AND a BETWEEN -2 AND 2",
        "CAST(a AS TEXT) || (a + 1) COLLATE NOCASE > x'00'",
    ],
)
def test_an_integer_that_outgrows_is_found_and_no_real_is_taken_for_one(
    sql: str,
) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a, b, t)")

        def outgrown(a: float) -> bool:
            condition = outgrowing(sql)
            row = connection.execute(
                f"SELECT {condition} FROM (SELECT ? AS a, ? AS b, 'x' AS t)", (a, a)
            )
            return bool(row.fetchone()[0])

        limits = (2**63 - 1, -(2**63))
        assert any(outgrown(limit) for limit in limits)
        assert not any(outgrown(some) for some in (0, -5, 2**31, 1.5, 9e307))
