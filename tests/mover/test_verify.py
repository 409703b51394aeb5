"""A comparison finds every damage: by our own plan, and in what others moved."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from lockstep.engine import Database
from lockstep.mover import Mover
from lockstep.mover.postgresql import lines

MakeDatabase = Callable[..., Database]
SOURCE = """
CREATE TABLE part (id INTEGER PRIMARY KEY, name TEXT, price REAL, made DATETIME,
  seen INTEGER, photo BLOB, a INTEGER, b INTEGER, active BOOLEAN);
CREATE TABLE log (line TEXT, n REAL);
CREATE TABLE word (k TEXT PRIMARY KEY, V INTEGER);
"""
OTHERS = """
CREATE TABLE part (id bigint PRIMARY KEY, name text, price double precision,
  made timestamptz, seen timestamptz, photo bytea, a integer, b integer, active boolean);
CREATE TABLE log (line text, n double precision);
CREATE TABLE word (k varchar PRIMARY KEY, v smallint);
"""
DAMAGE = {
    "one byte of a blob": "UPDATE part SET photo = '\\x0001fe' WHERE id = 2500",
    "one letter": "UPDATE part SET name = 'part 77 ' WHERE id = 77",
    "float32": "UPDATE part SET price = price::real WHERE id = 3000",
    "last digit": "UPDATE part SET price = 89.99000000000001 WHERE id = 89",
    "an hour": "UPDATE part SET made = made + interval '1 hour' WHERE id = 4999",
    "swapped columns": "UPDATE part SET a = b, b = a WHERE id = 10",
    "missing row": "DELETE FROM part WHERE id = 2000",
    "missing row before one more digit": "DELETE FROM part WHERE id = 999",
    "missing last row": "DELETE FROM part WHERE id = 5000",
    "missing first row": "DELETE FROM part WHERE id = 1",
    "extra row": "INSERT INTO part (id, name) VALUES (5001, 'more')",
    "extra row before": "INSERT INTO part (id, name) VALUES (-1, 'more')",
    "null for empty": "UPDATE part SET name = NULL WHERE id = 5",
    "a boolean": "UPDATE part SET active = NOT active WHERE id = 6",
    "duplicated row": "INSERT INTO log SELECT * FROM log LIMIT 1",
    "row lost without key": "DELETE FROM log WHERE ctid = (SELECT max(ctid) FROM log)",
    "cell without key": "UPDATE log SET n = n + 1 WHERE line = 'line 3'",
    "one twice, another missing": "UPDATE log SET line = 'line 1', n = 0.5 "
    "WHERE line = 'line 2'",
    "text key": "UPDATE word SET k = 'Ä' WHERE k = 'ä'",
    "all rows": "DELETE FROM word",
}
CELLS = {"one byte of a blob": "photo", "float32": "price", "an hour": "made"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verify") / "source.db"
    connection = sqlite3.connect(path)
    connection.executescript(SOURCE)
    connection.executemany(
        "INSERT INTO part VALUES (?, ?, 89.99, '2024-02-29 12:00:00', ?, ?, ?, ?, ?)",
        [
            (
                i,
                f"part {i}" if i != 5 else "",
                1_700_000_000 + i,
                b"\0\1\xff",
                i,
                -i,
                i % 2,
            )
            for i in range(1, 5001)
        ],
    )
    connection.executemany(
        "INSERT INTO log VALUES (?, ?)", [(f"line {i}", i / 2) for i in range(1, 500)]
    )
    connection.executemany(
        "INSERT INTO word VALUES (?, ?)", [("ä", 1), ("Z", 2), ("a", 3), ("aa", 4)]
    )
    connection.commit()
    connection.close()
    return path


@pytest.fixture(scope="module")
def moved(source: Path, postgres_server: object) -> Iterator[str]:
    from lockstep.engine.scratch import postgresql_database

    with postgresql_database(postgres_server.url) as url:  # type: ignore[attr-defined]
        assert Mover(source, url).move().is_exact
        yield url


@pytest.fixture(scope="module")
def strange(source: Path, moved: str, postgres_server: object) -> Iterator[str]:
    """The same rows, as another tool would move them: other types, no journal."""
    from lockstep.engine.scratch import postgresql_database

    with postgresql_database(postgres_server.url) as url:  # type: ignore[attr-defined]
        rows = sqlite3.connect(source)
        with psycopg.connect(url) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(OTHERS.encode())
            for table, marks in (
                ("part", "%s, %s, %s, %s, to_timestamp(%s), %s, %s, %s, %s::int::bool"),
                ("log", "%s, %s"),
                ("word", "%s, %s"),
            ):
                found = rows.execute(f"SELECT * FROM {table}").fetchall()
                connection.cursor().executemany(
                    f"INSERT INTO {table} VALUES ({marks})".encode(), found
                )
        rows.close()
        yield url


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("mover", ["ours", "theirs"])
def test_every_damage_is_found(
    damage: str, mover: str, source: Path, moved: str, strange: str
) -> None:
    url = moved if mover == "ours" else strange
    assert Mover(source, url).verify().is_same
    kept = "SELECT * FROM {0}; DELETE FROM {0}; INSERT INTO {0} SELECT * FROM kept_{0}"
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("part", "log", "word"):
            connection.execute(
                f"CREATE TABLE pg_temp.kept_{table} AS SELECT * FROM {table}".encode()
            )
        try:
            connection.execute(DAMAGE[damage].encode())
            report = Mover(source, url).verify()
        finally:
            for table in ("part", "log", "word"):
                for statement in kept.format(table).split(";")[1:]:
                    connection.execute(statement.encode())
    assert not report.is_same
    assert report.differences
    assert report.difference_count <= 10
    if damage in CELLS:
        (found,) = report.differences
        assert (found.kind, found.column) == ("cell", CELLS[damage])
        assert found.key
    assert Mover(source, url).verify().is_same, "the damage was not undone"


def test_what_is_not_there_is_named(source: Path, make_database: MakeDatabase) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"CREATE TABLE log (line text)")
    report = Mover(source, url).verify()
    kinds = {(d.kind, d.table, d.column) for d in report.differences}
    assert ("missing table", "part", "") in kinds
    assert ("missing column", "log", "n") in kinds


def test_a_four_byte_column_is_a_loss(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, url = tmp_path / "a.db", make_database("postgresql").url.unmasked()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE part (id INTEGER PRIMARY KEY, price REAL)")
        connection.execute("INSERT INTO part VALUES (1, 89.99), (2, 0.5)")
    with psycopg.connect(url, autocommit=True) as connection:
        # A table of the same name that no reader finds, and which is right.
        for schema, kind in (("elsewhere", "double precision"), ("public", "real")):
            connection.execute(
                f"CREATE SCHEMA IF NOT EXISTS {schema};"
                f"CREATE TABLE {schema}.part (id bigint PRIMARY KEY, price {kind});"
                f"INSERT INTO {schema}.part VALUES (1, 89.99), (2, 0.5)".encode()
            )
    for source, target in ((path, url), (url, path)):
        report = Mover(source, target).verify()
        cells = [(d.key, d.column) for d in report.differences if d.kind == "cell"]
        assert cells == [("1", "price")]


def test_each_side_of_two_servers_is_read_as_what_it_is(
    make_database: MakeDatabase,
) -> None:
    urls = [make_database("postgresql").url.unmasked() for _ in range(2)]
    for url, columns in zip(
        urls,
        (
            "a real, b real, c timestamptz, d jsonb, e boolean, f char(3), g numeric",
            "a float8, b float8, c timestamp, d text, e integer, f text, g float8",
        ),
        strict=True,
    ):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"CREATE TABLE t ({columns})".encode())
            truth = "1" if "integer" in columns else "true"
            connection.execute(
                "INSERT INTO t VALUES (0.5, 89.99, '2024-02-29 10:00', "
                f"'{{\"a\": 1}}', {truth}, 'x', 1.50)".encode()
            )
    for pair in (urls, urls[::-1]):
        (found,) = Mover(*pair).verify().differences
        assert (found.kind, found.column) == ("cell", "b")


def test_a_file_that_others_made_from_postgresql_is_compared(
    source: Path, moved: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(OTHERS.encode())
        connection.execute(
            b"INSERT INTO part VALUES (1, 'a', 0.1, '2024-02-29 12:00:00+00', "
            b"to_timestamp(1700000000.007),"
            b" '\\x00', 1, 2, true); INSERT INTO log VALUES ('x', 1.5), ('x', 1.5);"
            b"INSERT INTO word VALUES ('9', 1), ('10', 2)"
        )
    path = tmp_path / "theirs.db"
    connection = sqlite3.connect(path)
    # A text key that this file sorts as a number.
    connection.executescript(SOURCE.replace("(k TEXT", "(k INTEGER"))
    connection.execute("INSERT INTO word VALUES (9, 1), (10, 2)")
    connection.execute(
        "INSERT INTO part VALUES (1, 'a', 0.1, '2024-02-29 12:00:00', "
        "1700000000007, x'00', 1, 2, 1)"
    )
    connection.execute("INSERT INTO log VALUES ('x', 1.5), ('x', 1.5)")
    connection.commit()
    assert Mover(url, path).verify().is_same
    connection.execute("UPDATE part SET price = 0.10000000000000002")
    connection.execute("DELETE FROM log WHERE rowid = 1")
    connection.execute("ALTER TABLE part DROP COLUMN seen")
    connection.execute("DROP TABLE word")
    connection.commit()
    connection.close()
    report = Mover(url, path).verify()
    assert {(d.kind, d.table, d.column) for d in report.differences} == {
        ("cell", "part", "price"),
        ("missing row", "log", ""),
        ("missing column", "part", "seen"),
        ("missing table", "word", ""),
    }
    assert report.difference_count == 4


def test_rows_in_another_order_are_compared_and_nothing_is_left_half_read(
    tmp_path: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 4_096)
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE log (line TEXT); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL "
        "SELECT i + 1 FROM n WHERE i < 2000) "
        "INSERT INTO log SELECT printf('%d %90s', i, 'x') FROM n;"
    )
    connection.close()
    url = make_database("postgresql").url.unmasked()
    Mover(path, url).move()
    with psycopg.connect(url) as target:
        target.execute("UPDATE log SET line = line WHERE line LIKE '1 %'")
    # A read of the server that is let go of later would cancel what runs then.
    assert Mover(path, url).verify().is_same
    # As a source it is one transaction, which must outlive a read that stops early.
    back = tmp_path / "back.db"
    Mover(url, back).move()
    connection = sqlite3.connect(back)
    connection.execute("UPDATE log SET rowid = 100000 WHERE rowid = 5")
    connection.commit()
    connection.close()
    assert Mover(url, back).verify().is_same


def test_a_file_that_was_led_back_is_compared_by_class_without_a_journal(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = tmp_path / "mixed.db", tmp_path / "back.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, v)")
        rows = [(1, 5), (2, "5"), (3, b"5"), (4, 5.5)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    assert Mover(url, back).move().is_exact
    assert Mover(url, back).verify().differences == []
    with closing(sqlite3.connect(back)) as connection, connection:
        connection.execute("UPDATE t SET v = '5' WHERE n = 1")
    (found,) = Mover(url, back).verify().differences
    assert found.kind == "storage class"
    with closing(sqlite3.connect(back)) as connection, connection:
        # Nothing says any more how it was made: the value alone is compared.
        connection.execute("ALTER TABLE t ADD COLUMN more")
    kinds = {found.kind for found in Mover(url, back).verify().differences}
    assert "storage class" not in kinds


ONLY_THERE = """
CREATE TABLE more (id int); CREATE TABLE lockstep_write (id int);
ALTER TABLE word ADD extra int;
CREATE TABLE of_extension (id int); ALTER EXTENSION plpgsql ADD TABLE of_extension;
CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.other (id int);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
CREATE TABLE sqlite_stat1 (tbl text, idx text, stat text);
"""


@pytest.mark.parametrize("mover", ["ours", "theirs"])
def test_what_only_one_side_has_is_a_difference(
    mover: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, url = tmp_path / "a.db", make_database("postgresql").url.unmasked()
    script = "CREATE TABLE word (k TEXT PRIMARY KEY); INSERT INTO word VALUES ('x');"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(script)
    if mover == "ours":
        assert Mover(path, url).move().is_exact
    with psycopg.connect(url, autocommit=True) as connection:
        if mover == "theirs":
            connection.execute(script.encode())
        assert Mover(path, url).verify().is_same
        assert Mover(url, path).verify().is_same
        connection.execute(ONLY_THERE.encode())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE VIRTUAL TABLE only_shown USING fts5vocab (x, row)")
        connection.execute("CREATE TABLE late (x)")
        connection.execute("ALTER TABLE word ADD COLUMN later")
    report = Mover(path, url).verify()
    assert {(d.kind, d.table, d.column) for d in report.differences} == {
        ("extra table", "more", ""),
        ("extra table", "parted", ""),
        ("extra column", "word", "extra"),
        ("missing table", "late", ""),
        ("missing column", "word", "later"),
    }
    assert report.notices == ["not compared: tables of other schemas: elsewhere.other"]
    back = {(d.kind, d.table) for d in Mover(url, path).verify().differences}
    assert back >= {("extra table", "late"), ("extra column", "word")}
    assert back >= {("missing table", "more"), ("missing column", "word")}
    assert not any("of_extension" in table for _, table in back)
    # Of what a mover took for a table, SQLite has one of its own, or none.
    assert not any("sqlite_stat1" in table for _, table in back)


MISFITS = """
UPDATE t SET n = 'x' WHERE id = 1; UPDATE t SET s = CAST(s AS BLOB) WHERE id = 2;
UPDATE t SET n = n + 1 WHERE id = 3; UPDATE k SET v = 'x' WHERE k = 'b';
UPDATE k SET k = CAST(k AS BLOB) WHERE k = 'c';
"""


def test_a_cell_that_does_not_fit_the_plan_any_more_is_named(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, url = tmp_path / "a.db", make_database("postgresql").url.unmasked()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            """CREATE TABLE t (id INTEGER PRIMARY KEY, n REAL, s TEXT);
            CREATE TABLE k (k TEXT PRIMARY KEY NOT NULL, v INTEGER);
            INSERT INTO t VALUES (1, 0.5, 'a'), (2, 1.5, 'b'), (3, 2.5, 'c');
            INSERT INTO k VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4)"""
        )
    assert Mover(path, url).move().is_exact
    filled = make_database("postgresql").url.unmasked()
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute(
            b"""CREATE TABLE t (id int PRIMARY KEY, n float8, s text);
            CREATE TABLE k (k text PRIMARY KEY, v int);
            INSERT INTO t VALUES (1, 0.5, 'a'), (2, 1.5, 'b'), (3, 2.5, 'c');
            INSERT INTO k VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4)"""
        )
    back = tmp_path / "back.db"
    assert Mover(filled, back).move().is_exact
    for pair in ((path, url), (filled, back)):
        (changed,) = (file for file in pair if isinstance(file, Path))
        with closing(sqlite3.connect(changed)) as connection, connection:
            connection.executescript(MISFITS)
        report = Mover(*pair).verify()
        is_source = changed is pair[0]
        assert sorted((d.kind, d.key, d.column) for d in report.differences) == [
            ("cell", "'b'", "v"),
            ("cell", "1", "n"),
            ("cell", "2", "s"),
            ("cell", "3", "n"),
            ("extra row", "'c'" if is_source else "x'63'", ""),
            ("missing row", "x'63'" if is_source else "'c'", ""),
        ]
