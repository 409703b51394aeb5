"""Files that are broken, or are no databases: told before anything is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.errors import StorageFailed
from lockstep.mover import Mover, inspect_database

MakeDatabase = Callable[..., Database]

PAGE = 1_024


def make(path: Path) -> dict[str, int]:
    """Make a file; return where the root page of each table and index begins."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT)")
        rows = ((n, f"{n:05}" * 10) for n in range(400))
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.execute("CREATE INDEX t_s ON t (s)")
        pages = connection.execute("SELECT name, rootpage FROM sqlite_master")
        return {name: (page - 1) * PAGE for name, page in pages}


def overwrite(path: Path, at: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def test_rows_whose_page_nobody_points_at_are_missed(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = tmp_path / "lost.db"
    # Its root says that it has fewer pages below it.
    overwrite(path, make(path)["t"] + 3, b"\0\2")
    assert checker.sqlite_rows(path, "t").total() < 100, "they are there to be lost"
    plan = Mover(path, make_database("postgresql").url.unmasked()).plan()
    damage = [loss for loss in plan.losses if loss.kind == "damage"]
    assert all(loss.is_data for loss in damage)
    assert any("never used" in loss.why for loss in damage)
    found = [f for f in inspect_database(path).findings if f.kind == "damage"]
    assert {loss.why for loss in damage} <= {finding.message for finding in found}


def test_rows_are_not_read_by_a_damaged_index(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = tmp_path / "index.db"
    overwrite(path, make(path)["t_s"] + 8, b"\xff" * 500)
    before = path.read_bytes()
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert "damage" in {loss.kind for loss in result.plan.losses}
    assert checker.postgresql_rows(url, "t").total() == 400
    assert result.verification
    assert result.verification.is_same
    assert path.read_bytes() == before


def test_an_index_that_lacks_a_row_is_found_by_the_whole_check(tmp_path: Path) -> None:
    path = tmp_path / "lacking.db"
    make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE INDEX some ON t (s) WHERE n < 7")
        connection.execute("PRAGMA writable_schema = ON")
        sql = "CREATE INDEX some ON t (s)"
        connection.execute(
            "UPDATE sqlite_master SET sql = ? WHERE name = 'some'", [sql]
        )
    found = inspect_database(path)
    assert {f.message for f in found.findings if "missing from index" in f.message}
    quick = inspect_database(path, check=False)
    assert not [f for f in quick.findings if f.kind == "damage"]


def test_values_that_break_a_rule_are_no_damage_and_hide_none(tmp_path: Path) -> None:
    path = tmp_path / "values.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE a (n, s)")
        connection.executemany("INSERT INTO a VALUES (NULL, ?)", ["x"] * 30)
        connection.execute("CREATE TABLE z (n, s)")
        connection.executemany(
            "INSERT INTO z VALUES (?, 'x')", [(n,) for n in range(9)]
        )
        connection.execute("CREATE INDEX z_n ON z (n) WHERE n < 7")
        connection.execute("PRAGMA writable_schema = ON")
        for name, sql in (
            ("a", "CREATE TABLE a (n INTEGER NOT NULL, s INTEGER) STRICT"),
            ("z_n", "CREATE INDEX z_n ON z (n)"),
        ):
            connection.execute(
                "UPDATE sqlite_master SET sql = ? WHERE name = ?", [sql, name]
            )
    quick = inspect_database(path, check=False)
    assert not [f for f in quick.findings if f.kind == "damage"]
    found = [f.message for f in inspect_database(path).findings if f.kind == "damage"]
    assert found
    assert all("index z_n" in message for message in found)


@pytest.mark.parametrize(
    ("content", "hint"),
    [(bytes(range(256)) * 16, "encrypted"), (b"a letter", "something else")],
)
def test_what_is_no_database_is_refused(
    content: bytes, hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "no.db"
    path.write_bytes(content)
    with pytest.raises(StorageFailed, match="no SQLite database") as caught:
        inspect_database(path)
    assert hint in caught.value.hint


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    assert "no bytes" in inspect_database(path).notices[0]
