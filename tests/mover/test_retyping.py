"""A file that came from PostgreSQL goes back: each type again, or named why not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from lockstep.engine import Database
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]

# Column, its type, a value of it, what an application writes into the file, and what
# the column then becomes.
COLUMNS = [
    ("a", "smallint", "7", 70_000, "bigint"),
    ("b", "real", "1.1", 3.14159265358979, "double precision"),
    ("c", "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{a0eebc99}", "text"),
    ("d", "numeric(6,2)", "1.20", "1.239", "numeric"),
    ("e", "jsonb", '{"a": 1, "bb": 2}', '{"bb":2,"a":1}', "json"),
    ("f", "json", '{"a":1, "a":2}', "no document", "text"),
    ("g", "character(4)", "ab", "abcdef", "text"),
    ("h", "character varying(3)", "abc", "äöü", "character varying(3)"),
    (
        *("i", "timestamp(0) without time zone", "2020-01-01 10:00:00"),
        *("2020-01-01 10:00:00.7", "timestamp without time zone"),
    ),
    ("j", "time without time zone", "24:00:00", "later", "text"),
    (
        *("k", "interval day to second(2)", "1 day 02:00:00.5"),
        *("1 day 02:00:00.555", "interval"),
    ),
    ("l", "int4range", "[1,5)", "[1,4]", "text"),
    (
        *("m", "timestamp with time zone[]", '{"2020-01-01 00:00:00+00",NULL}'),
        *("['2020-01-01']", "text"),
    ),
    ("n", "inet", "10.0.0.1", "10.0.0.1/32", "text"),
    ("o", "bit(3)", "101", "1", "text"),
    ("q", "timestamp without time zone", "2020-01-01 10:00:00", "10:00", "text"),
    ("p", "tsvector", "'fat':2A 'rat':3", "rat fat", "text"),
]
"""Of ``h`` what is written still fits."""


def made(url: str) -> str:
    columns = ", ".join(f"{name} {kind}" for name, kind, *_ in COLUMNS)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE t (id integer, {columns})".encode())
        values = ", ".join(["%s"] * len(COLUMNS))
        row = [value for _, _, value, *_ in COLUMNS]
        # Of text each type reads its own.
        connection.execute(f"INSERT INTO t VALUES (1, {values})".encode(), row)
    return url


def types_and_texts(url: str) -> tuple[dict[str, str], list[Any]]:
    names = [name for name, *_ in COLUMNS]
    cells = ", ".join(f"format('%s', {name})" for name in names)
    with psycopg.connect(url) as connection:
        types = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = 't'::regclass AND attnum > 1"
        ).fetchall()
        rows = connection.execute(f"SELECT {cells} FROM t ORDER BY id".encode())
        return dict(types), rows.fetchall()


def test_a_type_comes_back_where_every_value_allows_it(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    first, again, changed = (make_database("postgresql").url.unmasked() for _ in "123")
    file = tmp_path / "a.db"
    assert Mover(made(first), file).move().is_exact
    assert Mover(file, again).move().is_exact
    assert types_and_texts(again) == types_and_texts(first)

    names = ", ".join(name for name, *_ in COLUMNS)
    marks = ", ".join("?" for _ in COLUMNS)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            f"INSERT INTO t (id, {names}) VALUES (2, {marks})",
            [written for *_, written, _ in COLUMNS],
        )
    mover = Mover(file, changed)
    planned = {column.source: column for column in mover.plan().tables[0].columns}
    assert {c.source for c in planned.values() if not c.note} == {"id", "h"}
    assert planned["l"].note == "was int4range: it would not give '[1,4]' back"
    assert mover.move().is_exact
    types, (before, after) = types_and_texts(changed)
    assert types == {name: becomes for name, *_, becomes in COLUMNS}
    assert before == types_and_texts(first)[1][0]
    assert [*after[2:8], *after[9:]] == [
        str(written) for *_, written, _ in [*COLUMNS[2:8], *COLUMNS[9:]]
    ]


def test_long_values_of_every_kind_of_type_go_there_and_back(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    first, again = (make_database("postgresql").url.unmasked() for _ in "12")
    with psycopg.connect(first, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE t (id int PRIMARY KEY, a text[], b jsonb, c bytea[], "
            "d varchar(900000), e text); INSERT INTO t SELECT 1, ARRAY[long, NULL], "
            "jsonb_build_array(long), ARRAY[long::bytea], long, long "
            "FROM repeat('long ', 140000) AS long"
        )
    file = tmp_path / "a.db"
    assert Mover(first, file).move().is_exact
    assert Mover(file, again).move().is_exact
    found: list[Any] = []
    for url in (first, again):
        with psycopg.connect(url) as connection:
            found.append(connection.execute("SELECT * FROM t").fetchall())
    assert found[0] == found[1]


def test_a_type_that_the_server_lacks_and_what_is_no_type(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    first, without, with_it = (
        make_database("postgresql").url.unmasked() for _ in "12 "
    )
    taught = b"CREATE TYPE mood AS ENUM ('glad'); CREATE DOMAIN small AS int DEFAULT 3;"
    with psycopg.connect(first, autocommit=True) as connection:
        connection.execute(
            taught + b"CREATE TABLE t (m mood DEFAULT 'glad', n small, o mood[]);"
            b"INSERT INTO t (o) VALUES ('{glad}');"
            b"CREATE TABLE k (id small PRIMARY KEY); INSERT INTO k VALUES (7)"
        )
    with psycopg.connect(with_it, autocommit=True) as connection:
        connection.execute(taught)
    file = tmp_path / "a.db"
    assert Mover(first, file).move().is_exact
    for url, types in ((without, "bigint text"), (with_it, "mood mood[] small")):
        assert Mover(file, url).move().is_exact
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute(
                b"SELECT DISTINCT format_type(atttypid, atttypmod) FROM pg_attribute "
                b"WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY 1"
            ).fetchall()
            assert " ".join(kind for (kind,) in found) == types
            row = connection.execute(b"INSERT INTO t DEFAULT VALUES RETURNING m, n")
            assert row.fetchone() == ("glad", 3)
            row = connection.execute(b"INSERT INTO k DEFAULT VALUES RETURNING id")
            assert row.fetchone() == (8 if url == without else 3,)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "UPDATE lockstep_move_state SET plan = replace(plan, '\"small\"', ?)",
            ('"int; DROP TABLE t"',),
        )
    other = make_database("postgresql").url.unmasked()
    assert Mover(file, other).plan().tables[0].columns[1].type == "bigint"
