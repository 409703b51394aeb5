"""Schemas that nobody would write and somebody has: moved whole, or named in the plan."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.mover import checker
from tests.mover.checker import made

from lockstep.engine import Database
from lockstep.errors import Unmappable
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]

NAMES = """
CREATE TABLE 😀(🎈 INTEGER PRIMARY KEY, größe TEXT CHECK (length(größe) > 0));
CREATE INDEX 🎏 ON 😀(größe);
CREATE TABLE tickets (id INTEGER PRIMARY KEY);
CREATE TABLE tickets_id_seq (a TEXT);
CREATE TABLE seats (id INTEGER PRIMARY KEY); CREATE INDEX seats_id_seq ON seats (id);
CREATE TABLE pg_class (relname TEXT); CREATE TABLE pg_stat_activity (a INT);
CREATE TABLE lockstep_move_state (a INTEGER);
INSERT INTO 😀 VALUES (1, 'ß'); INSERT INTO tickets VALUES (7);
INSERT INTO tickets_id_seq VALUES ('x'); INSERT INTO seats VALUES (3);
INSERT INTO pg_class VALUES ('mine'); INSERT INTO lockstep_move_state VALUES (5);
"""


def test_names_that_the_target_has_itself_and_letters_beyond_ascii(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = made(tmp_path / "a.db", NAMES)
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert result.is_exact
    assert result.plan.losses == []
    carried = {table.source: table.target for table in result.plan.carried()}
    assert len(carried) == 7
    assert carried["pg_class"] != "pg_class"
    assert carried["pg_stat_activity"] != "pg_stat_activity"
    for source, target in carried.items():
        expected = checker.sqlite_rows(path, source)
        assert checker.postgresql_rows(url, target) == expected
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "INSERT INTO tickets DEFAULT VALUES RETURNING id"
        ).fetchone()
        assert row == (8,)


LOST = """
CREATE TABLE documents (id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO documents (body) VALUES ('{{"title": "a"}}'), ('no document');
ALTER TABLE documents ADD COLUMN title TEXT AS (json_extract(body, '$.title'));
CREATE TABLE mixed (k UNIQUE, body TEXT, CHECK (k IS NOT NULL OR body ISNULL)); CREATE INDEX by_body ON mixed (lower(body));
INSERT INTO mixed VALUES (1, hex(zeroblob(3000))), ('1', 'short');
CREATE VIRTUAL TABLE words USING fts5(word); INSERT INTO words VALUES ('one');
CREATE VIRTUAL TABLE counted USING fts5vocab(words, row);
CREATE TABLE deep (a INTEGER, CHECK ({deep}));
CREATE TABLE wide ({wide}); INSERT INTO wide VALUES ({ones});
"""


def test_what_cannot_be_carried_is_named_and_the_rest_goes_there_and_back(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    script = LOST.format(
        deep=" OR ".join(f"a = {number}" for number in range(900)),
        wide=", ".join(f"c{number} INTEGER" for number in range(1_100)),
        ones=", ".join(["1"] * 1_100),
    )
    path = made(tmp_path / "a.db", script)
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert [loss.name for loss in result.left_behind] == ["wide"]
    assert result.verification is not None
    assert result.verification.is_same
    assert result.not_built == []
    losses = {(loss.kind, loss.name, loss.is_data) for loss in result.plan.losses}
    assert ("check", "mixed", False) not in losses
    assert losses >= {
        ("generated column", "documents.title", False),
        ("unique", "mixed.sqlite_autoindex_mixed_1", False),
        ("index", "mixed.by_body", False),
        ("virtual table", "counted", False),
        ("check", "deep", False),
        ("table", "wide", True),
    }
    # PostgreSQL counts the same: 24 bytes before 1,100 numbers of 8.
    assert "needs 8824 bytes" in next(
        loss.why for loss in result.plan.losses if loss.name == "wide"
    )
    back = tmp_path / "back.db"
    assert Mover(url, back).move().is_exact
    with closing(sqlite3.connect(back)) as connection:
        rows = connection.execute("SELECT k, typeof(k) FROM mixed").fetchall()
        assert rows == [(1, "integer"), ("1", "text")]
        rows = connection.execute("SELECT * FROM documents").fetchall()
        assert rows == [(1, '{"title": "a"}'), (2, "no document")]


def test_a_row_that_only_the_server_finds_too_wide_is_an_error_of_ours(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    # A boolean before a number takes eight bytes, not one.
    columns = [f"c{i} {'BOOLEAN' if i % 2 else 'INTEGER'}" for i in range(1_200)]
    script = f"CREATE TABLE t ({', '.join(columns)}); INSERT INTO t VALUES "
    script += f"({', '.join(['1'] * 1_200)});".replace("1, 1", "2, 1", 600)
    path = made(tmp_path / "a.db", script)
    url = make_database("postgresql").url.unmasked()
    with pytest.raises(Unmappable, match="row is too big"):
        Mover(path, url).move()


@pytest.mark.parametrize("damaged", ["abcd", "texts", "t_name"])
def test_a_schema_that_is_no_utf8_is_named_and_never_read_under_another_name(
    damaged: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = made(
        tmp_path / "a.db",
        "CREATE TABLE t_name (abcd INTEGER, b TEXT DEFAULT 'texts');"
        "INSERT INTO t_name VALUES (1, 'x'); CREATE TABLE other (a INTEGER);"
        "INSERT INTO other VALUES (5); PRAGMA writable_schema = ON;",
    )
    bent = f"CAST(replace({{}}, '{damaged}', CAST(x'fc' AS TEXT)) AS TEXT)"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            f"UPDATE sqlite_master SET sql = {bent.format('sql')}, "
            f"name = {bent.format('name')}, tbl_name = {bent.format('tbl_name')}"
        )
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert result.is_exact == (damaged == "texts")
    assert result.verification is not None
    assert result.verification.is_same
    assert checker.postgresql_rows(url, "other") == checker.sqlite_rows(path, "other")
    (loss,) = result.plan.losses
    if damaged == "texts":
        assert (loss.kind, loss.name) == ("default", "t_name.b")
        assert sum(checker.postgresql_rows(url, "t_name").values()) == 1
    else:
        assert (loss.kind, loss.is_data) == ("table", True)
        assert "no UTF-8" in loss.why


FOREIGN = """
CREATE TABLE places (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, n INTEGER,
  CHECK ("places"."kind" IN ('a', 'b')));
INSERT INTO places (kind) VALUES ('a'); DELETE FROM places;
UPDATE sqlite_sequence SET seq = 0;
CREATE TABLE behind (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO behind VALUES (60);
CREATE TABLE uncounted (id INTEGER PRIMARY KEY AUTOINCREMENT);
INSERT INTO uncounted VALUES (3); DELETE FROM sqlite_sequence WHERE name = 'uncounted';
UPDATE sqlite_sequence SET seq = 50 WHERE name = 'behind';
CREATE TABLE near_node (data BLOB); INSERT INTO near_node VALUES (x'00ff');
PRAGMA writable_schema = ON;
INSERT INTO sqlite_master VALUES ('table', 'near', 'near', 0,
  'CREATE VIRTUAL TABLE near USING VirtualSpatialIndex()');
"""


def test_tables_of_other_programs_come_back_word_for_word(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = made(tmp_path / "a.db", FOREIGN)
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert [loss.name for loss in result.plan.losses] == ["near"]
    back = tmp_path / "back.db"
    returned = Mover(url, back).move()
    assert (returned.is_exact, returned.plan.losses, returned.not_built) == (
        *(True, [], []),
    )
    contents = [
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name",
        "SELECT name, seq FROM sqlite_sequence ORDER BY name",
    ]
    found: list[list[list[tuple[str, str]]]] = []
    for file in (path, back):
        with closing(sqlite3.connect(file)) as connection:
            found.append([connection.execute(sql).fetchall() for sql in contents])
    assert found[0] == found[1]
    report = Mover(path, back).verify()
    assert report.is_same
    assert "near cannot be read here: no such module: VirtualSpatialIndex" in (
        report.notices
    )
    # What the server has given since is never given again.
    with psycopg.connect(url, autocommit=True) as connection:
        given = b"INSERT INTO behind DEFAULT VALUES; DELETE FROM behind WHERE id > 60"
        connection.execute(given)
    again = tmp_path / "again.db"
    assert Mover(url, again).move().is_exact
    with closing(sqlite3.connect(again)) as connection:
        counted = "SELECT seq FROM sqlite_sequence WHERE name = 'behind'"
        assert connection.execute(counted).fetchall() == [(61,)]


ACCENTS = """
CREATE TABLE "é" (a INTEGER PRIMARY KEY, "Ä" INTEGER, "ä" TEXT);
CREATE TABLE "É" (b TEXT UNIQUE);
CREATE TABLE c (x TEXT REFERENCES "É"(b), CHECK ("c"."x" <> 'z'));
CREATE INDEX i ON "é" ("ä");
CREATE VIEW v AS SELECT "ä" AS t FROM "é";
INSERT INTO "é" VALUES (1, 2, 'x'); INSERT INTO "É" VALUES ('y');
INSERT INTO c VALUES ('y');
"""


def test_only_a_to_z_are_one_name_in_both_cases(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = made(tmp_path / "a.db", ACCENTS)
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert (result.is_exact, result.plan.losses) == (True, [])
    for table in ("é", "É", "c"):
        expected = checker.sqlite_rows(path, table)
        assert checker.postgresql_rows(url, table) == expected
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute('UPDATE "É" SET b = ?', ("other",))
    report = Mover(path, url).verify()
    assert {found.table for found in report.differences} == {"É"}


TWINS = """
CREATE TABLE seats (id INTEGER PRIMARY KEY AUTOINCREMENT, x INTEGER);
CREATE INDEX sequences ON seats (x);
CREATE VIEW twin AS SELECT x FROM seats;
CREATE TRIGGER twin INSTEAD OF INSERT ON twin BEGIN INSERT INTO seats (x) VALUES (1); END;
CREATE TRIGGER sequences AFTER INSERT ON seats BEGIN SELECT 1; END;
INSERT INTO seats VALUES (7, 1);
"""


def test_names_that_a_journal_could_confuse(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = made(tmp_path / "a.db", TWINS), tmp_path / "back.db"
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    with psycopg.connect(url) as connection:
        insert = "INSERT INTO seats DEFAULT VALUES RETURNING id"
        assert connection.execute(insert).fetchone() == (8,)
        connection.rollback()
    assert Mover(url, back).move().is_exact
    found: list[list[tuple[str, str]]] = []
    for file in (path, back):
        with closing(sqlite3.connect(file)) as connection:
            sql = "SELECT type, name FROM sqlite_master ORDER BY type, name"
            found.append(connection.execute(sql).fetchall())
    assert found[0] == found[1]


def test_keys_that_postgresql_sorts_in_another_way(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    first, path = make_database("postgresql").url.unmasked(), tmp_path / "a.db"
    with psycopg.connect(first, autocommit=True) as connection:
        connection.execute("CREATE TABLE late (at timestamp PRIMARY KEY)")
        connection.execute(
            "INSERT INTO late VALUES ('12345-01-01'), ('2024-01-01 10:00')"
        )
    assert Mover(first, path).move().is_exact
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO late VALUES ('2024-01-01T10:00:00.50')")
        connection.execute("CREATE TABLE counted (n INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO counted VALUES (9), (10)")
    plan = '[tables.counted.columns]\nn = { type = "text", codec = "integer" }\n'
    second = make_database("postgresql").url.unmasked()
    result = Mover(path, second, plan=plan).move()
    types = {t.source: t.columns[0].type for t in result.plan.carried()}
    assert types == {"late": "timestamp without time zone", "counted": "text"}
    assert result.is_exact


def test_each_reference_is_looked_at_when_it_says(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = made(
        tmp_path / "a.db",
        """
        CREATE TABLE p (id INTEGER PRIMARY KEY, deferred_at TEXT);
        CREATE TABLE c (
          d INTEGER CONSTRAINT "not deferrable" REFERENCES p ON DELETE CASCADE,
          a INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED,
          b INTEGER REFERENCES p(id) DEFERRABLE, e INTEGER,
          f INTEGER REFERENCES p NOT DEFERRABLE INITIALLY DEFERRED,
          FOREIGN KEY (e) REFERENCES p ON UPDATE SET NULL DEFERRABLE INITIALLY IMMEDIATE);
        """,
    )
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    with psycopg.connect(url, autocommit=True) as there:
        found = there.execute(
            b"SELECT attname::text, confdeltype, confupdtype, condeferrable, condeferred "
            b"FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND "
            b"attnum = conkey[1] WHERE contype = 'f' ORDER BY 1"
        ).fetchall()
        assert found == [
            ("a", "a", "a", True, True),
            ("b", "a", "a", True, False),
            ("d", "c", "a", False, False),
            ("e", "a", "n", True, False),
            ("f", "a", "a", False, False),
        ]
        there.execute(b"DROP SCHEMA lockstep_move CASCADE")
    back = tmp_path / "back.db"
    assert Mover(url, back).move().is_exact
    with closing(sqlite3.connect(back)) as file:
        ((sql,),) = file.execute("SELECT sql FROM sqlite_master WHERE name = 'c'")
    assert sql.count("DEFERRABLE INITIALLY DEFERRED") == 1
    assert sql.count("DEFERRABLE INITIALLY IMMEDIATE") == 2
