"""A default gives a new row on the other side what it gives in the source."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg

from lockstep.engine import Database
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]

# Name, type and default; the rows that are there already have these values, too.
COLUMNS = """
a INTEGER DEFAULT 5
b INTEGER DEFAULT -5
c REAL DEFAULT 5
d REAL DEFAULT 1e3
e TEXT DEFAULT 5
f TEXT DEFAULT 1e3
g TEXT DEFAULT 'it''s'
h TEXT DEFAULT "double"
i BLOB DEFAULT x'00ff'
j BOOLEAN DEFAULT 1
k BOOLEAN DEFAULT true
l NUMERIC DEFAULT 2.50
m DECIMAL(10,2) DEFAULT '2.50'
n DEFAULT 7
o DEFAULT '7'
p DEFAULT 7.0
q INTEGER DEFAULT (1 + 2 * 3)
r TEXT DEFAULT ('a' || 'b')
s TEXT DEFAULT (lower('ÄB'))
t INTEGER DEFAULT (abs(-3))
u TEXT DEFAULT (hex('ab'))
v TEXT DEFAULT (date('2024-02-28', '+2 days'))
w INTEGER DEFAULT (NULL)
x INTEGER DEFAULT 0x10
moment_a TEXT DEFAULT CURRENT_TIMESTAMP
moment_b DATETIME DEFAULT CURRENT_TIMESTAMP
moment_c DATE DEFAULT CURRENT_DATE
moment_d TIME DEFAULT CURRENT_TIME
moment_e DATETIME DEFAULT (datetime('now'))
moment_f TEXT DEFAULT (datetime('NOW'))
moment_g TEXT DEFAULT (date('now'))
moment_h TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
moment_i INTEGER DEFAULT (strftime('%s', 'now'))
moment_j INTEGER DEFAULT (strftime('%s', 'now') * 1000)
moment_k INTEGER DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
moment_l TEXT DEFAULT (strftime('%s', 'now'))
moment_m INTEGER DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
moment_n REAL DEFAULT (julianday('now'))
moment_o TEXT DEFAULT (strftime('%H:%M', 'now'))
random_a TEXT DEFAULT (lower(hex(randomblob(16))))
random_b BLOB DEFAULT (randomblob(16))
lost_a TEXT DEFAULT (strftime('%S', 'now') * 1000)
lost_b INTEGER DEFAULT (random())
lost_d TIME DEFAULT (date('now'))
lost_e DATETIME DEFAULT CURRENT_TIME
lost_c TEXT DEFAULT (date('now', '+1 day'))
""".strip().splitlines()
NAMES = [line.split()[0] for line in COLUMNS]
SHAPE = str.maketrans("123456789", "0" * 9)
PATIENCE_S = 60


def moment_s(value: object) -> float | None:
    """Return what SQLite takes a value for: seconds of a day, or since 1970."""
    if isinstance(value, int):
        return value / 1000 if value > 10**11 else float(value)
    if isinstance(value, float):
        return (value - 2440587.5) * 86400
    text = str(value)
    if text.isdigit():
        return float(text)
    with closing(sqlite3.connect(":memory:")) as connection:
        row = connection.execute("SELECT unixepoch(?)", (text,)).fetchone()
    return None if row[0] is None else float(row[0])


def test_defaults_give_new_rows_what_they_gave(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = tmp_path / "a.db", tmp_path / "back.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(COLUMNS)})"
        )
        connection.execute(
            "INSERT INTO t (id, lost_d, lost_e) "
            "VALUES (1, '10:20:30', '2024-02-28 10:20:30')"
        )
    url = make_database("postgresql").url.unmasked()
    plan = Mover(path, url).move().plan
    lost = {loss.name.removeprefix("t.") for loss in plan.losses}
    assert lost == {name for name in NAMES if name.startswith("lost_")}
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("INSERT INTO t DEFAULT VALUES")
    Mover(url, back).move()
    with closing(sqlite3.connect(back, isolation_level=None)) as connection:
        connection.execute("INSERT INTO t DEFAULT VALUES")
        rows = connection.execute("SELECT * FROM t ORDER BY id").fetchall()
    assert [row[0] for row in rows] == [1, 2, 3]
    for name, _, made, own in zip(["id", *NAMES], *rows, strict=True):
        if name == "id" or name.startswith("lost_"):
            continue
        assert type(made) is type(own), name
        if name.startswith("moment_"):
            shapes = [re.sub(r"\d", "0", str(value)) for value in (made, own)]
            assert shapes[0] == shapes[1] or isinstance(own, float), name
            first, second = moment_s(made), moment_s(own)
            assert first is not None, name
            assert second is not None, name
            assert -1 <= second - first < PATIENCE_S, name
        elif name.startswith("random_"):
            assert len(made) == len(own), name
            assert made != own, name
        else:
            assert made == own, name


THERE = """
a integer DEFAULT '-5'
b numeric(10,2) DEFAULT 1.5
c double precision DEFAULT 5
d text DEFAULT 'it''s'
e char(5) DEFAULT 'ab'
f boolean DEFAULT 'f'
g jsonb DEFAULT '{"b": 1, "a": [1, 2]}'
h text[] DEFAULT '{}'
i text[] DEFAULT ARRAY['a', 'b']
j bytea DEFAULT '\\x00ff'
k timestamptz DEFAULT '2024-02-28 10:20:30+02'
l timestamp(3) DEFAULT '2024-02-28 10:20:30.1234'
m money DEFAULT 5
n bit(3) DEFAULT B'101'
o interval DEFAULT '1 day'
p amount DEFAULT 5
r judged DEFAULT 5
q mood DEFAULT 'sad'
s double precision DEFAULT 'Infinity'
t double precision DEFAULT '-Infinity'
moment_a date DEFAULT CURRENT_DATE
lost_a timestamp DEFAULT now()
lost_b text DEFAULT upper('ab')
lost_c date DEFAULT 'now'::text::date
""".strip().splitlines()
TYPES_THERE = """
CREATE TYPE mood AS ENUM ('sad');
CREATE DOMAIN amount AS numeric(6,2) CHECK (VALUE > 0);
-- What its owner wrote is not called by a move.
CREATE FUNCTION judge(n numeric) RETURNS boolean IMMUTABLE LANGUAGE sql AS
  'SELECT 1 / (current_setting(''application_name'') <> ''lockstep move'')::int = 1';
CREATE DOMAIN judged AS amount CHECK (judge(VALUE));
"""


def test_defaults_of_postgresql_give_new_rows_what_they_gave(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url, path = make_database("postgresql").url.unmasked(), tmp_path / "a.db"
    with psycopg.connect(url, autocommit=True) as there:
        there.execute(TYPES_THERE.encode())
        there.execute(
            f"CREATE TABLE t (id int PRIMARY KEY, {', '.join(THERE)})".encode()
        )
        there.execute("INSERT INTO t (id) VALUES (1)")
    plan = Mover(url, path).move().plan
    lost = {
        loss.name.removeprefix("t.") for loss in plan.losses if loss.kind == "default"
    }
    names = [line.split()[0] for line in THERE]
    assert lost == {name for name in names if name.startswith("lost_")}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO t (id) VALUES (2)")
        rows = connection.execute("SELECT * FROM t ORDER BY id").fetchall()
    for name, own, made in zip(["id", *names], *rows, strict=True):
        if name != "id" and not name.startswith("lost_"):
            assert (type(made), made) == (type(own), own), name
    again = make_database("postgresql").url.unmasked()
    assert Mover(path, again).move().is_exact
