"""Rows that do not fit: noted in one way and accounted for, whoever refuses them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.errors import Unmappable
from lockstep.mover import Mover
from lockstep.mover.model.results import MoveResult
from lockstep.mover.postgresql import filling
from lockstep.mover.postgresql.journal import PostgresqlJournal
from lockstep.mover.sqlite.journal import SqliteJournal
from lockstep.mover.sqlite.target import SqliteTarget

MakeDatabase = Callable[..., Database]

SOURCE = """
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, size INTEGER, present INTEGER,
  price INTEGER, code TEXT, age INTEGER, day TEXT, qty);
INSERT INTO t VALUES (1, 'one', 1, 1, 1, 'a', 1, '2024-02-29', 1),
  (2, 'too long', 2, 2, 2, 'b', 2, '2024-02-29', 2),
  (3, 'x', 70000, 3, 3, 'c', 3, '2024-02-29', 3),
  (4, 'x', 4, NULL, 4, 'd', 4, '2024-02-29', 4),
  (5, 'x', 5, 5, -5, 'e', 5, '2024-02-29', 5),
  (6, 'x', 6, 6, 6, 'a', 6, '2024-02-29', 6),
  (7, 'x', 7, 7, 7, 'g', -7, '2024-02-29', 7),
  (8, 'x', 8, 8, 8, 'h', 8, '2024-02-30', 8),
  (9, 'x', 9, 9, 9, 'i', 9, '2024-02-29', 'lots'),
  (10, 'ten', 10, 10, 10, 'j', 10, '2024-02-29', 10),
  (12, 'l', 12, 12, 12, 'l', 12, '2024-02-29', 12);
"""
MAPPING = """
[tables.t.columns]
name = { type = "varchar(3)", codec = "text", on_dirt = "quarantine" }
size = { type = "smallint", codec = "integer", on_dirt = "quarantine" }
present = { type = "bigint", codec = "integer", not_null = true, on_dirt = "quarantine" }
price = { type = "bigint CHECK (price > 0)", codec = "integer", on_dirt = "quarantine" }
code = { type = "text UNIQUE DEFERRABLE INITIALLY DEFERRED CHECK (code <> name)", codec = "text", on_dirt = "quarantine" }
age = { type = "sure", codec = "integer", on_dirt = "quarantine" }
day = { type = "date", codec = "text", on_dirt = "quarantine" }
qty = { type = "bigint", codec = "integer", on_dirt = "quarantine" }
"""
NOTED = [
    ("2", "name", "'too long'"),
    ("3", "size", "70000"),
    ("4", "present", "None"),
    ("5", "price", "-5"),
    ("6", "code", "'a'"),
    ("7", "age", "-7"),
    ("8", "day", "'2024-02-30'"),
    ("9", "qty", "'lots'"),
    ("12", "", "'12 | l | 12 | 12 | 12 | l | 12 | 2024-02-29 | 12'"),
]


@pytest.fixture
def url(make_database: MakeDatabase) -> str:
    made = make_database("postgresql").url.unmasked()
    with psycopg.connect(made, autocommit=True) as connection:
        connection.execute("CREATE DOMAIN sure AS bigint CHECK (VALUE > 0)")
    return made


def noted(path: Path) -> list[tuple[str, str, str]]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [(row["key"], row["column"], row["value"]) for row in rows]


def accounted(result: MoveResult, mover: Mover) -> int:
    """Return how many rows all that counts them has counted."""
    assert result.verification is not None
    again = mover.verify()
    assert result.verification.difference_count == again.difference_count == 0
    counts = {
        *(result.quarantined, result.verification.quarantined, again.quarantined),
        sum(table.quarantined for table in result.tables),
    }
    assert not result.is_exact
    assert not again.is_exact
    (count,) = counts
    return count


def test_whoever_refuses_a_row_it_is_noted_and_accounted_for_in_one_way(
    tmp_path: Path, url: str
) -> None:
    path, file = checker.made(tmp_path / "a.db", SOURCE), tmp_path / "q"
    mover = Mover(path, url, plan=MAPPING, quarantine=file)
    result = mover.move()
    assert sorted(noted(file)) == sorted(NOTED)
    assert accounted(result, mover) == len(NOTED)
    with psycopg.connect(url, autocommit=True) as there:
        assert there.execute("SELECT id FROM t ORDER BY id").fetchall() == [(1,), (10,)]
        there.execute("DELETE FROM t WHERE id = 10")
    with closing(sqlite3.connect(path)) as here, here:
        here.execute("UPDATE t SET name = 'other, and too long' WHERE id = 2")
        here.execute("UPDATE t SET qty = 'none' WHERE id = 9")
        here.execute(
            "INSERT INTO t SELECT 11, name, size, 1, 1, 'k', 1, day, '' FROM t WHERE id = 3"
        )
    # Only what was noted as it is now is no difference.
    report = Mover(path, url).verify()
    missing = sorted((d.kind, d.key) for d in report.differences)
    assert missing == [("missing row", key) for key in ("10", "11", "2", "9")]
    assert report.quarantined == len(NOTED) - 2


@pytest.mark.parametrize("row", NOTED, ids=lambda row: row[0])
def test_where_the_plan_says_fail_the_row_is_named(
    row: tuple[str, str, str], tmp_path: Path, url: str
) -> None:
    key, column, value = row
    path = checker.made(tmp_path / "a.db", SOURCE)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"DELETE FROM t WHERE id NOT IN (1, {key}, 10)")
    strict = MAPPING.replace(', on_dirt = "quarantine"', "")
    with pytest.raises(Unmappable) as caught:
        Mover(path, url, plan=strict).move()
    found = caught.value.detail
    assert (found["key"], found["column"], found["value"]) == (key, column, value)


@pytest.mark.parametrize(
    ("column", "row"), [("size", "3"), ("present", "4"), ("price", "5"), ("qty", "9")]
)
def test_a_column_s_own_word_counts_and_not_its_neighbour_s(
    column: str, row: str, tmp_path: Path, url: str
) -> None:
    path = checker.made(tmp_path / "a.db", SOURCE)
    lines = [
        line.replace(', on_dirt = "quarantine"', "")
        if line.startswith(column)
        else line
        for line in MAPPING.splitlines()
    ]
    with pytest.raises(Unmappable, match=rf"t\.{column} of row {row} "):
        Mover(path, url, plan="\n".join(lines)).move()


class Killed(BaseException):
    """Stands for a kill before a transaction was committed."""


@pytest.mark.parametrize("way", ["there", "back"])
def test_a_killed_move_loses_no_note_and_doubles_none(
    way: str, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = tmp_path / "a.db", tmp_path / "q"
    words = ["abc" if n % 3 else "abcdef" for n in range(4_500)]
    source, target, mapping = str(path), url, 'type = "varchar(3)"'
    if way == "there":
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, w TEXT, r REAL)"
            )
            rows = ((n, word, n / 7) for n, word in enumerate(words))
            connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    else:
        source, target = url, str(path)
        mapping = 'type = "TEXT COLLATE NOCASE NOT NULL REFERENCES t UNIQUE"'
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE t (id int PRIMARY KEY, w text, r double precision)"
            )
            connection.execute(
                "INSERT INTO t SELECT n, CASE WHEN n % 3 = 0 THEN 'K' || n - 1 "
                "ELSE 'k' || n END, n / 7.0 FROM generate_series(0, 4499) n"
            )
    plan = f'[tables.t.columns]\nw = {{ {mapping}, codec = "text", on_dirt = "quarantine" }}'
    monkeypatch.setattr(filling, "CHUNK_BYTES", 200_000)
    monkeypatch.setattr(SqliteTarget, "chunk_bytes", 200_000)
    journal: Any = PostgresqlJournal if way == "there" else SqliteJournal
    advance, calls = journal.advance, 0

    def dying(self: Any, *given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        after = advance(self, *given, **named)
        if calls in (2, 4):
            raise Killed
        return after

    monkeypatch.setattr(journal, "advance", dying)
    for _ in range(2):
        with pytest.raises(Killed):
            Mover(source, target, plan=plan, quarantine=file).move()
    mover = Mover(source, target, plan=plan, quarantine=file)
    result = mover.move()
    assert result.resumed
    refused = 1_499 if way == "back" else 1_500
    assert accounted(result, mover) == refused
    keys = [int(key) for key, _, _ in noted(file)]
    # In the order in which they were read.
    assert keys == [n for n in range(4_500) if n % 3 == 0 and (n or way == "there")]
    # Once more: what ended is told as it was.
    assert accounted(mover.move(), mover) == refused


BACK = """
CREATE TABLE t (id INTEGER PRIMARY KEY, doc TEXT, name TEXT COLLATE NOCASE UNIQUE,
  a AS (json_extract(doc, '$.a')) STORED,
  kind INT AS (CASE WHEN id > 4 THEN 'big' ELSE id END));
INSERT INTO t (id, doc, name) VALUES (1, '{"a": 1}', 'one'), (2, '{"a": 2}', 'two');
"""
THERE = """
INSERT INTO t VALUES (3, '{oops', 'three', 9, 3), (5, '{"a": 5}', 'five', 5, 5),
  (6, NULL, 'six', NULL, 6);
ALTER TABLE t DROP CONSTRAINT IF EXISTS uq_t_name; DROP INDEX IF EXISTS uq_t_name;
INSERT INTO t VALUES (7, '{"a": 7}', 'TWO', 8, 7);
"""


@pytest.mark.parametrize("engine", ["sqlite", "libsql"])
def test_what_sqlite_refuses_or_computes_anew_is_named_once(
    engine: str, tmp_path: Path, url: str, make_database: MakeDatabase
) -> None:
    """A text that is no JSON, a name that repeats, a cell of another class."""
    assert Mover(checker.made(tmp_path / "a.db", BACK), url).move().is_exact
    with psycopg.connect(url, autocommit=True) as there:
        there.execute(THERE.encode())
    file = tmp_path / "q"
    target = (
        str(tmp_path / "b.db")
        if engine == "sqlite"
        else make_database("libsql").url.unmasked()
    )
    mover = Mover(url, target, quarantine=file)
    result = mover.move()
    found = [
        (loss.kind, loss.name, loss.why.split(",")[0]) for loss in result.left_behind
    ]
    assert sorted((kind, name) for kind, name, _ in found) == [
        *(("generated column", f"t.{name}") for name in ("a", "a", "kind")),
        ("unique", "t (name)"),
    ]
    assert accounted(result, mover) == 2
    assert [row[:2] for row in noted(file)] == [("3", ""), ("7", "")]
    # The class that SQLite computes is none of the column's on PostgreSQL.
    assert result.verification is not None
    assert result.verification.recomputed == 2
    assert mover.verify().recomputed == 2
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("UPDATE t SET kind = 7 WHERE id = 5")
    differences = mover.verify().differences
    assert {(d.key, d.column, d.target) for d in differences} == {
        ("5", "kind", "'big'"),
        ("6", "kind", "'big'"),
    }


def test_what_has_no_plain_meaning_is_quarantined_and_the_rest_is_the_same(
    tmp_path: Path, url: str
) -> None:
    path = checker.made(
        tmp_path / "a.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, r, day TEXT, note TEXT);"
        "INSERT INTO t VALUES (1, '42', '', ''), (2, 1.5, '2024-02-29', ' '),"
        "(3, 'nan', ' ', 'x'), (4, '1_000', '', ''), (5, 9007199254740993, '', ''),"
        "(6, 7, '2024-02-30', '')",
    )
    file = tmp_path / "q"
    mapping = """[tables.t.columns]
        r = { type = "double precision", codec = "real", on_dirt = "coerce" }
        day = { type = "date", codec = "text", on_dirt = "coerce" }
        note = { type = "text", codec = "text", on_dirt = "coerce" }"""
    mover = Mover(path, url, plan=mapping, quarantine=file)
    assert accounted(mover.move(), mover) == 4
    assert [row[:2] for row in noted(file)] == [
        *(("3", "r"), ("4", "r"), ("5", "r"), ("6", "day"))
    ]
    with psycopg.connect(url) as there:
        found = there.execute("SELECT r, day::text, note FROM t ORDER BY id").fetchall()
    assert found == [(42.0, None, ""), (1.5, "2024-02-29", " ")]


def test_texts_that_were_coerced_to_numbers_come_back_as_the_texts_of_those(
    tmp_path: Path, url: str
) -> None:
    path = checker.made(
        tmp_path / "a.db",
        "CREATE TABLE t (k TEXT NOT NULL PRIMARY KEY, r TEXT, b TEXT);"
        "INSERT INTO t VALUES ('10', ' 1.50', 'yes'), ('9', '1e300', 'off')",
    )
    mapping = """[tables.t.columns]
        k = { type = "bigint", codec = "integer", on_dirt = "coerce" }
        r = { type = "double precision", codec = "real", on_dirt = "coerce" }
        b = { type = "boolean", codec = "boolean", on_dirt = "coerce" }"""
    assert Mover(path, url, plan=mapping).move().is_exact
    back = tmp_path / "back.db"
    assert Mover(url, back).move().is_exact
    with closing(sqlite3.connect(back)) as connection:
        found = connection.execute("SELECT * FROM t ORDER BY k").fetchall()
    assert found == [("10", "1.5", "t"), ("9", "1e+300", "f")]


def test_cells_of_rows_without_a_key_are_computed_anew_by_the_hundred(
    tmp_path: Path, url: str
) -> None:
    path = checker.made(
        tmp_path / "a.db",
        "CREATE TABLE t (a INTEGER, b TEXT AS (printf('%d', a)) STORED);"
        "WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT 300)"
        "INSERT INTO t (a) SELECT a / 2 FROM n",
    )
    assert Mover(path, url).move().is_exact
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("UPDATE t SET b = a || 'x' WHERE a < 120")
    mover = Mover(url, tmp_path / "back.db")
    report = mover.move().verification
    assert report is not None
    assert (report.recomputed, report.difference_count) == (239, 0)
    assert mover.verify().recomputed == 239
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("UPDATE t SET b = 'y' WHERE a = 130")
        there.execute("UPDATE t SET b = a::text WHERE a = 110")
    report = mover.verify()
    assert (report.recomputed, report.difference_count) == (0, 239)
