"""What cannot arrive is named by the plan, and a result that lost it is not exact."""

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
from lockstep.mover import Mover, inspect_database
from lockstep.mover.sqlite import source as sqlite_source

MakeDatabase = Callable[..., Database]


def with_null(path: Path) -> Path:
    """Make a file whose statement was tightened after its rows came."""
    return checker.made(
        path,
        """
        CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, y INT NOT NULL);
        INSERT INTO t VALUES (1, NULL, 1), (2, 'two', 2), (3, NULL, 3), (4, '', 4);
        PRAGMA writable_schema = ON;
        UPDATE sqlite_master SET sql = replace(sql, 'x TEXT', 'x TEXT NOT NULL');
        """,
    )


def test_null_that_the_files_own_statement_refuses_is_named_and_quarantined(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = with_null(tmp_path / "source.db"), tmp_path / "back.db"
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact

    mover = Mover(url, back, quarantine=tmp_path / "q")
    (loss,) = mover.plan().losses
    assert (loss.kind, loss.name, loss.is_data) == ("null", "t.x", True)
    assert loss.why.startswith("2 rows")
    result = mover.move()
    assert not result.is_exact
    assert result.left_behind == [loss]
    assert result.verification is not None
    assert result.verification.is_same
    rejected = map(json.loads, (tmp_path / "q").read_text().splitlines())
    assert {(row["key"], row["column"]) for row in rejected} == {
        ("1", "x"),
        ("3", "x"),
    }
    kept = {row for row in checker.typed_rows(path, "t") if "NoneType" not in str(row)}
    assert set(checker.typed_rows(back, "t")) == kept


def test_null_that_a_domain_let_in_arrives(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE DOMAIN sure AS integer NOT NULL; CREATE TABLE t (n int, s sure);"
            "INSERT INTO t VALUES (2, 2); INSERT INTO t SELECT 1, (SELECT s FROM t WHERE false)"
        )
    path = tmp_path / "there.db"
    result = Mover(url, path).move()
    assert ("not null", "t.s") in {
        (loss.kind, loss.name) for loss in result.plan.losses
    }
    assert result.is_exact
    assert checker.sqlite_rows(path, "t") == checker.postgresql_rows(url, "t")


@pytest.mark.parametrize("target", ["postgresql", "libsql"])
def test_texts_that_are_no_utf16_are_named(
    target: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = tmp_path / "source.db", tmp_path / "back.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, y)")
        for stored in ("00d8", "610000d86200", "00dc00d8", "6f006b00", "3dd800de"):
            connection.execute(f"INSERT INTO t (x) VALUES (CAST(x'{stored}' AS TEXT))")
        connection.execute("INSERT INTO t (y) VALUES (x'00d8'), ('😀'), (1.5)")
    url = make_database(target).url.unmasked()
    result = Mover(path, url).move()
    (loss,) = result.left_behind
    assert (loss.kind, loss.name) == ("broken text", "t.x")
    assert loss.why.startswith("3 texts are no UTF-16le")
    assert not result.is_exact
    returned = Mover(url, back).move()
    assert returned.verification is not None
    assert returned.verification.is_same
    # What SQLite makes of half a character, it makes of it on both sides.
    assert checker.typed_rows(back, "t") == checker.typed_rows(path, "t")


def test_an_inspection_checks_the_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    check = sqlite_source.damage_of

    def counted(
        *words: sqlite3.Connection, is_full: bool, knows_all: bool
    ) -> list[str]:
        asked.append(is_full)
        return check(*words, is_full=is_full, knows_all=knows_all)

    monkeypatch.setattr(sqlite_source, "damage_of", counted)
    path = checker.made(
        tmp_path / "a.db", "CREATE TABLE t (x); CREATE INDEX i ON t (x)"
    )
    inspect_database(path)
    inspect_database(path, check=False)
    assert asked == [True, False]


def test_what_has_to_be_written_anew_is_told_with_its_sql(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = checker.made(
        tmp_path / "a.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT);"
        "CREATE VIEW v AS SELECT group_concat(at) AS every FROM t;"
        "CREATE TRIGGER touch AFTER INSERT ON t BEGIN UPDATE t SET at = 'x'; END;",
    )
    url = make_database("postgresql").url.unmasked()
    told = {loss.name: loss.sql for loss in Mover(path, url).plan().losses}
    assert told["v"].startswith("CREATE VIEW v AS SELECT group_concat")
    assert told["touch"].endswith("BEGIN UPDATE t SET at = 'x'; END")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE t (id int); CREATE VIEW v AS SELECT now() AS more FROM t;"
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RETURN NEW; END'; CREATE TRIGGER touch BEFORE INSERT ON t "
            "FOR EACH ROW EXECUTE FUNCTION f()"
        )
        plan = Mover(url, tmp_path / "there.db").plan()
        told = {loss.name: loss.sql for loss in plan.losses}
        for name in ("touch", "v"):
            connection.execute(
                f"DROP {'VIEW v' if name == 'v' else 'TRIGGER touch ON t'}"
            )
            connection.execute(told[name].encode())
    assert "RETURN NEW" in told["touch"]
