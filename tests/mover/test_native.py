"""What only PostgreSQL has arrives in a file as text, is named, and goes back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from lockstep.engine import Database
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]

NATIVE = r"""
CREATE SCHEMA app;
CREATE TYPE mood AS ENUM ('sad','ok');
CREATE DOMAIN posint AS integer CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE app."Weird ""Name" ("from" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "UPPER" text, "a.b" text);
INSERT INTO app."Weird ""Name" ("UPPER","a.b") VALUES (E'\t\n\\', E'\x01\x1f'), ('',
  NULL);
CREATE TABLE parts (id int, region text, v numeric, PRIMARY KEY (id,
  region)) PARTITION BY LIST (region);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_b PARTITION OF parts DEFAULT;
INSERT INTO parts VALUES (1,'a','NaN'),(2,'b','Infinity'),(3,'c',-0.000000000000000000000000001),(4,'a',12345678901234567890.123456789);
CREATE TABLE base (id serial PRIMARY KEY, x text);
CREATE TABLE heir (y int) INHERITS (base);
INSERT INTO base (x) VALUES ('b');
INSERT INTO heir (x,y) VALUES ('h', 2);
CREATE TABLE kinds (c char(5), m money, b bit(3), vb bit varying, r int4range,
  ts tsvector, p pair, e mood, d posint, a2 int[][], n name, o oid, iv interval,
  tz timetz, t time, pt point, mac macaddr, jp jsonpath, u uuid, f4 real, f8 float8,
  ch "char", sm smallint, dt date, tsn timestamp(3), tstz timestamptz, by bytea,
  ta text[], lsn pg_lsn);
INSERT INTO kinds VALUES ('ab', 12.5, B'101', B'1', '[1,5)', 'a b', '(1,"x,y")',
  'ok', 5, '{{1,2},{3,NULL}}', 'nm', 4000000000, '-1 year 2 days -03:04:05.6',
  '10:00:00+02', '24:00:00', '(1,2)', '08:00:2b:01:02:03', '$.a',
  'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 1.1, 1e-300, 'x', -32768, '-infinity',
  '2024-01-01 10:00:00.1235', '0044-03-15 10:00:00+00 BC', '\x00ff5c',
  '{"a\\b","c\"d",NULL,""}', '16/B374D848');
INSERT INTO kinds DEFAULT VALUES;
CREATE TABLE nocols ();
INSERT INTO nocols DEFAULT VALUES;
INSERT INTO nocols DEFAULT VALUES;
CREATE TABLE boss (id int PRIMARY KEY, emp int);
CREATE TABLE emp (id int PRIMARY KEY,
  boss int REFERENCES boss DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE boss ADD FOREIGN KEY (emp) REFERENCES emp ON DELETE SET NULL;
BEGIN;
INSERT INTO boss VALUES (1,NULL);
INSERT INTO emp VALUES (1,1);
UPDATE boss SET emp=1;
COMMIT;
CREATE TABLE uq (a int, b text, c text UNIQUE NULLS NOT DISTINCT,
  EXCLUDE USING btree (a WITH =), UNIQUE (a,b) DEFERRABLE);
INSERT INTO uq VALUES (1,'x',NULL),(2,'x','y');
CREATE UNIQUE INDEX uqi ON uq (b, a DESC) INCLUDE (c) WHERE a > 0;
CREATE INDEX uqe ON uq ((a+1), lower(b));
CREATE INDEX uqb ON kinds USING gin (ta);
CREATE INDEX uqt ON uq (b text_pattern_ops);
CREATE TABLE "select" ("order" bigint PRIMARY KEY DEFAULT 5,
  "default" boolean DEFAULT true, z text DEFAULT 'it''s', q text DEFAULT E'a\\b',
  now_ timestamptz DEFAULT now(), arr int[] DEFAULT '{}',
  js jsonb DEFAULT '{}'::jsonb, n numeric DEFAULT 1.50, dbl float8 DEFAULT 0.5,
  neg int DEFAULT -1, cur date DEFAULT CURRENT_DATE, iv interval DEFAULT '1 day',
  uu uuid DEFAULT gen_random_uuid());
INSERT INTO "select" ("order") VALUES (9223372036854775807),(-9223372036854775808);
CREATE TABLE dups (k text PRIMARY KEY, v int);
INSERT INTO dups VALUES ('a',1),('A',2),('ä',3),('',4);
CREATE VIEW vw AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW mv AS SELECT 2 AS b;
CREATE SEQUENCE lonely;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER tg BEFORE INSERT ON dups FOR EACH ROW EXECUTE FUNCTION f();
"""
LOSSES = {
    *("heir.id", "kinds.d: CHECK ((VALUE > 0))", "nocols", "uq.uq_c_key", "kinds.uqb"),
    *("uq: EXCLUDE USING btree (a WITH =)", "uq.uqe", "vw", "mv", "tg"),
    "uq: UNIQUE (a, b) DEFERRABLE",
    *("select.order", "heir", "lonely", "f"),
}


def test_whatever_postgresql_holds_goes_there_and_back(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url, again = (make_database("postgresql").url.unmasked() for _ in range(2))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(NATIVE.encode())
    path = tmp_path / "native.db"
    there = Mover(url, path).move()
    assert [loss.name for loss in there.left_behind] == ["nocols"]
    assert there.verification is not None
    assert there.verification.is_same
    assert there.not_built == []
    assert {loss.name for loss in there.plan.losses} == LOSSES
    with closing(sqlite3.connect(path)) as file, pytest.raises(sqlite3.IntegrityError):
        file.execute("INSERT INTO kinds (e) VALUES ('furious')")
    file.close()
    back = Mover(path, again).move()
    assert back.is_exact
    assert back.plan.losses == []
    report = Mover(url, again).verify()
    assert {(d.kind, d.table) for d in report.differences} == {
        ("missing table", 'app.Weird "Name'),
        ("extra table", 'app_Weird "Name'),
        ("missing table", "nocols"),
    }
