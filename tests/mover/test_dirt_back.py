"""PostgreSQL to SQLite: what does not fit is named, left out or made to fit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from lockstep.engine import Database
from lockstep.errors import Unmappable
from lockstep.mover import Mover, plan_to_toml

MakeDatabase = Callable[..., Database]

LOOSE = """
CREATE TABLE t (id bigint PRIMARY KEY, qty text, price numeric, flag text,
  at timestamptz);
INSERT INTO t VALUES
 (1, '5', 1.10, 'yes', '2024-02-29 12:00:00+00'),
 (2, 'lots', 0.12345678901234567891, 'f', '2024-02-29 12:00:00.5+00'),
 (3, ' 7 ', NULL, '', 'infinity'),
 (4, '007', 2, NULL, NULL);
"""


def loose(make_database: MakeDatabase) -> str:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(LOOSE.encode())
    return url


def mapping(url: str, path: Path, **policies: str) -> str:
    text = plan_to_toml(Mover(url, path).plan())
    kinds = {
        "qty": ("INTEGER", "integer"),
        "price": ("REAL", "real"),
        "flag": ("BOOLEAN", "boolean"),
        "at": ("INTEGER", "epoch:s"),
    }
    lines: list[str] = []
    for line in text.splitlines():
        name = line.split('"')[1] if line.startswith('"') else ""
        if name in policies:
            kind, codec = kinds[name]
            line = (
                f'"{name}" = {{ target = "{name}_x", type = "{kind}", '
                f'codec = "{codec}", on_dirt = "{policies[name]}" }}'
            )
        lines.append(line)
    return "\n".join(lines)


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("column", "key"), [("qty", "2"), ("price", "2"), ("flag", "1"), ("at", "2")]
)
def test_what_does_not_fit_stops_the_move_and_is_named(
    column: str, key: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = loose(make_database)
    text = mapping(url, tmp_path / "a.db", **{column: "fail"})
    with pytest.raises(Unmappable) as caught:
        Mover(url, tmp_path / "b.db", plan=text).move()
    found = caught.value.detail
    assert (found["column"], found["key"]) == (column, key)


def test_quarantine_writes_the_rows_down_and_verifies_the_rest(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url, path = loose(make_database), tmp_path / "b.db"
    text = mapping(url, tmp_path / "a.db", qty="quarantine", at="quarantine")
    file = tmp_path / "q.jsonl"
    result = Mover(url, path, plan=text, quarantine=file).move()
    assert result.verification is not None
    assert result.verification.is_same
    assert not result.is_exact
    assert rows(path, "SELECT id, qty_x, typeof(qty_x), at_x FROM t") == [
        (1, 5, "integer", 1709208000)
    ]
    rejected = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["key"], row["column"], row["value"]) for row in rejected] == [
        ("2", "qty", "'lots'"),
        ("3", "qty", "' 7 '"),
        ("4", "qty", "'007'"),
    ]
    assert all(row["reason"] for row in rejected)


def test_coerce_takes_the_plain_meaning_and_quarantines_the_rest(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url, path = loose(make_database), tmp_path / "b.db"
    every = dict.fromkeys(("qty", "price", "flag", "at"), "coerce")
    file = tmp_path / "q.jsonl"
    text = mapping(url, tmp_path / "a.db", **every)
    result = Mover(url, path, plan=text, quarantine=file).move()
    assert result.verification is not None
    assert result.verification.differences == []
    assert rows(path, "SELECT id, qty_x, price_x, flag_x, at_x FROM t") == [
        (1, 5, 1.1, 1, 1709208000),
        (4, 7, 2.0, None, None),
    ]
    rejected = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["key"], row["column"]) for row in rejected] == [
        ("2", "qty"),
        ("3", "at"),
    ]


def test_rows_that_sqlite_refuses_are_quarantined_one_by_one(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            b"CREATE TABLE t (k text UNIQUE, n integer);"
            b"INSERT INTO t VALUES ('1', 1), ('01', 2), ('2', 3), ('3', NULL)"
        )
    text = plan_to_toml(Mover(url, tmp_path / "a.db").plan()).replace(
        'type = "TEXT", codec = "text"',
        'type = "INTEGER", codec = "integer", on_dirt = "coerce"',
    )
    text = text.replace(
        '"n" = { target = "n", type = "INTEGER", codec = "integer"',
        '"n" = { target = "n", type = "INTEGER", codec = "integer", not_null = true, '
        'on_dirt = "quarantine"',
    )
    result = Mover(url, tmp_path / "b.db", plan=text, quarantine=tmp_path / "q").move()
    assert rows(tmp_path / "b.db", "SELECT * FROM t") == [(1, 1), (2, 3)]
    assert result.quarantined == 2
    repeated, null = map(json.loads, (tmp_path / "q").read_text().splitlines())
    assert "UNIQUE" in repeated["reason"]
    assert (repeated["key"], repeated["column"]) == ("1", "")
    assert (null["key"], null["column"], null["value"]) == ("3", "n", "None")
    assert result.verification is not None
    assert result.verification.is_same
    assert result.verification.quarantined == 2
    again = Mover(url, tmp_path / "b.db").verify()
    assert (again.difference_count, again.quarantined) == (0, 2)


def decimals_moved(path: Path, make_database: MakeDatabase, filled: str) -> str:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, d DECIMAL(10,2), e);"
            f"INSERT INTO t VALUES {filled}"
        )
    connection.close()
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    return url


def test_digits_written_on_postgresql_are_not_forgiven(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = tmp_path / "a.db"
    url = decimals_moved(path, make_database, "(1, 1.5, 1.0), (2, 0.25, 1)")
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(b"UPDATE t SET d = 0.2500000000000000000001 WHERE id = 2")
        other.execute(b"UPDATE t SET d = 1.500 WHERE id = 1")
    report = Mover(path, url).verify()
    assert [(d.key, d.column) for d in report.differences] == [("2", "d")]
    file = tmp_path / "q.jsonl"
    mover = Mover(url, tmp_path / "back.db", quarantine=file)
    (loss,) = mover.plan().losses
    assert (loss.kind, loss.name, loss.is_data) == ("type", "t.d", True)
    assert "would be kept" in loss.why
    result = mover.move()
    assert not result.is_exact
    assert rows(tmp_path / "back.db", "SELECT id, d FROM t") == [(1, 1.5)]
    (rejected,) = map(json.loads, file.read_text().splitlines())
    assert (rejected["key"], rejected["column"]) == ("2", "d")
    assert rejected["value"] == "'0.2500000000000000000001'"


def test_a_whole_decimal_written_on_postgresql_becomes_what_its_column_keeps(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = tmp_path / "a.db"
    rows = "(1, 1.5, 1.0), (2, 3, 1), (3, 12.25, 2.0)"
    url = decimals_moved(path, make_database, rows)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(b"UPDATE t SET d = 5.00 WHERE id = 1")
        other.execute(b"UPDATE t SET d = -9007199254740993.000 WHERE id = 2")
    back = Mover(url, tmp_path / "back.db").move()
    assert back.is_exact, back.verification
    with closing(sqlite3.connect(tmp_path / "back.db")) as connection:
        rows = connection.execute("SELECT d, e FROM t ORDER BY id").fetchall()
    assert [(repr(d), repr(e)) for d, e in rows] == [
        *(("5", "1.0"), ("-9007199254740993", "1"), ("12.25", "2.0"))
    ]


def test_a_large_whole_double_written_on_postgresql_becomes_what_its_column_keeps(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = tmp_path / "a.db", tmp_path / "back.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, b)")
        connection.execute("INSERT INTO t VALUES (1, 5, 5), (2, 1.5, 1.5)")
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    with psycopg.connect(url, autocommit=True) as other:
        for number in ("1e17", "-9007199254740994", "9.3e18", "1e300"):
            other.execute(
                "INSERT INTO t SELECT max(id) + 1, %s, %s FROM t", (number, number)
            )
    assert Mover(url, back).move().is_exact
    assert rows(back, "SELECT n, b FROM t WHERE id > 1") == [
        (1.5, 1.5),
        (10**17, 1e17),
        (-(2**53) - 2, -(2.0**53) - 2),
        (9.3e18, 9.3e18),
        (1e300, 1e300),
    ]
    kinds = rows(back, "SELECT DISTINCT typeof(n) || ' ' || typeof(b) FROM t")
    assert set(kinds) == {("integer integer",), ("real real",), ("integer real",)}
