"""Rows reach SQLite whole and in order, however many go into one statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.errors import Unmappable
from lockstep.mover.blocks.encoding import ColumnBlock, LineBlock
from lockstep.mover.codecs import codec_of
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.model.values import RawText
from lockstep.mover.sqlite.writing import RowWriter

PLAN = TablePlan(
    "t",
    "t",
    [
        ColumnPlan("id", "id", "INTEGER", "integer"),
        ColumnPlan("twice", "twice", "INTEGER", "integer", generated="virtual"),
        ColumnPlan("note", "note", "TEXT", "text_bytes"),
        ColumnPlan("s", "s", "TEXT", "text"),
        ColumnPlan("b", "b", "BLOB", "bytes"),
    ],
    primary_key=["id"],
)
TWICE = "twice INTEGER GENERATED ALWAYS AS (2 * id)"
CREATE = f"CREATE TABLE t (id INTEGER UNIQUE, {TWICE}, note TEXT, s TEXT, b BLOB)"
VALUES_OF_A_ROW = 6


def block_of(ids: list[int]) -> LineBlock:
    lines = [
        f"{i}\t{2 * i}\t\\\\xff{i:02x}\ts{i}\t"
        + ("\\N\n" if i % 3 == 0 else f"\\\\x00{i:02x}\n")
        for i in ids
    ]
    return LineBlock(None, "".join(lines).encode(), len(ids), len(ids))


def columns_of(ids: list[int]) -> ColumnBlock:
    """Give the same rows as a source that packs them does."""
    columns = [
        *([*ids], [RawText([255, i]) for i in ids], [f"s{i}" for i in ids]),
        [None if i % 3 == 0 else bytes([0, i]) for i in ids],
    ]
    codecs = [codec_of(column.codec) for column in PLAN.columns]
    kept = [not column.generated for column in PLAN.columns]
    return ColumnBlock(
        *(None, b"", len(ids), len(ids)), columns=columns, codecs=codecs, is_kept=kept
    )


def stored(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT id, typeof(id), twice, hex(note), typeof(note), s, typeof(b), b "
        "FROM t ORDER BY rowid"
    ).fetchall()


def expected(ids: list[int]) -> list[tuple[object, ...]]:
    return [
        (i, "integer", 2 * i, f"FF{i:02X}", "text", f"s{i}")
        + (("null", None) if i % 3 == 0 else ("blob", bytes([0, i])))
        for i in ids
    ]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.execute(CREATE)
        yield made


@given(
    count=st.integers(0, 25),
    values_max=st.integers(VALUES_OF_A_ROW, 6 * VALUES_OF_A_ROW),
)
def test_groups_of_any_size_hold_every_row(count: int, values_max: int) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.execute(CREATE)
        made.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, values_max)
        RowWriter(PLAN).write(made, block_of(list(range(count))))
        assert stored(made) == expected(list(range(count)))


@pytest.mark.parametrize("made", [block_of, columns_of])
@pytest.mark.parametrize("place", [0, 2, 3, 9, 10])
def test_a_refused_row_of_a_group_is_the_only_one_left_out(
    place: int, made: Callable[[list[int]], LineBlock], connection: sqlite3.Connection
) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 3 * VALUES_OF_A_ROW)
    connection.execute("INSERT INTO t (id, note, s) VALUES (99, x'ff63', 's99')")
    ids = [*range(place), 99, *range(place, 10)]
    with pytest.raises(Unmappable, match="t of row 99 is refused by SQLite"):
        RowWriter(PLAN).write(connection, made(ids))
    connection.execute("DELETE FROM t WHERE id <> 99")
    block = made(ids)
    lenient = [replace(column, on_dirt="quarantine") for column in PLAN.columns]
    RowWriter(replace(PLAN, columns=lenient)).write(connection, block)
    assert [row[0] for row in stored(connection)] == [99, *range(10)]
    assert block.count == 10
    (rejected,) = block.rejected
    assert rejected.key == "99"
    assert "UNIQUE" in rejected.reason


def test_a_table_that_computes_every_column_has_its_rows(
    connection: sqlite3.Connection,
) -> None:
    plan = TablePlan(
        "t", "t", [ColumnPlan("twice", "twice", "INTEGER", "integer", generated="x")]
    )
    RowWriter(plan).write(connection, LineBlock(None, b"1\n2\n", 2, 2))
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (2,)
