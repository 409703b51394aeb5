"""PostgreSQL databases that nobody made for a move: all arrives, or is named."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
from tests.mover import checker

from lockstep.engine import Database
from lockstep.mover import Mover, Plan
from lockstep.mover.model.postgresql import PgColumn, PgKey, PgSchema, PgTable
from lockstep.mover.plan.from_postgresql import plan_from_postgresql

MakeDatabase = Callable[..., Database]


def filled(url: str, script: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())
    return url


def named(plan: Plan) -> set[tuple[str, str]]:
    return {(loss.kind, loss.name) for loss in plan.losses}


def rows_of(path: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f'SELECT * FROM "{table}"').fetchall()


NAMES = """
CREATE TABLE "Users" ("A" int, "a" text); INSERT INTO "Users" VALUES (1, 'one');
CREATE TABLE users ("new
line" int); INSERT INTO users VALUES (2);
CREATE SCHEMA other; CREATE SCHEMA dot; CREATE SCHEMA "dot.ted";
CREATE TABLE other.users (n int); INSERT INTO other.users VALUES (3);
CREATE TABLE other_users (n int); INSERT INTO other_users VALUES (4);
CREATE TABLE "dot.ted" (n int PRIMARY KEY); INSERT INTO "dot.ted" VALUES (5);
CREATE TABLE dot.ted (n int REFERENCES "dot.ted"); INSERT INTO dot.ted VALUES (5);
CREATE TABLE "dot.ted".t (n int); INSERT INTO "dot.ted".t VALUES (6);
CREATE TABLE dot."ted.t" (n int); INSERT INTO dot."ted.t" VALUES (7);
CREATE TABLE sqlite_master (n int); INSERT INTO sqlite_master VALUES (8);
CREATE TABLE lockstep_move_state (n int); INSERT INTO lockstep_move_state VALUES (9);
CREATE INDEX "USERS_N" ON other.users (n); CREATE INDEX users_n ON other_users (n);
"""


def test_names_that_sqlite_takes_for_one(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = filled(make_database("postgresql").url.unmasked(), NAMES)
    path, again = tmp_path / "there.db", make_database("postgresql").url.unmasked()
    result = Mover(url, path).move()
    assert (result.is_exact, result.plan.losses, result.not_built) == (True, [], [])
    found = {t.source: rows_of(path, t.target) for t in result.plan.carried()}
    assert found == {
        "Users": [(1, "one")],
        "users": [(2,)],
        "other.users": [(3,)],
        "other_users": [(4,)],
        "dot.ted": [(5,)],
        '"dot"."ted"': [(5,)],
        "dot.ted.t": [(7,)],
        '"dot.ted"."t"': [(6,)],
        "sqlite_master": [(8,)],
        "lockstep_move_state": [(9,)],
    }
    assert Mover(url, path).verify().is_same
    assert Mover(path, again).move().is_exact
    for table in result.plan.carried():
        there = checker.sqlite_rows(path, table.target)
        assert checker.postgresql_rows(again, table.target) == there


RIGHTS = """
CREATE ROLE {role} LOGIN; CREATE SCHEMA hidden; CREATE TABLE hidden.t (n int);
CREATE TABLE shared (n int); INSERT INTO shared VALUES (1), (2);
CREATE TABLE denied (id int PRIMARY KEY); INSERT INTO denied VALUES (1);
CREATE TABLE some_columns (n int, secret int); INSERT INTO some_columns VALUES (1, 2);
CREATE TABLE own_rows (who text); INSERT INTO own_rows VALUES ('{role}'), ('else');
ALTER TABLE own_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON own_rows USING (who = current_user);
CREATE TABLE child (id int REFERENCES denied); INSERT INTO child VALUES (1);
CREATE TABLE counted (id serial PRIMARY KEY); INSERT INTO counted DEFAULT VALUES;
GRANT SELECT ON shared, own_rows, child, counted TO {role};
GRANT SELECT (n) ON some_columns TO {role};
"""


def test_rows_that_a_role_may_not_see_are_named(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url, role = make_database("postgresql").url, f"reader_{secrets.token_hex(4)}"
    filled(url.unmasked(), RIGHTS.replace("{role}", role))
    try:
        with psycopg.connect(url.unmasked(), autocommit=True) as connection:
            connection.execute(f"ALTER ROLE {role} PASSWORD 'known'".encode())
        path, own = tmp_path / "there.db", as_role(url.unmasked(), role)
        result = Mover(own, path).move()
        assert not result.is_exact
        assert {loss.name for loss in result.left_behind} == {
            *("denied", "some_columns", "own_rows", "hidden.t"),
        }
        assert {kind for kind, _ in named(result.plan)} == {
            *("table", "policy", "foreign key"),
        }
        assert rows_of(path, "shared") == [(1,), (2,)]
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("INSERT INTO child VALUES (2)")
            connection.execute("DELETE FROM child WHERE id = 2")
        report = Mover(own, path).verify()
        assert report.is_same
        assert any("own_rows" in notice for notice in report.notices)
        other = checker.made(tmp_path / "other.db", "CREATE TABLE own_rows (who TEXT)")
        report = Mover(own, other).verify()
        unread = {d.table for d in report.differences if d.kind == "unreadable table"}
        assert unread == {"denied", "some_columns", "own_rows", "hidden.t"}
    finally:
        drop = f"DROP OWNED BY {role}; DROP ROLE {role}"
        filled(url.unmasked(), drop)


def as_role(url: str, role: str) -> str:
    scheme, rest = url.split("://")
    return f"{scheme}://{role}:known@{rest.split('@')[-1]}"


OTHERS = """
CREATE DOMAIN small AS integer CHECK (VALUE < 100);
CREATE DOMAIN smaller AS small CHECK (VALUE < 10);
CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN moody AS mood;
CREATE TABLE typed (n smaller, m moody); INSERT INTO typed VALUES (7, 'glad');
CREATE TABLE parts (id int, k text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE UNIQUE INDEX parts_a_id ON parts_a (id); INSERT INTO parts VALUES (1, 'a');
ALTER TABLE parts_a ADD CONSTRAINT positive CHECK (id > 0);
CREATE TABLE of_part (id int REFERENCES parts_a (id)); INSERT INTO of_part VALUES (1);
CREATE TABLE pair (a int, b int, PRIMARY KEY (a, b)); INSERT INTO pair VALUES (1, 1);
CREATE TABLE whole (a int, b int, CONSTRAINT f FOREIGN KEY (a, b) REFERENCES pair
  MATCH FULL ON DELETE SET NULL); INSERT INTO whole VALUES (1, 1);
CREATE TABLE base (n int); CREATE TABLE heir (m int) INHERITS (base);
INSERT INTO base VALUES (1); INSERT INTO heir VALUES (2, 3);
CREATE SEQUENCE loose; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE RULE quiet AS ON DELETE TO base DO INSTEAD NOTHING;
SELECT lo_from_bytea(0, 'x');
"""


def test_what_is_no_table_is_named(tmp_path: Path, make_database: MakeDatabase) -> None:
    url = filled(make_database("postgresql").url.unmasked(), OTHERS)
    path = tmp_path / "there.db"
    result = Mover(url, path).move()
    assert {loss.kind for loss in result.left_behind} == {"large objects"}
    assert result.verification is not None
    assert result.verification.is_same
    assert named(result.plan) == {
        ("check", "typed.n: CHECK ((VALUE < 100))"),
        ("check", "typed.n: CHECK (((VALUE)::integer < 10))"),
        ("check", "parts_a: CHECK ((id > 0))"),
        ("unique", "parts_a.parts_a_id"),
        ("foreign key", "of_part: FOREIGN KEY (id) REFERENCES parts_a(id)"),
        (
            "foreign key",
            "whole: FOREIGN KEY (a, b) REFERENCES pair(a, b) MATCH FULL "
            "ON DELETE SET NULL",
        ),
        *(("inheritance", "heir"), ("sequence", "loose"), ("function", "f")),
        *(("rule", "base.quiet"), ("large objects", "1")),
    }
    # A domain of a domain is stored as what it is at last made of.
    assert rows_of(path, "typed") == [(7, "glad")]
    with closing(sqlite3.connect(path)) as connection:
        (sql,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'typed'"
        ).fetchone()
    assert "\"m\" TEXT CHECK (\"m\" IN ('sad', 'glad'))" in sql
    assert (rows_of(path, "base"), rows_of(path, "heir")) == ([(1,)], [(2, 3)])


def test_moments_beyond_a_calendar_come_back(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url, again = (make_database("postgresql").url.unmasked() for _ in range(2))
    filled(
        url,
        "CREATE TABLE t (z timestamptz, p timestamp); INSERT INTO t VALUES "
        "('294276-12-31 23:59:59.999999+00', '10000-01-01'), ('infinity', '-infinity'),"
        "('0044-03-15 12:00:00.5+00 BC', '4713-01-01 BC'), ('2024-02-29+01', NULL)",
    )
    path = tmp_path / "there.db"
    assert Mover(url, path).move().is_exact
    assert Mover(path, again).move().is_exact
    assert Mover(url, again).verify().is_same


COUNTED = """
CREATE DOMAIN five AS int DEFAULT 5; CREATE DOMAIN now AS five DEFAULT random();
CREATE TYPE reals AS RANGE (subtype = float8);
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY (INCREMENT -3) PRIMARY KEY,
  n int GENERATED BY DEFAULT AS IDENTITY, f five, o now, r reals,
  CHECK (id::text ~~* '%'), CHECK (r::text ~ '1'));
INSERT INTO t (r) VALUES ('[1,2)');
"""


def test_what_counts_or_gives_a_value_by_itself_is_kept_or_named(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = filled(make_database("postgresql").url.unmasked(), COUNTED)
    path = tmp_path / "there.db"
    assert not Mover(url, path).plan().notices
    assert not path.exists(), "a plan makes no file"
    result = Mover(url, path).move()
    assert result.is_exact
    why = {(loss.kind, loss.name): loss.why for loss in result.plan.losses}
    checks = {name: why for (kind, name), why in why.items() if kind == "check"}
    assert why.keys() - {("check", name) for name in checks} == {
        ("default", "t.id"),
        ("default", "t.n"),
        ("default", "t.o"),
    }
    assert "counts by -3" in why["default", "t.id"]
    assert set(checks.values()) == {"an expression with ~"}
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO t (n, o) VALUES (1, 1)")
        assert connection.execute("SELECT f FROM t").fetchall() == [(5,), (5,)]


def test_what_postgresql_18_brought_is_named() -> None:
    column = PgColumn("a", "integer", "integer", True, None, False, False, None, None)
    keys = [
        PgKey("u", "u", ["a"], "UNIQUE (a, v WITHOUT OVERLAPS)"),
        PgKey("f", "p", ["a"], "FOREIGN KEY (a, PERIOD v) REFERENCES t(a, PERIOD v)"),
        PgKey("f", "f", ["a"], "FOREIGN KEY (a) REFERENCES t(a) NOT ENFORCED"),
        PgKey("c", "c", ["a"], "CHECK ((a > 0)) NOT ENFORCED"),
    ]
    table = PgTable("public", "t", [column], keys)
    for key in keys:
        key.refers_to, key.referred_columns, key.referred = "t", [column], ["a"]
    plan = plan_from_postgresql(PgSchema([table], []))
    assert {name for _, name in named(plan)} == {f"t: {k.definition}" for k in keys}
    assert plan.tables[0].create.count("CONSTRAINT") == 1, "equal ones are refused"


def test_uniqueness_under_a_collation_of_its_own_is_named() -> None:
    text = PgColumn("a", "citext", "citext", True, None, False, False, None, None)
    text.is_folded = True
    key = PgKey("p", "t_pkey", ["a"], "PRIMARY KEY (a)")
    plan = plan_from_postgresql(PgSchema([PgTable("public", "t", [text], [key])], []))
    assert named(plan) == {("unique", "t.t_pkey")}
