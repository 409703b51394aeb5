"""Long cells that no text of PostgreSQL holds, or that stand among other classes."""

from __future__ import annotations

import sqlite3
import tracemalloc
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.mover import Mover, inspect_database
from lockstep.mover.blocks.encoding import LineBlock, TableEncoder
from lockstep.mover.blocks.long_values import LONG_BYTES, LongCells
from lockstep.mover.plan.from_sqlite import plan_tables
from lockstep.mover.sqlite.apart import LongRow, read_apart, read_apart_sorted
from lockstep.mover.sqlite.catalog import read_schema
from lockstep.mover.sqlite.lines import SqliteLines
from lockstep.mover.sqlite.profiling import profile_table
from lockstep.mover.sqlite.survey import can_survey, survey_table

MakeDatabase = Callable[..., Database]

MORE = LONG_BYTES + 1
LONG = 8_000_000
SMALL = LONG // 2
ROWS = f"""
CREATE TABLE by_number (k INTEGER PRIMARY KEY, v, b BLOB);
INSERT INTO by_number VALUES (1, 1, 'short'), (2, zeroblob({MORE}), x'00'),
  (3, replace(hex(zeroblob({MORE // 2})), '00', 'ä	'), NULL), (4, 0.5, zeroblob({MORE})),
  (7, NULL, CAST(zeroblob({MORE}) AS TEXT)), (9, 7, zeroblob({LONG_BYTES}));
CREATE TABLE by_text (k TEXT NOT NULL PRIMARY KEY, v, n TEXT);
INSERT INTO by_text SELECT 'k' || (9 - k), v, 'a' || char(0) || 'b' FROM by_number;
INSERT INTO by_text VALUES ('z', '', CAST(zeroblob({MORE}) AS TEXT)),
  ('a', 'x', replace(hex(zeroblob({MORE})), '00', 'y'));
CREATE TABLE texts (k INTEGER PRIMARY KEY, t TEXT);
INSERT INTO texts VALUES (1, replace(hex(zeroblob({LONG_BYTES // 2 + 9})), '00', 'a')),
  (2, replace(hex(zeroblob({LONG_BYTES // 3 + 9})), '00', '語')),
  (3, replace(hex(zeroblob({MORE})), '00', '語')), (4, NULL), (5, 'ä');
"""
"""Texts of 1 and 2 are long in one encoding, and not in the other."""

BROKEN = f"""
INSERT INTO texts VALUES (6, CAST(x'c328' || zeroblob({MORE + 1}) AS TEXT)),
  (7, CAST(zeroblob({MORE + 1}) || x'00d8' AS TEXT));
"""


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_they_arrive_as_they_are_and_every_byte_is_compared(
    tmp_path: Path, make_database: MakeDatabase, encoding: str
) -> None:
    script = f"PRAGMA encoding = '{encoding}'; {ROWS}"
    path = checker.made(tmp_path / "a.db", script)
    url = make_database("postgresql").url.unmasked()
    there = Mover(path, url).move()
    assert there.verification is not None
    assert there.verification.differences == []
    assert there.is_exact
    back = tmp_path / "b.db"
    assert Mover(url, back).move().is_exact
    for table in ("by_number", "by_text", "texts"):
        expected = checker.typed_rows(path, table)
        assert checker.typed_rows(back, table) == expected
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            b"UPDATE by_number SET v = set_byte(v, 40000, 7) WHERE k = 2; "
            b"UPDATE by_text SET n = set_byte(n, 40000, 7) WHERE k = 'z'; "
            b"UPDATE texts SET t = overlay(t PLACING 'y' FROM 9) WHERE k < 4"
        )
    report = Mover(path, url).verify()
    found = {
        # By its key a text is found in a file only that sorts as PostgreSQL does.
        (one.table, one.key if one.table != "by_text" else "", one.column)
        for one in report.differences
        if one.kind == "cell"
    }
    assert found == {
        ("by_number", "2", "v"),
        ("by_text", "", "n"),
        *(("texts", f"{key}", "t") for key in (1, 2, 3)),
    }


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_texts_that_are_none_arrive_as_sqlite_gives_them(
    tmp_path: Path, make_database: MakeDatabase, encoding: str
) -> None:
    script = f"PRAGMA encoding = '{encoding}'; {ROWS} {BROKEN}"
    path = checker.made(tmp_path / "a.db", script)
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url).move()
    assert result.verification is not None
    assert result.verification.is_same
    # Half a character of UTF-16 is another text as soon as SQLite gives it to anybody.
    assert result.is_exact == (encoding == "UTF-8")


@contextmanager
def most_memory() -> Generator[list[int]]:
    """Give the most that Python held meanwhile, in bytes."""
    found: list[int] = []
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_nothing_is_held_of_them(tmp_path: Path, encoding: str) -> None:
    path = checker.made(
        tmp_path / "a.db",
        f"PRAGMA encoding = '{encoding}'; "
        "CREATE TABLE t (k INTEGER PRIMARY KEY, v, x TEXT);"
        f"INSERT INTO t VALUES (1, zeroblob({LONG}), 'x'), (2, 'y', 'z'), "
        f"(3, replace(hex(zeroblob({LONG // 2})), '00', 'é'), 1), (4, 5, 6);",
    )
    inspect_database(path)
    with most_memory() as found:
        inspect_database(path)
    assert found[0] < SMALL
    with closing(sqlite3.connect(path)) as connection:
        schema = read_schema(connection)
        table = schema.tables[0]
        look = survey_table if can_survey(connection, schema, table) else profile_table
        with most_memory() as found:
            profiles = {"t": look(connection, table)}
        assert found[0] < SMALL
        (plan,) = plan_tables(connection, schema, profiles).tables
        lines = SqliteLines(connection, schema, profiles)
        columns = frozenset(column.source for column in plan.columns)
        assert lines.long_columns(plan) == {"v"}
        with most_memory() as found:
            copied = sum(
                len(block.data)
                for block in lines.in_own_order(
                    plan, None, long=LongCells(columns, in_pieces=True)
                )
            )
            compared = list(lines.in_key_order(plan, LongCells(columns)))
        assert found[0] < SMALL
        assert copied > 4 * LONG
        assert sum(len(block.data) for block in compared) < 1_000
        rows = connection.execute("SELECT * FROM t").fetchall()
        whole = TableEncoder(plan).block(None, rows)
    # What is noted of a row does not hang on how it is read.
    odd = [odd for block in compared for odd in block.odd]
    assert sorted(odd, key=repr) == sorted(whole.odd, key=repr)


def test_the_pieces_of_a_row_are_the_line_of_the_encoder(tmp_path: Path) -> None:
    path = checker.made(tmp_path / "a.db", ROWS)
    with closing(sqlite3.connect(path)) as connection:
        schema = read_schema(connection)
        profiles = {t.name: survey_table(connection, t) for t in schema.tables}
        lines = SqliteLines(connection, schema, profiles)
        for plan in plan_tables(connection, schema, profiles).tables:
            columns = frozenset(column.source for column in plan.columns)
            blocks: list[LineBlock] = list(
                lines.in_own_order(plan, None, long=LongCells(columns, in_pieces=True))
            )
            names = ", ".join(column.source for column in plan.columns)
            rows = connection.execute(f"SELECT {names} FROM {plan.source}").fetchall()
            whole = TableEncoder(plan).block(None, rows)
            assert b"".join(block.data for block in blocks) == whole.data
            odd = [odd for block in blocks for odd in block.odd]
            assert sorted(odd, key=repr) == sorted(whole.odd, key=repr)
            # Short rows that SQLite packs are few enough together.
            is_open = any(block.is_open for block in blocks)
            assert is_open == (plan.source != "texts")


def test_rows_come_once_and_in_order_wherever_the_long_ones_stand() -> None:
    long = {1, 2, 50, 51, 400}
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, b BLOB, s TEXT)")
        connection.executemany(
            "INSERT INTO t VALUES (?, zeroblob(?), ?)",
            ((n, MORE if n in long else 2, f"{999 - n}") for n in range(1, 401)),
        )
        (table,) = read_schema(connection).tables
        for after in (None, 1, 49, 50, 399, 400):
            keys: list[object] = []
            for found in read_apart(connection, table, ["k", "b"], after=after):
                if isinstance(found, LongRow):
                    assert found.rowid in long
                    keys.append(found.rowid)
                    continue
                assert found[0] == found[1][-1][0]
                keys += [row[0] for row in found[1]]
            assert keys == list(range((after or 0) + 1, 401))
        keys = []
        for found in read_apart_sorted(connection, table, ["k", "b"], ["s"]):
            if isinstance(found, LongRow):
                keys.append(found.rowid)
            else:
                keys += [row[0] for row in found[1]]
        assert keys == list(range(400, 0, -1))
        usual = connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
        assert usual > LONG_BYTES


@pytest.mark.parametrize("key", ["INTEGER PRIMARY KEY", "TEXT PRIMARY KEY", "TEXT"])
def test_a_long_row_that_is_not_carried_is_known_again(
    tmp_path: Path, make_database: MakeDatabase, key: str
) -> None:
    """Whether a codec refuses it, or the server does."""
    path = checker.made(
        tmp_path / "a.db",
        f"""CREATE TABLE t (k {key}, v, n INTEGER, s TEXT);
        INSERT INTO t VALUES (1, zeroblob({MORE}), 5, 'a'), (2, zeroblob({MORE}), 'x', 'b'),
          (3, 'short', 7, 'c'), (4, CAST(zeroblob({MORE}) AS TEXT), 'y', 'd'),
          (5, zeroblob({MORE}), 6, 'too long');""",
    )
    url = make_database("postgresql").url.unmasked()
    plan = Mover(path, url).plan()
    for column in plan.table("t").columns:
        column.on_dirt = "quarantine"
    plan.table("t").column("n").codec = "integer"
    plan.table("t").column("n").type = "bigint"
    plan.table("t").column("s").type = "varchar(3)"
    result = Mover(path, url, plan=plan, quarantine=tmp_path / "q").move()
    assert result.quarantined == 3
    assert result.verification is not None
    assert result.verification.differences == []
    with psycopg.connect(url) as connection:
        rows = connection.execute(b"SELECT k::text FROM t ORDER BY k").fetchall()
    assert rows == [("1",), ("3",)]
