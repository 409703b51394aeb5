"""A libSQL server's database as a backup file, and into an empty server again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lockstep.engine import Database
from lockstep.engine.backup import back_up, restore_backup, verify_backup
from lockstep.engine.hrana import dbapi
from lockstep.engine.vacuum import vacuum
from lockstep.errors import BackupDamaged, BackupFailed, UnsupportedCapability
from lockstep.mover import ServerCopier

pytestmark = pytest.mark.engines("libsql")

MakeDatabase = Callable[..., Database]

SCHEMA = """
CREATE TABLE part (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, x);
CREATE TABLE loose (a);
CREATE INDEX by_name ON part (name);
CREATE VIRTUAL TABLE found USING fts5 (body);
CREATE VIEW named AS SELECT name FROM part;
"""


def fill(db: Database) -> None:
    with closing(dbapi.connect(db.url.http_url, autocommit=True)) as connection:
        connection.executescript(SCHEMA)
        rows = [(f"part {n}", [n, n / 7, b"\xff", None][n % 4]) for n in range(700)]
        connection.executemany("INSERT INTO part (name, x) VALUES (?, ?)", rows)
        connection.execute("DELETE FROM part WHERE id > 690")
        connection.execute(
            "INSERT INTO loose (rowid, a) VALUES (77, CAST(x'ff' AS TEXT))"
        )
        connection.execute("INSERT INTO found VALUES ('one body of text')")


def test_there_and_into_an_empty_server(
    db: Database, tmp_path: Path, make_database: MakeDatabase
) -> None:
    fill(db)
    made = back_up(db, f"{tmp_path}/", keep=2, copier=ServerCopier())
    assert made.manifest.engine == "sqlite"
    assert made.path.suffix == ".db"
    assert verify_backup(made.path).is_good
    with closing(sqlite3.connect(made.path)) as file:
        assert file.execute("SELECT count(*), max(id) FROM part").fetchone() == (
            690,
            690,
        )
        assert file.execute("SELECT seq FROM sqlite_sequence").fetchone() == (700,)
        assert file.execute("SELECT rowid FROM loose").fetchone() == (77,)
        query = "SELECT rowid FROM found WHERE found MATCH 'body'"
        assert file.execute(query).fetchone() == (1,)
        names = {name for (name,) in file.execute("SELECT name FROM sqlite_master")}
    assert not {name for name in names if name.startswith("lockstep")}

    empty = make_database("libsql")
    restore_backup(made.path, empty, copier=ServerCopier())
    again = back_up(empty, tmp_path / "again.db", copier=ServerCopier())
    assert again.manifest.tables == made.manifest.tables
    with pytest.raises(BackupFailed, match="not empty"):
        restore_backup(made.path, empty, replace=True, copier=ServerCopier())


def test_a_damaged_backup_reaches_no_server(
    db: Database, tmp_path: Path, make_database: MakeDatabase
) -> None:
    fill(db)
    made = back_up(db, tmp_path / "a.db", copier=ServerCopier())
    with closing(sqlite3.connect(made.path)) as file:
        file.execute("UPDATE part SET name = 'other' WHERE id = 5")
        file.commit()
    empty = make_database("libsql")
    with pytest.raises(BackupDamaged):
        restore_backup(made.path, empty, copier=ServerCopier())
    with closing(dbapi.connect(empty.url.http_url)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert rows == []


def test_without_a_copier_it_says_where_one_is(db: Database, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedCapability, match="the mover"):
        back_up(db, tmp_path / "a.db")
    assert list(tmp_path.iterdir()) == []


def test_vacuum_says_the_server_s_own_way_and_what_there_is_to_gain(
    db: Database,
) -> None:
    with closing(dbapi.connect(db.url.http_url, autocommit=True)) as connection:
        connection.execute("CREATE TABLE large (x)")
        connection.execute("INSERT INTO large VALUES (zeroblob(1000000))")
        connection.execute("DELETE FROM large")
    with pytest.raises(UnsupportedCapability, match="bytes are unused") as caught:
        vacuum(db)
    assert caught.value.detail["unused_bytes"] > 900_000
    assert "by itself when half of more than 65,536 pages" in caught.value.hint
