"""There and back: the file becomes what it was, to the storage class of each cell."""

from __future__ import annotations

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


def statements(path: Path) -> set[tuple[str, str, str | None]]:
    connection = sqlite3.connect(path)
    try:
        return set(
            connection.execute(
                "SELECT type, name, sql FROM sqlite_master "
                "WHERE name NOT LIKE 'sqlite_stat%'"
            ).fetchall()
        )
    finally:
        connection.close()


@pytest.mark.parametrize("name", QUIRKS)
def test_a_quirk_goes_there_and_back(
    name: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = make(name, tmp_path / "quirk.db")
    url = make_database("postgresql").url.unmasked()
    there = Mover(path, url, quarantine=tmp_path / "q").move()
    back = tmp_path / "back.db"
    result = Mover(url, back, quarantine=tmp_path / "q").move()

    assert result.verification is not None
    assert result.verification.differences == []
    assert result.is_exact
    for table in there.plan.carried():
        expected = checker.typed_rows(path, table.source)
        assert checker.typed_rows(back, table.source) == expected
    assert statements(back) == statements(path)


def test_a_database_whose_tables_lie_in_a_schema_of_their_own_comes_back(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = checker.made(
        tmp_path / "a.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, y); CREATE INDEX i ON t (x);"
        "CREATE TABLE u (t INTEGER REFERENCES t); INSERT INTO u VALUES (1);"
        "CREATE VIEW v AS SELECT x FROM t; INSERT INTO t VALUES (1, '2', '3'), (2, 3, 3)",
    )
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA own; CREATE TABLE public.t (other integer)")
    own = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Down,public"
    assert Mover(path, own).move().is_exact
    assert Mover(path, own).verify().is_same
    # Whoever asks, and by whichever path: the move knows where its tables are.
    for number, asked in enumerate((own, url)):
        back = tmp_path / f"back{number}.db"
        result = Mover(asked, back).move()
        assert (result.is_exact, result.not_built) == (True, [])
        assert checker.typed_rows(back, "t") == checker.typed_rows(path, "t")
        assert statements(path) <= statements(back)
        assert not checker.typed_rows(back, "public_t")


NATIVE = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE parent (id bigserial PRIMARY KEY, code varchar(5) UNIQUE NOT NULL,
  mood mood, tags text[], doc jsonb, raw json, key uuid DEFAULT gen_random_uuid(),
  price numeric(10, 2) CHECK (price >= 0), ratio real, exact double precision,
  flag boolean NOT NULL DEFAULT true, at timestamptz DEFAULT now(), day date,
  wall timestamp, clock time, span interval, blob bytea, small smallint, net inet,
  CONSTRAINT code_is_short CHECK (length(code) < 5), n integer DEFAULT 7);
CREATE TABLE child (a integer, b text, parent_id bigint REFERENCES parent ON DELETE CASCADE,
  PRIMARY KEY (a, b));
CREATE TABLE keyless (x text, y double precision);
CREATE INDEX by_day ON parent (day DESC) WHERE flag;
CREATE INDEX by_doc ON parent USING gin (doc);
CREATE VIEW v AS SELECT 1 AS one;
INSERT INTO parent (id, code, mood, tags, doc, raw, price, ratio, exact, flag, at, day,
  wall, clock, span, blob, small, net) VALUES
 (1, 'a', 'sad', '{a,"b c",NULL}', '{"b": 1, "a": [1.50]}', '{"b":1,  "a":2}', 1.10, 0.1,
  0.1, false, '2024-02-29 12:00:00.5+02', '2024-02-29', '0099-01-01 BC', '24:00:00',
  '1 year 2 mons -3 days', '\\x00ff', -1, '10.0.0.0/8'),
 (2, E'b\\t', NULL, NULL, 'null', NULL, NULL, 'NaN', '-Infinity', true, 'infinity',
  '-infinity', NULL, NULL, NULL, '', NULL, NULL),
 (9007199254740993, 'ü', 'happy', '{}', '"x"', '1', 0.00, 1e38, 1e15, true, NULL, NULL,
  '294276-01-01', '00:00:00.000001', '00:00:01', NULL, 32767, '::1');
INSERT INTO child VALUES (1, 'b', 1), (1, 'B', 2), (-1, 'ä', NULL);
INSERT INTO keyless VALUES ('a', 'NaN'), ('a', 'NaN'), (NULL, NULL), ('', 1e16),
  ('zero', '-0'), ('zero', 0), ('edge', 5e-324), ('edge', 1.7976931348623157e308);
"""


def rows_as_text(url: str, table: str) -> list[str]:
    with psycopg.connect(url) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(f"SELECT t::text FROM {table} t".encode())
        return sorted(row[0] for row in rows.fetchall())


def test_a_database_of_postgresql_goes_there_and_back(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(NATIVE.encode())
    path = tmp_path / "native.db"
    there = Mover(url, path, quarantine=tmp_path / "q").move()
    assert there.verification is not None
    assert there.verification.differences == []
    with closing(sqlite3.connect(path)) as connection, connection:
        cells = connection.execute(
            "SELECT id, price, tags, doc, at, ratio, exact, flag, blob, wall, key "
            "IS NOT NULL FROM parent ORDER BY id"
        ).fetchall()
        assert cells[0] == (
            *(1, "1.10", '{a,"b c",NULL}', '{"a": [1.50], "b": 1}'),
            *("2024-02-29 10:00:00.5+00:00", 0.1, 0.1, 0, b"\x00\xff"),
            *("0099-01-01 00:00:00 BC", 1),
        )
        assert cells[1][4:7] == ("infinity", "NaN", float("-inf"))
        assert cells[2][0] == 9007199254740993
        connection.execute("PRAGMA foreign_keys = ON")
        for wrong in (
            "INSERT INTO child VALUES (5, 'x', 77)",
            "INSERT INTO parent (code) VALUES ('a')",
            "INSERT INTO parent (code) VALUES ('12345')",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(wrong)
    connection.close()
    again = make_database("postgresql").url.unmasked()
    back = Mover(path, again, quarantine=tmp_path / "q").move()
    assert back.is_exact
    for table in ("parent", "child", "keyless"):
        assert rows_as_text(again, table) == rows_as_text(url, table)
    with psycopg.connect(again) as connection:
        kinds = connection.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = 'parent'::regclass AND attname IN "
            "('price', 'doc', 'key', 'at', 'flag', 'ratio') ORDER BY attname"
        ).fetchall()
        row = connection.execute(
            "INSERT INTO parent (code) VALUES ('new') RETURNING id"
        ).fetchone()
    assert [kind for (kind,) in kinds] == [
        *("timestamp with time zone", "jsonb", "boolean", "uuid", "numeric(10,2)"),
        "real",
    ]
    assert row is not None
    assert row[0] > 9007199254740993


def test_a_file_keeps_its_vacuum_and_names_with_dots(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = tmp_path / "source.db", tmp_path / "back.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = 2")
        connection.execute('CREATE TABLE "x.y" (k TEXT DEFAULT 7, v DATE TEXT)')
        connection.execute("""INSERT INTO "x.y" VALUES ('a', x'00'), (NULL, 1.5)""")
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    assert Mover(url, back).move().is_exact
    assert checker.typed_rows(back, "x.y") == checker.typed_rows(path, "x.y")
    assert statements(back) == statements(path)
    with closing(sqlite3.connect(back)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
