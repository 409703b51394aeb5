"""Tables that changed on PostgreSQL: what was made for them does not come back broken."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
from tests.mover import checker

from lockstep.engine import Database
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]

FILE = """
CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, s TEXT);
CREATE TABLE kept (id INTEGER PRIMARY KEY, n INT);
CREATE TABLE gone (x INT);
CREATE VIRTUAL TABLE boxes USING rtree (id, low, high);
CREATE INDEX by_n ON t (n); CREATE INDEX kept_n ON kept (n);
CREATE VIEW of_n AS SELECT n FROM t; CREATE VIEW of_s AS SELECT s FROM t;
CREATE VIEW over_n AS SELECT n FROM of_n; CREATE VIEW of_gone AS SELECT x FROM gone;
CREATE VIEW never AS SELECT y FROM nowhere;
CREATE TRIGGER on_n AFTER INSERT ON t BEGIN UPDATE kept SET n = NEW.n; END;
CREATE TRIGGER on_s AFTER UPDATE OF s ON t BEGIN UPDATE kept SET n = NEW.id; END;
CREATE TRIGGER on_kept AFTER DELETE ON kept BEGIN DELETE FROM t WHERE id = OLD.id; END;
INSERT INTO t VALUES (1, 1, 'x'); INSERT INTO kept VALUES (1, 1);
INSERT INTO boxes VALUES (1, 0, 1.5);
"""
THERE = """
DROP VIEW IF EXISTS over_n, of_n, of_gone; ALTER TABLE t RENAME n TO m;
DROP TABLE gone; INSERT INTO boxes VALUES (2, 9, 1), (3, 1, 2);
"""


def test_what_would_fail_in_the_changed_file_is_named_and_left_out(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = checker.made(tmp_path / "a.db", FILE)
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(THERE.encode())
    back = tmp_path / "back.db"
    result = Mover(url, back, quarantine=tmp_path / "q").move()
    assert result.not_built == []
    lost = {(x.kind, x.name): x for x in result.plan.losses}
    broken = {("view", "of_n"), ("view", "over_n"), ("view", "of_gone")}
    broken.add(("trigger", "on_n"))
    assert lost.keys() == broken | {("table", "gone"), ("check", "boxes")}
    assert all(lost[each].sql.startswith("CREATE ") for each in broken)
    assert "rtree constraint" in lost["check", "boxes"].why
    assert result.quarantined == 1
    with closing(sqlite3.connect(back)) as connection:
        connection.execute("INSERT INTO t VALUES (2, 5, 'y')")
        connection.execute("UPDATE t SET s = 'z' WHERE id = 2")
        assert connection.execute("SELECT n FROM kept").fetchall() == [(2,)]
        assert connection.execute("SELECT s FROM of_s").fetchall() == [("x",), ("z",)]
        objects = connection.execute("SELECT name FROM sqlite_master").fetchall()
    names = {name for (name,) in objects}
    assert names >= {"by_n", "kept_n", "of_s", "never", "on_s", "on_kept"}
    assert not names & {name for _, name in broken}
