"""Columns that PostgreSQL packs hold what its lines say, whatever they hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockstep.engine import Database
from lockstep.mover.blocks.decoding import TableDecoder
from lockstep.mover.blocks.encoding import ColumnBlock, LineBlock
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.model.results import silent
from lockstep.mover.postgresql import packed
from lockstep.mover.postgresql.rows import MISFITS_MAX
from lockstep.mover.postgresql.source import PostgresqlSource

# The names of columns are those of the statement that packs them, and of its parts.
CREATE = """
CREATE DOMAIN small AS integer;
CREATE TABLE bounds (t text, k0 bigint, c1 small, c0 text NOT NULL, c2 boolean,
  block double precision, packed bytea, at_ timestamptz, home inet, pad character(4),
  four real, doc jsonb,
  "T" uuid, tail bytea, twice bigint GENERATED ALWAYS AS (2 * (k0 / 4)) STORED,
  PRIMARY KEY (k0, c1, "T", tail))
"""
COLUMNS = 14
ROWS = 3
CELL_BYTES = 60
CLEAN = st.text("ab\\\t\n\u00e9'", max_size=4) | st.just("\\N")
ODD = CLEAN | st.sampled_from(["\x1e", "\x1f", "a\x1fb", "\x1f\x1e", "long " * 20])
LONG = st.integers(-(2**63), 2**63 - 1)
SMALL = st.integers(-(2**31), 2**31 - 1)
REALS = st.floats() | st.sampled_from([-0.0, 5e-324, float("nan"), float("-inf")])
SHORT = st.binary(max_size=3)


def key_of(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[1:3], *row[-2:])


def rows_of(
    texts: st.SearchStrategy[str], blobs: st.SearchStrategy[bytes]
) -> st.SearchStrategy[list[Any]]:
    row = st.tuples(
        st.none() | texts,
        LONG | st.integers(0, 3),
        SMALL | st.integers(0, 3),
        texts,
        st.none() | st.booleans(),
        st.none() | REALS,
        st.none() | blobs,
        st.sampled_from(
            [None, "2026-11-21 10:00:00.5+01", "infinity", "0044-03-15 BC"]
        ),
        st.sampled_from([None, "10.0.0.1", "10.0.0.0/8"]),
        st.sampled_from([None, "", "a", "ab\\"]),
        st.none() | st.floats(width=32),
        st.sampled_from([None, '{"a": "\\u001f\\n"}', "null"]),
        st.uuids() | st.just(UUID(int=0)),
        SHORT,
    )
    return st.lists(row, max_size=10, unique_by=key_of)


MakeDatabase = Callable[..., Database]
Writer = psycopg.Connection[Any]


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    return make_database("postgresql")


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    made: Writer = psycopg.connect(database.url.unmasked(), autocommit=True)
    with made:
        made.execute(CREATE.encode())
        yield made


@pytest.fixture
def source(
    writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PostgresqlSource]:
    monkeypatch.setattr(packed, "ROWS_MAX", ROWS)
    monkeypatch.setattr(packed, "ROWS_MIN", 1)
    monkeypatch.setattr(packed, "ROWS_WORTH_IT", 0)
    monkeypatch.setattr(packed, "BLOCK_BYTES", 2**40)
    monkeypatch.setattr(packed, "BLOCK_BYTES_MAX", CELL_BYTES * ROWS * 7)
    # So few rows are sorted quicker.
    monkeypatch.setattr(packed, "_NOT_ALONG_AN_INDEX", set[str]())
    made = PostgresqlSource(database.url)
    yield made
    made.close()


def values_of(table: TablePlan, blocks: list[LineBlock]) -> list[str]:
    decoder = TableDecoder(table)
    return [repr(value) for block in blocks for value in decoder.values(block)]


def is_clean(rows: list[Any]) -> bool:
    """Whether no cell is too long, or holds what may not be told apart."""
    cells = [cell for row in rows for cell in (row[0] or "", row[3])]
    long = [len(cell.encode()) for cell in cells]
    long += [len(row[6] or b"") for row in rows]
    marked = any({"\x1e", "\x1f"} & set(cell) for cell in cells)
    return not marked and max(long, default=0) <= CELL_BYTES


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=rows_of(CLEAN, SHORT) | rows_of(ODD, SHORT | st.just(b"\0" * 99)),
    place=st.integers(0, 3),
    codec=st.sampled_from(["text", "uuid_bytes"]),
)
def test_packed_columns_are_what_the_lines_say(
    rows: list[Any],
    place: int,
    codec: str,
    writer: Writer,
    source: PostgresqlSource,
) -> None:
    table = source.make_plan(silent).table("bounds")
    table.column("T").codec = codec
    assert len(table.columns) == COLUMNS + 1
    source.connection.execute("ROLLBACK")
    with writer.transaction():
        writer.execute("DELETE FROM bounds")
        marks = ", ".join(["%s"] * COLUMNS)
        insert = f"INSERT INTO bounds VALUES ({marks})".encode()
        writer.cursor().executemany(insert, rows)
    source.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    expected = values_of(table, list(source.own_order(table, None)))
    table.rows = 1
    blocks = list(source.own_order(table, None, for_copy=True))
    assert values_of(table, blocks) == expected
    assert sum(block.count for block in blocks) == len(rows)
    if is_clean(rows):
        assert all(isinstance(block, ColumnBlock) for block in blocks)
    if place < len(blocks):
        rest = values_of(table, blocks[place + 1 :])
        for for_copy in (True, False):
            position = blocks[place].position
            found = source.own_order(table, position, for_copy=for_copy)
            assert values_of(table, list(found)) == rest


def test_a_table_of_misfits_is_read_as_lines_before_long(
    writer: Writer, source: PostgresqlSource
) -> None:
    source.connection.execute("ROLLBACK")
    writer.execute(
        'INSERT INTO bounds (k0, c1, "T", tail, c0) '
        "SELECT g, 0, md5('')::uuid, '', CASE WHEN g < 200 THEN E'a\\x1fb' ELSE 'c' END "
        "FROM generate_series(1, 300) g"
    )
    source.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    table = source.make_plan(silent).table("bounds")
    blocks = list(source.own_order(table, None, for_copy=True))
    assert not any(isinstance(block, ColumnBlock) for block in blocks)
    assert len(blocks) == MISFITS_MAX + 1
    assert sum(block.count for block in blocks) == 300
    assert json.loads(str(blocks[-1].position))[:2] == ["300", "0"]


def test_only_a_copy_of_many_rows_along_an_index_is_packed(
    database: Database,
) -> None:
    with psycopg.connect(database.url.unmasked(), autocommit=True) as connection:
        for name, count in (("many", 20_000), ("few", 20)):
            connection.execute(
                f"CREATE TABLE {name} (id integer PRIMARY KEY, s text);"
                f"INSERT INTO {name} SELECT g, g::text "
                f"FROM generate_series(1, {count}) g; ANALYZE {name}".encode()
            )
    source = PostgresqlSource(database.url)
    plan = source.make_plan(silent)

    def is_packed(name: str, *, for_copy: bool = True) -> bool:
        blocks = source.own_order(plan.table(name), None, for_copy=for_copy)
        return isinstance(next(iter(blocks)), ColumnBlock)

    try:
        assert is_packed("many")
        assert not is_packed("many", for_copy=False)
        assert not is_packed("few")
        for setting in ("enable_indexscan", "enable_indexonlyscan"):
            source.connection.execute(f"SET LOCAL {setting} = off".encode())
        assert not is_packed("many")
    finally:
        source.close()


def test_rows_without_a_key_are_packed_as_they_lie(database: Database) -> None:
    with psycopg.connect(database.url.unmasked(), autocommit=True) as connection:
        connection.execute(
            b"CREATE TABLE heap (first text, b int, pages date);"
            b"INSERT INTO heap SELECT repeat(CASE g WHEN 4500 "
            b"THEN E'\\x1f' ELSE g::text END, 30), g, date '2000-01-01' + g "
            b"FROM generate_series(1, 5000) g;"
            b"DELETE FROM heap WHERE b BETWEEN 1000 AND 2900"
        )
    source = PostgresqlSource(database.url)
    try:
        table = source.make_plan(silent).table("heap")
        expected = values_of(table, list(source.own_order(table, None)))
        blocks = list(source.own_order(table, None, for_copy=True))
        are_packed = [isinstance(block, ColumnBlock) for block in blocks]
        assert set(are_packed) == {True, False}, "what is behind a misfit is not packed"
        assert are_packed == sorted(are_packed, reverse=True)
        assert sum(block.count for block in blocks) == table.rows == 3099
        assert values_of(table, blocks) == expected
        for place in (0, 2, len(blocks) - 1):
            rest = values_of(table, blocks[place + 1 :])
            for for_copy in (True, False):
                position = str(blocks[place].position)
                found = source.own_order(table, position, for_copy=for_copy)
                assert values_of(table, list(found)) == rest
    finally:
        source.close()
