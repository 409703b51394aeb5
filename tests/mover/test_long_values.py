"""Values of many bytes: no step copies what it need not, nothing grows with them."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lockstep.mover.blocks.ahead import Ahead
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.codecs.lines import ChosenCells, escape, unescape
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.sqlite.catalog import read_schema
from lockstep.mover.sqlite.lines import SqliteLines
from lockstep.mover.sqlite.rows import BLOCK_BYTES, fetched
from lockstep.mover.sqlite.survey import RANGE_BYTES_MAX
from lockstep.mover.verify.streams import (
    PIECE_BYTES,
    LineReader,
    in_pieces,
    pass_equal,
)

LONG = 200_000


def test_a_long_block_is_not_copied_for_each_short_one_beside_it() -> None:
    lines = [b"%d\t%s\n" % (n, b"x" * 1_000) for n in range(5_000)]
    short = [b"".join(lines[n : n + 10]) for n in range(0, 5_000, 10)]
    ours = LineReader([b"".join(lines)])
    assert len(ours.piece()) <= PIECE_BYTES
    assert pass_equal(ours, LineReader(short)) == 5_000
    assert not ours.piece()
    alone = b"x" * (PIECE_BYTES * 2) + b"\n"
    reader = LineReader([alone + b"y\n" + alone, alone])
    assert [len(found) for found in in_pieces(reader, 9)] == [4]


def test_rows_are_read_by_their_bytes(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "long.db")) as connection:
        connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB)")
        connection.executemany(
            "INSERT INTO t VALUES (?, zeroblob(?))",
            ((n, LONG if n > 50 else 1) for n in range(200)),
        )
        cursor = connection.execute("SELECT * FROM t")
        blocks = list(iter(lambda: fetched(cursor, 2_000), []))
        assert [row[0] for rows in blocks for row in rows] == list(range(200))
        assert max(len(rows) for rows in blocks[1:]) <= BLOCK_BYTES // LONG + 1
        plan = TablePlan("t", "t", [ColumnPlan("n", "n", "bigint", "integer")])
        plan.columns.append(ColumnPlan("b", "b", "bytea", "bytes"))
        lines = SqliteLines(connection, read_schema(connection), {})
        sizes = [len(block.data) for block in lines.in_own_order(plan, None)]
        assert sum(sizes) > 2 * 149 * LONG
        assert max(sizes) <= RANGE_BYTES_MAX + LONG


def test_a_long_cell_is_escaped_and_back() -> None:
    for rare in ("", "\x1e\x1f\x01\x02\x03\x04\x05"):
        text = "\\N\\t\\\\\n\t\r\b\f\v\\" * 30 + rare
        assert unescape(escape(text)) == text
        assert "\n" not in escape(text)
        assert "\t" not in escape(text)


@given(
    rows=st.lists(
        st.lists(st.sampled_from([b"", b"a", b"bc", b"\\n"]), min_size=4, max_size=4)
    ),
    places=st.sets(st.integers(0, 3), min_size=1).map(sorted),
    cuts=st.lists(st.integers(0, 3), min_size=1).filter(any),
)
def test_cells_are_chosen_from_lines_that_come_in_pieces(
    rows: list[list[bytes]], places: list[int], cuts: list[int]
) -> None:
    data = b"".join(b"\t".join(row) + b"\n" for row in rows)
    chosen, found, sizes = ChosenCells(places), b"", itertools.cycle(cuts)
    while data:
        size = next(sizes)
        found += chosen.of(data[:size])
        data = data[size:]
    kept = [[row[place] for place in places] for row in rows]
    assert found == b"".join(b"\t".join(row) + b"\n" for row in kept)
    assert chosen.of(b"0\t1\t2\t3\n") == b"\t".join(b"%d" % p for p in places) + b"\n"


def test_behind_a_long_block_nothing_is_read_until_it_is_taken() -> None:
    read: list[int] = []

    def blocks():  # type: ignore[no-untyped-def]
        for number in range(3):
            read.append(number)
            yield LineBlock(number, bytes(17 * 1024 * 1024), 1, 1)

    with closing(Ahead(blocks())) as ahead:
        for number in range(3):
            assert next(ahead).position == number
            assert len(read) <= number + 2
        assert next(ahead, None) is None
