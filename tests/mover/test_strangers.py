"""Databases that somebody else moved: pairs are found, and no difference is forgiven.

What each damage looks like says ``test_verify``; here stands what a quick comparison
of bytes could take for the same, and where tables lie that no name alone finds.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from lockstep.engine import Database
from lockstep.errors import LockstepError
from lockstep.mover import Mover
from lockstep.mover.model.results import VerifyReport

MakeDatabase = Callable[..., Database]
Server = Callable[[str], str]


@pytest.fixture
def server(make_database: MakeDatabase) -> Server:
    """Makes a database with a script; returns its URL."""

    def make(script: str) -> str:
        url = make_database("postgresql").url.unmasked()
        run(url, script)
        return url

    return make


def run(url: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"SET TimeZone = 'UTC'")
        connection.execute(script.encode())


def file(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def found(report: VerifyReport) -> list[tuple[str, str, str, str]]:
    return sorted((d.kind, d.table, d.key, d.column) for d in report.differences)


def cells(report: VerifyReport) -> list[tuple[str, str]]:
    assert {difference.kind for difference in report.differences} <= {"cell"}
    return sorted((d.key, d.column) for d in report.differences)


SPELLED_ALIKE = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, d, e, f);
INSERT INTO t VALUES (1, '\\x00ff', x'00ff', 7.0, '07', '10:00:00', 1);
INSERT INTO t VALUES (2, '\\x00ff', x'00ff', 7.0, '07', '10:00:00', 2);
"""
ALIKE = """
CREATE TABLE t (id bigint PRIMARY KEY, a bytea, b text, c text, d text, e text,
  f boolean);
INSERT INTO t VALUES (1, '\\x00ff', '\\x00ff', '7', '7', '10:00', true),
  (2, '\\x5c7830306666', '\\x00ff', '7.0', '07', '10:00:00', true);
"""


def test_what_is_only_spelled_alike_is_named(tmp_path: Path, server: Server) -> None:
    path, url = file(tmp_path / "a.db", SPELLED_ALIKE), server(ALIKE)
    named = [("1", name) for name in "abcde"] + [("2", "b"), ("2", "f")]
    assert cells(Mover(path, url).verify()) == named
    assert cells(Mover(url, path).verify()) == named


def test_what_is_spelled_otherwise_is_the_same(tmp_path: Path, server: Server) -> None:
    path = file(
        tmp_path / "a.db",
        """CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c TEXT, d DATETIME, e, f);
        INSERT INTO t VALUES (1, 1.5, 3, 'ab', '2024-02-29T10:00:00.500Z', 'YES', 1e15),
          (2, 2, 3.0, 'ab', '2024-02-29T11:00:00.000Z', 0, -0.0)""",
    )
    url = server(
        """CREATE TABLE t (id bigint PRIMARY KEY, a numeric(8,3), b float8, c char(4),
          d timestamptz, e boolean, f float8);
        INSERT INTO t VALUES (1, 1.5, 3, 'ab', '2024-02-29 10:00:00.5', true, 1e15),
          (2, 2, 3, 'ab', '2024-02-29 12:00+01', false, 0)"""
    )
    assert found(Mover(path, url).verify()) == []
    assert found(Mover(url, path).verify()) == []


def test_digits_that_sqlite_keeps_as_a_text_are_compared(
    tmp_path: Path, server: Server
) -> None:
    digits = "1.000000000000000000000000000001"
    path = file(
        tmp_path / "a.db",
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);"
        f"INSERT INTO t VALUES (1, '{digits}'), (2, 'NaN')",
    )
    url = server(
        "CREATE TABLE t (id int PRIMARY KEY, n numeric);"
        f"INSERT INTO t VALUES (1, {digits}), (2, 'NaN')"
    )
    assert found(Mover(url, path).verify()) == []
    run(url, "UPDATE t SET n = n + 1e-30 WHERE id = 1")
    assert cells(Mover(url, path).verify()) == [("1", "n")]


def test_a_target_without_keys_may_have_null_and_twice(
    tmp_path: Path, server: Server
) -> None:
    path = file(
        tmp_path / "a.db",
        """CREATE TABLE n (id INTEGER PRIMARY KEY, s TEXT);
        CREATE TABLE s (k TEXT PRIMARY KEY NOT NULL, v) WITHOUT ROWID;
        CREATE TABLE all_null (a, b);
        INSERT INTO n VALUES (1, 'x'), (2, 'y'), (3, 'z');
        INSERT INTO s VALUES ('a', 1), ('Z', 2), ('é', 3);
        INSERT INTO all_null VALUES (NULL, NULL), (NULL, NULL)""",
    )
    url = server(
        """CREATE TABLE n (id bigint, s text); CREATE TABLE s (k varchar, v bigint);
        CREATE TABLE all_null (a text, b text);
        INSERT INTO n VALUES (1, 'x'), (2, 'y'), (3, 'z');
        INSERT INTO s VALUES ('é', 3), ('a', 1), ('Z', 2);
        INSERT INTO all_null VALUES (NULL, NULL), (NULL, NULL)"""
    )
    assert found(Mover(path, url).verify()) == []
    run(
        url,
        """UPDATE n SET id = NULL WHERE id = 2; INSERT INTO n VALUES (3, 'z');
        UPDATE s SET k = NULL WHERE k = 'Z'; INSERT INTO all_null VALUES (NULL, NULL)""",
    )
    report = Mover(path, url).verify()
    assert [(kind, table, key) for kind, table, key, _ in found(report)] == [
        ("extra row", "all_null", "'\\\\N | \\\\N'"),
        ("extra row", "n", "3"),
        ("extra row", "n", "None"),
        ("extra row", "s", "None"),
        ("missing row", "n", "2"),
        ("missing row", "s", "'Z'"),
    ]


ELSEWHERE = """
CREATE SCHEMA app; CREATE SCHEMA auth;
CREATE TABLE app.users (id bigint PRIMARY KEY, name text, mail text);
CREATE TABLE app.log (line text);
CREATE TABLE auth.users (id uuid, secret text, at timestamptz, role text);
INSERT INTO app.users VALUES (1, 'one', NULL); INSERT INTO app.log VALUES ('x');
"""
OF_SCHEMAS = """
CREATE TABLE Users (id INTEGER PRIMARY KEY, name TEXT, mail TEXT);
CREATE TABLE app_log (line TEXT);
INSERT INTO users VALUES (1, 'one', NULL); INSERT INTO app_log VALUES ('x');
"""


def test_tables_of_other_schemas_are_found(tmp_path: Path, server: Server) -> None:
    path, url = file(tmp_path / "a.db", OF_SCHEMAS), server(ELSEWHERE)
    report = Mover(path, url).verify()
    assert (found(report), report.rows) == ([], 2)
    assert report.notices == [
        "Users is compared with app.users",
        "app_log is compared with app.log",
        "not compared: tables of other schemas: auth.users",
    ]
    back = Mover(url, path).verify()
    assert found(back) == [("missing table", "auth.users", "", "")]
    run(
        url,
        """UPDATE app.users SET name = 'two'; CREATE TABLE app.more (id int);
        CREATE SCHEMA copy; CREATE TABLE copy.log (line text)""",
    )
    assert found(Mover(path, url).verify()) == [
        ("cell", "Users", "1", "name"),
        ("extra table", "app.more", "", ""),
    ]
    on_the_path = f"{url}&options=-csearch_path%3Dapp"
    assert ("cell", "Users", "1", "name") in found(Mover(path, on_the_path).verify())
    file(path, "ALTER TABLE app_log RENAME TO log")
    report = Mover(path, url).verify()
    assert ("missing table", "log", "", "") in found(report)
    assert "log may be any of app.log, copy.log" in report.notices


def test_values_of_two_servers_are_no_texts_of_each_other(server: Server) -> None:
    one = server(
        """CREATE TABLE t (id int PRIMARY KEY, a text, b text, c text);
        INSERT INTO t VALUES (1, '\\x6162', 'no number', 'ab'), (2, 'ab', '1.50', 'ab')"""
    )
    two = server(
        """CREATE TABLE t (id int PRIMARY KEY, a bytea, b float8, c char(3));
        INSERT INTO t VALUES (1, '\\x6162', 1.5, 'ab'), (2, '\\x6162', 1.5, 'ab')"""
    )
    for pair in ((one, two), (two, one)):
        assert cells(Mover(*pair).verify()) == [("1", "a"), ("1", "b")]


def test_a_file_that_is_compared_is_neither_made_nor_changed(
    tmp_path: Path, server: Server
) -> None:
    url = server("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    with pytest.raises(LockstepError, match="there is no"):
        Mover(url, tmp_path / "typo.db").verify()
    assert list(tmp_path.iterdir()) == []
    writer = sqlite3.connect(tmp_path / "a.db")
    writer.executescript(
        """PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY);
        INSERT INTO t VALUES (1)"""
    )
    # As a program leaves them behind that was killed.
    left = tmp_path / "left"
    left.mkdir()
    for name in ("a.db", "a.db-wal"):
        shutil.copy(tmp_path / name, left)
    writer.close()
    before = {path.name: path.read_bytes() for path in left.iterdir()}
    report = Mover(url, left / "a.db").verify()
    assert (found(report), report.rows) == ([], 1)
    assert {path.name: path.read_bytes() for path in left.iterdir()} == before
