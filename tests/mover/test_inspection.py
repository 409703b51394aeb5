"""What an inspection says of a file: each kind of dirt once, nothing of a clean one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from lockstep.mover import Inspection, inspect_database


def _inspected(tmp_path: Path, *statements: str) -> Inspection:
    path = tmp_path / "seen.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return inspect_database(path)


@pytest.mark.parametrize(
    ("declared", "values", "expected"),
    [
        (
            "n INTEGER",
            ["1", "2", "'three'"],
            ("mixed types", "n", "2 integer, 1 text", 1, ("row 3: 'three'",)),
        ),
        (
            "t TEXT",
            ["'whole'", "CAST(x'c328' AS TEXT)"],
            ("invalid text", "t", "texts that are not valid UTF-8", 1, ()),
        ),
        (
            "t TEXT",
            ["'whole'", "CAST(x'610062' AS TEXT)"],
            ("NUL in text", "t", "cannot hold", 1, (r"row 2: 'a\x00b'",)),
        ),
        (
            "r REAL",
            ["1.5", "'nan'"],
            ("placeholder", "r", "wrote for nothing", 1, ()),
        ),
        (
            "d DATE",
            ["'2024-02-28'", "NULL", "'0000-00-00'", "'99999-01-01'"],
            (
                "dates",
                "d",
                "not all one form",
                0,
                ("row 3: '0000-00-00'", "row 4: '99999-01-01'"),
            ),
        ),
        (
            "made_at INTEGER",
            ["1600000000", "1700000000"],
            ("epoch", "made_at", "integers that count seconds since 1970", 2, ()),
        ),
        (
            "made_at INTEGER",
            ["1600000000", "1700000000000", "0"],
            ("mixed epochs", "made_at", "1 in s, 1 in ms", 0, ()),
        ),
        (
            "made_at",
            ["2460000.5", "'2024-01-01 10:00:00'", "1600000000000000"],
            (
                "mixed epochs",
                "made_at",
                "1 in us, 1 in Julian days, 1 as text",
                0,
                (),
            ),
        ),
        (
            "made DATETIME",
            ["5", "'soon'"],
            ("mixed epochs", "made", "numbers and texts", 0, ()),
        ),
    ],
)
def test_each_kind_of_dirt_is_named(
    declared: str,
    values: Sequence[str],
    expected: tuple[str, str, str, int, tuple[str, ...]],
    tmp_path: Path,
) -> None:
    rows = ", ".join(f"({value})" for value in values)
    seen = _inspected(
        tmp_path, f"CREATE TABLE t ({declared})", f"INSERT INTO t VALUES {rows}"
    )
    kind, column, words, count, examples = expected
    (found,) = [f for f in seen.findings if f.kind == kind]
    assert (found.where, found.count) == (f"t.{column}", count)
    assert words in found.message
    assert found.examples == examples


def test_null_where_the_table_forbids_it_is_named(tmp_path: Path) -> None:
    seen = _inspected(
        tmp_path,
        "CREATE TABLE t (n INTEGER)",
        "INSERT INTO t VALUES (NULL), (1)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = 'CREATE TABLE t (n INTEGER NOT NULL)'",
    )
    assert {(f.kind, f.where, f.count) for f in seen.findings} == {
        ("null", "t.n", 1),
        ("not carried: not null", "t.n", 0),
    }


def test_what_a_target_cannot_keep_is_named(tmp_path: Path) -> None:
    seen = _inspected(
        tmp_path,
        "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
        "CREATE TABLE child (id INTEGER PRIMARY KEY, parent INT REFERENCES parent)",
        "INSERT INTO child VALUES (1, 99)",
        "CREATE TABLE pairs (k PRIMARY KEY)",
        "INSERT INTO pairs VALUES (1), ('1')",
        "CREATE TRIGGER noted AFTER INSERT ON child BEGIN SELECT 1; END",
    )
    lost = {(f.kind, f.where) for f in seen.findings}
    assert lost >= {
        ("not carried: foreign key", "child (parent) → parent"),
        ("not carried: primary key", "pairs"),
        ("not carried: trigger", "noted"),
    }


def test_nothing_is_said_of_a_clean_file(tmp_path: Path) -> None:
    seen = _inspected(
        tmp_path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, r REAL,"
        " made DATETIME DEFAULT CURRENT_TIMESTAMP, flag BOOLEAN, blob BLOB)",
        "INSERT INTO t VALUES (1, 'Öl', 1.5, '2024-01-01 10:00:00', 1, x'00ff'),"
        " (2, '', NULL, NULL, 0, NULL)",
        "CREATE INDEX by_name ON t (name)",
    )
    assert seen.findings == []
