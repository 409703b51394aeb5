"""What an SQL text is: the guard of read sessions stands on this."""

from __future__ import annotations

import pytest

from lockstep.engine.hrana.statements import Kind, nature_of

READS = [
    *("SELECT 1", " select\n*\nfrom t ;", "/* INSERT */ SELECT 1", "-- x\nSELECT 1"),
    *("VALUES (1)", "EXPLAIN DELETE FROM t", "SELECT 'a; DELETE FROM t'"),
    *('SELECT "; DROP" FROM [a;b]', "SELECT `;`", "PRAGMA table_info(t)"),
    *("PRAGMA main.table_list", "PRAGMA user_version", "PRAGMA foreign_keys"),
    "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",  # SQLite refuses it
    "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n FROM a) SELECT n FROM a",
    "WITH a AS (SELECT 1), b AS NOT MATERIALIZED (SELECT 2) VALUES (3)",
]
MAY_WRITE = [
    *("INSERT INTO t VALUES (1)", "update t set a = 1", "REPLACE INTO t VALUES (1)"),
    *("DELETE FROM t", "CREATE TABLE t (a)", "DROP TABLE t", "VACUUM", "ANALYZE"),
    *("ATTACH 'x' AS y", "DETACH y", "REINDEX", "ALTER TABLE t RENAME TO u"),
    *("PRAGMA user_version = 5", "PRAGMA query_only = OFF", "PRAGMA optimize"),
    *("PRAGMA writable_schema(1)", "PRAGMA wal_checkpoint", "PRAGMA main.x = 1"),
    "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
    "WITH a AS (SELECT ')') DELETE FROM t",
    "WITH a AS (SELECT 1 /* ) SELECT */) UPDATE t SET a = 1",
    *("SELECT 1; DELETE FROM t", "SELECT 1;;DELETE FROM t", "/* x", "", ";", "-- x"),
    *("'SELECT 1'", "(SELECT 1)", "SELECTED 1", "ΔSELECT"),
]


@pytest.mark.parametrize("sql", READS)
def test_what_reads(sql: str) -> None:
    assert nature_of(sql).kind is Kind.READ


@pytest.mark.parametrize("sql", MAY_WRITE)
def test_what_may_write(sql: str) -> None:
    assert nature_of(sql).kind in (Kind.CHANGE, Kind.OTHER)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        *(("BEGIN", Kind.BEGIN), ("begin immediate transaction;", Kind.BEGIN)),
        *(("COMMIT", Kind.COMMIT), ("END TRANSACTION", Kind.COMMIT)),
        *(("ROLLBACK", Kind.ROLLBACK), ("/**/ROLLBACK;", Kind.ROLLBACK)),
        *(("ROLLBACK TO a", Kind.SAVEPOINT), ("SAVEPOINT a", Kind.SAVEPOINT)),
        *(("ROLLBACK TRANSACTION TO SAVEPOINT a", Kind.SAVEPOINT),),
        *(("RELEASE a", Kind.SAVEPOINT), ("DELETE FROM t", Kind.CHANGE)),
        ("CREATE TRIGGER t BEFORE INSERT ON a BEGIN SELECT 1; END", Kind.OTHER),
    ],
)
def test_what_it_does_to_the_transaction(sql: str, kind: Kind) -> None:
    assert nature_of(sql).kind is kind


def test_a_begin_that_locks_is_known() -> None:
    assert nature_of("BEGIN IMMEDIATE").locks
    assert nature_of("BEGIN EXCLUSIVE TRANSACTION").locks
    assert not nature_of("BEGIN").locks
    assert not nature_of("BEGIN DEFERRED").locks


@pytest.mark.parametrize(
    ("sql", "is_on"),
    [
        *(("PRAGMA foreign_keys = ON", True), ("PRAGMA foreign_keys=0", False)),
        *(("pragma main.foreign_keys(1)", True), ("PRAGMA foreign_keys = off;", False)),
    ],
)
def test_the_setting_of_a_connection_is_known(sql: str, is_on: bool) -> None:
    nature = nature_of(sql)
    assert (nature.setting, nature.is_on) == ("foreign_keys", is_on)


def test_rows_of_a_change_are_known() -> None:
    assert nature_of("INSERT INTO t VALUES (1) RETURNING id").returns_rows
    assert not nature_of("INSERT INTO t VALUES ('RETURNING')").returns_rows
