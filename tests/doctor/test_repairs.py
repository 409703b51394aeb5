"""--fix: a plan that changes nothing, repairs that are looked at again."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import psycopg
import pytest
from tests.acceptance.conftest import clean_environment
from tests.acceptance.shell import Shell
from tests.doctor.corpus import make
from tests.doctor.test_sqlite_files import fingerprint

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.doctor import examine
from lockstep.doctor.repairs import carry_out, planned

__all__ = ["clean_environment"]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    return make(folder / "shop.db", "DROP INDEX ix_orders_customer_id", wal=False)


@pytest.fixture
def shell(tmp_path: Path, clean_environment: dict[str, str]) -> Shell:
    return Shell(tmp_path, clean_environment)


def test_a_plan_changes_nothing(broken: Path, shell: Shell) -> None:
    before = fingerprint(broken.parent)
    done = shell("db", "doctor", str(broken), "--fix", code=1)
    assert "CREATE INDEX" in done.out
    assert "PRAGMA journal_mode = WAL" in done.out
    assert "without making a backup" in done.out
    assert "--yes" in done.err
    assert fingerprint(broken.parent) == before


def test_repairs_are_done_and_looked_at_again(broken: Path, shell: Shell) -> None:
    document = shell("db", "doctor", str(broken), "--fix", "--yes", "--json").document
    assert {(r["check"], r["mended"]) for r in document["repairs"]} == {
        ("journal-mode", True),
        ("unindexed-foreign-keys", True),
    }
    report = examine(broken)
    assert report.is_healthy
    connection = sqlite3.connect(broken)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    rows = connection.execute("SELECT count(*) FROM orders").fetchone()
    connection.close()
    assert rows == (2000,)
    again = shell("db", "doctor", str(broken), "--fix", "--yes")
    assert "nothing that was found can be mended" in again.out


def test_a_repair_that_cannot_have_its_lock_changes_nothing(
    broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockstep.doctor.repairs.LOCK_TIMEOUT_S", 0.1)
    repairs = planned(examine(broken))
    writer = sqlite3.connect(broken, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    results = carry_out(broken, repairs)
    writer.execute("ROLLBACK")
    writer.close()
    assert {result.is_mended for result in results} == {False}
    assert all(result.error for result in results)
    assert not examine(broken).is_healthy


def test_an_index_is_made_beside_a_partial_one_of_its_name(tmp_path: Path) -> None:
    path = make(
        tmp_path / "partial.db",
        """DROP INDEX ix_orders_customer_id;
           CREATE INDEX ix_orders_customer_id ON orders (customer_id)
           WHERE note IS NOT NULL""",
    )
    (result,) = carry_out(path, planned(examine(path)))
    assert result.is_mended, result.error


def test_a_repair_whose_name_is_taken_says_so(tmp_path: Path) -> None:
    path = make(
        tmp_path / "taken.db",
        """DROP INDEX ix_orders_customer_id;
           CREATE INDEX ix_orders_customer_id ON customers (name)""",
    )
    (result,) = carry_out(path, planned(examine(path)))
    assert not result.is_mended
    assert "already exists" in result.error


def test_what_needs_a_decision_is_never_planned(tmp_path: Path) -> None:
    path = make(
        tmp_path / "dirty.db",
        """PRAGMA foreign_keys = OFF; DELETE FROM customers WHERE id = 3;
           UPDATE orders SET total_cents = 'x' WHERE id = 1""",
    )
    assert planned(examine(path)) == ()


def test_repairs_on_postgresql(make_database: MakeDatabase) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """CREATE SCHEMA "Odd Shop";
               CREATE TABLE "Odd Shop".parents (id serial PRIMARY KEY);
               CREATE TABLE "Odd Shop".children (id serial PRIMARY KEY,
                 parent_id integer REFERENCES "Odd Shop".parents (id));
               INSERT INTO "Odd Shop".parents VALUES (7)"""
        )
        report = examine(url)
        results = carry_out(url, planned(report))
        assert {(r.repair.finding.check, r.error) for r in results} == {
            ("sequence-behind", ""),
            ("unindexed-foreign-keys", ""),
        }
        row = connection.execute(
            'INSERT INTO "Odd Shop".parents DEFAULT VALUES RETURNING id'
        ).fetchone()
        assert row == (8,)


def test_the_command_says_how_many_and_ends_with_one(
    broken: Path, shell: Shell
) -> None:
    done = shell("db", "doctor", str(broken), code=1)
    assert "2 warnings" in done.out
    assert "why:" in done.out
    assert "mend:" in done.out
    last = done.out.strip().splitlines()[-1]
    assert "checks," in last
    assert "needs attention" in last
    healthy = shell("db", "doctor", str(make(broken.parent / "ok.db")))
    assert "healthy" in healthy.out.strip().splitlines()[-1]


def test_the_exit_codes(shell: Shell, tmp_path: Path) -> None:
    assert "there is no" in shell("db", "doctor", "none.db", code=3).err
    assert "is no check" in shell("db", "doctor", "--check", "x", "y.db", code=2).err
    (tmp_path / "empty.db").touch()
    document = shell("db", "doctor", "empty.db", "--json", code=1).document
    assert document["findings"][0]["check"] == "readable"
    lines = shell("db", "doctor", "--list").out
    assert "unique-in-name-only" in lines
    assert json.loads(shell("db", "doctor", "--list", "--json").out)["registry"]


def test_it_runs_where_there_is_no_project(shell: Shell, tmp_path: Path) -> None:
    make(tmp_path / "app.db")
    done = shell.run(
        *(sys.executable, "-m", "lockstep", "db", "doctor", "app.db", "--json")
    )
    assert done.document["healthy"] is True
    assert done.err == ""
