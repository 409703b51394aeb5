"""Two files, or two PostgreSQL databases: what somebody else's tool lost is found."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.mover.quirks import make

from lockstep.engine import Database
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]
FILE = """
CREATE TABLE keyed (id INTEGER PRIMARY KEY, a, b REAL);
CREATE TABLE plain (a, b TEXT);
CREATE TABLE packed (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO keyed VALUES (1, 1, 0.5), (2, -0.0, 9e999), (3, x'00', NULL);
INSERT INTO plain VALUES (1, 'x'), (1, 'x'), (NULL, CAST(x'ff' AS TEXT));
INSERT INTO packed VALUES ('k', 1), ('l', '1');
"""
DAMAGE = {
    "UPDATE keyed SET a = 1.0 WHERE id = 1": ("cell", "1", "a"),
    "UPDATE keyed SET a = 0.0 WHERE id = 2": ("cell", "2", "a"),
    "UPDATE keyed SET a = CAST(a AS TEXT) WHERE id = 3": ("cell", "3", "a"),
    "DELETE FROM keyed WHERE id = 2": ("missing row", "2", ""),
    "DELETE FROM plain WHERE rowid = 1": ("missing row", "'i1 | tx'", ""),
    "UPDATE packed SET v = 1 WHERE k = 'l'": ("cell", "'tl | t1'", "v"),
    "ALTER TABLE plain ADD COLUMN c": ("extra column", "", "c"),
    "DROP TABLE packed": ("missing table", "", ""),
    "CREATE TABLE more (a)": ("extra table", "", ""),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damage_between_two_files_is_named(damage: str, tmp_path: Path) -> None:
    one, two = tmp_path / "a.db", tmp_path / "b.db"
    with closing(sqlite3.connect(one)) as connection, connection:
        connection.executescript(FILE)
    connection.close()
    shutil.copy(one, two)
    before = one.read_bytes()
    assert Mover(one, two).verify().is_same
    with closing(sqlite3.connect(two)) as connection, connection:
        connection.execute(damage)
    connection.close()
    report = Mover(one, two).verify()
    (found,) = report.differences
    assert (found.kind, found.key, found.column) == DAMAGE[damage]
    assert one.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["full_text", "without_rowid", "invalid_utf8", "utf16"]
)
def test_the_same_file_is_the_same(name: str, tmp_path: Path) -> None:
    path = make(name, tmp_path / "a.db")
    shutil.copy(path, tmp_path / "b.db")
    report = Mover(path, tmp_path / "b.db").verify()
    assert report.is_same
    assert report.rows
    assert report.notices == []


def test_two_servers_are_compared_by_value(make_database: MakeDatabase) -> None:
    urls = [make_database("postgresql").url.unmasked() for _ in range(2)]
    kinds = ("numeric(8,2)", "numeric")
    for url, kind in zip(urls, kinds, strict=True):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                f"""CREATE TABLE t (id uuid PRIMARY KEY, n {kind}, d jsonb);
                CREATE TABLE l (at timestamptz, x double precision);
                INSERT INTO t VALUES ('0190a5f0-0000-7000-8000-000000000001', 1.5,
                  '{{"b": 1, "a": 2}}');
                INSERT INTO l VALUES ('2024-02-29 12:00+02', 'NaN'), (NULL, '-0')
                """.encode()
            )
    assert Mover(*urls).verify().is_same
    with psycopg.connect(urls[1], autocommit=True) as connection:
        connection.execute(b"UPDATE t SET n = 1.51; UPDATE l SET x = 0 WHERE x = 0")
    report = Mover(*urls).verify()
    found = sorted((d.kind, d.table, d.column) for d in report.differences)
    assert found == [("cell", "l", "x"), ("cell", "t", "n")]


def test_a_view_that_is_another_is_said_and_a_table_s_text_is_not(
    tmp_path: Path,
) -> None:
    one, two = tmp_path / "a.db", tmp_path / "b.db"
    for path, comment, least in ((one, "", 1), (two, "/* theirs */", 2)):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.executescript(
                f"CREATE TABLE t (id INTEGER PRIMARY KEY {comment});"
                f"CREATE VIEW v AS SELECT id FROM t WHERE id > {least};"
            )
    report = Mover(one, two).verify()
    assert report.is_same
    assert set(report.notices) == {"the view v is not the same in both"}


def test_servers_whose_keys_sort_otherwise_are_compared(
    make_database: MakeDatabase,
) -> None:
    urls = [make_database("postgresql").url.unmasked() for _ in range(2)]
    for url, kind in zip(urls, ("integer", "text"), strict=True):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                f"""CREATE TABLE t (id {kind} PRIMARY KEY, s text);
                INSERT INTO t SELECT g, 'x' FROM generate_series(8, 12) g
                """.encode()
            )
    report = Mover(*urls).verify()
    assert (report.differences, report.rows) == ([], 5)
