"""Every quirk of real SQLite files arrives cell by cell; an own judge compares."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.mover import checker
from tests.mover.quirks import QUIRKS, make

from lockstep.engine import Database
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
    }


@pytest.mark.parametrize("name", QUIRKS)
def test_a_quirk_arrives_exactly(
    name: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    path = make(name, folder / "quirk.db")
    before = bytes_of(folder)
    url = make_database("postgresql").url.unmasked()

    result = Mover(path, url, quarantine=tmp_path / "q.jsonl").move()

    assert bytes_of(folder) == before, "the source was touched"
    verification = result.verification
    assert verification is not None
    assert verification.differences == []
    assert result.is_exact
    carried = {table.source: table.target for table in result.plan.carried()}
    with closing(sqlite3.connect(path)) as connection, connection:
        ordinary = {
            row[1]
            for row in connection.execute("PRAGMA table_list")
            if row[0] == "main"
            and row[2] == "table"
            and row[1] != "sqlite_schema"
            and row[1] != "sqlite_sequence"
        }
    connection.close()
    assert ordinary <= set(carried), "an ordinary table was left behind"
    for source, target in carried.items():
        assert checker.differences(path, source, url, target) == []


def test_the_meaning_around_the_rows_arrives(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = make("checks", tmp_path / "a.db")
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert result.plan.losses == []
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "INSERT INTO t (s) VALUES ('a') RETURNING id, n, z, q"
        ).fetchone()
        assert row == (3, 5, 2.5, "it's")
        for refused in ("n = -1", "s = 'c'", "n = 100", "g = 'X'"):
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(f"UPDATE t SET {refused}".encode())


def test_nocase_uniqueness_folds_ascii_and_nothing_else(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = make("nocase_unique", tmp_path / "a.db")
    url = make_database("postgresql").url.unmasked()
    Mover(path, url).move()
    with (
        psycopg.connect(url, autocommit=True) as connection,
        pytest.raises(psycopg.errors.UniqueViolation),
    ):
        connection.execute("INSERT INTO t VALUES (9, 'A@X')")


def test_keys_go_on_where_sqlite_stopped(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = make("autoincrement_empty", tmp_path / "a.db")
    url = make_database("postgresql").url.unmasked()
    Mover(path, url).move()
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "INSERT INTO t (s) VALUES ('z') RETURNING id"
        ).fetchone()
    assert row == (3,)


def test_references_hold_and_orphans_are_named(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = make("orphans", tmp_path / "a.db")
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    reasons = " ".join(loss.why for loss in result.plan.losses)
    assert "1 row points at nothing" in reasons
    assert "no such table" in reasons
    with (
        psycopg.connect(url, autocommit=True) as connection,
        pytest.raises(psycopg.errors.ForeignKeyViolation),
    ):
        connection.execute("INSERT INTO c (id, p_id) VALUES (7, 12345)")
