"""What grows with a database, and is not held: notes of rows, wide rows, many tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.mover import Mover, journal
from lockstep.mover.blocks.encoding import NOTED_BYTES, LineBlock, OddRow
from lockstep.mover.blocks.long_values import LONG_BYTES, LongCells
from lockstep.mover.plan.from_sqlite import plan_tables
from lockstep.mover.plan.toml import plan_to_toml
from lockstep.mover.postgresql import filling
from lockstep.mover.postgresql.journal import PostgresqlJournal
from lockstep.mover.postgresql.notes import OddNotes
from lockstep.mover.sqlite.catalog import read_schema
from lockstep.mover.sqlite.lines import SqliteLines
from lockstep.mover.sqlite.survey import RANGE_BYTES_MAX, survey_table

MakeDatabase = Callable[..., Database]


def test_notes_of_rows_end_a_chunk_as_lines_do(
    tmp_path: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, url = tmp_path / "a.db", make_database("postgresql").url.unmasked()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bad (n INTEGER PRIMARY KEY, v)")
        connection.execute("CREATE TABLE odd (n INTEGER PRIMARY KEY, v)")
        rows = [(n, f"{n:05}") for n in range(9_000)]
        connection.executemany("INSERT INTO bad VALUES (?, ?)", rows)
        mixed = ((n, f"{n}" if n % 2 else n) for n, _ in rows)
        connection.executemany("INSERT INTO odd VALUES (?, ?)", mixed)
    plan = Mover(path, url).plan()
    refused = plan.table("bad").column("v")
    refused.type, refused.codec, refused.on_dirt = "bigint", "integer", "quarantine"
    noted: list[int] = []
    advance = PostgresqlJournal.advance

    def counted(
        self: PostgresqlJournal, table: str, blocks: list[LineBlock], *, is_done: bool
    ) -> journal.TableProgress:
        noted.append(sum(len(block.odd) + len(block.rejected) for block in blocks))
        return advance(self, table, blocks, is_done=is_done)

    monkeypatch.setattr(PostgresqlJournal, "advance", counted)
    monkeypatch.setattr(filling, "CHUNK_BYTES", 1_000 * NOTED_BYTES)
    quarantine = tmp_path / "quarantine.jsonl"
    result = Mover(path, url, plan=plan_to_toml(plan), quarantine=quarantine).move()
    assert result.quarantined == 9_000
    lines = quarantine.read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["key"] for line in lines} == {f"{n}" for n, _ in rows}
    assert sum(noted) == 9_000 + 4_500
    # A block of rows more than fills a chunk.
    assert max(noted) <= 1_000 + 2_000
    assert result.verification is not None
    assert result.verification.is_same
    back = tmp_path / "back.db"
    assert Mover(url, back).move().is_exact
    assert checker.typed_rows(back, "odd") == checker.typed_rows(path, "odd")


def test_of_equal_rows_as_many_get_a_note_as_were_noted() -> None:
    rows = [OddRow(b"a", (("v", "text"),)), OddRow(b"b", ()), OddRow(b"a", ())]
    with closing(OddNotes(iter(rows))) as notes:
        taken = [notes.take(b"a") for _ in range(3)]
        assert taken == [rows[0], rows[2], None]
        assert notes.take(b"c") is None
        assert notes.take(b"b") == rows[1]


def test_a_comparison_reads_the_plan_once_for_all_tables(
    tmp_path: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, url = tmp_path / "a.db", make_database("postgresql").url.unmasked()
    with closing(sqlite3.connect(path)) as connection, connection:
        for number in range(9):
            connection.execute(f"CREATE TABLE t{number} (n INTEGER PRIMARY KEY, v)")
            connection.execute(f"INSERT INTO t{number} VALUES (1, {number})")
    assert Mover(path, url).move().is_exact
    back, read = tmp_path / "back.db", list[object]()
    of_row = journal.State.of_row

    def counted(row: list[object]) -> journal.State:
        read.append(row)
        return of_row(row)

    monkeypatch.setattr(journal.State, "of_row", counted)
    assert Mover(url, back).move().is_exact
    # The source's, and the target's own when it begins and ends.
    assert len(read) <= 3


@pytest.mark.parametrize("kind", ["TEXT", "BLOB"])
def test_no_block_has_more_than_some_bytes_however_wide_a_row_is(kind: str) -> None:
    value = (
        "replace(hex(zeroblob({})), '00', 'x')" if kind == "TEXT" else "zeroblob({})"
    )
    with closing(sqlite3.connect(":memory:")) as connection:
        columns = ", ".join(f"c{number} {kind}" for number in range(20))
        connection.execute(f"CREATE TABLE t (n INTEGER PRIMARY KEY, {columns})")
        for number, size in enumerate([30_000] * 9 + [LONG_BYTES + 1, 7]):
            values = ", ".join([value.format(size)] * 20)
            connection.execute(f"INSERT INTO t VALUES ({number}, {values})")
        schema = read_schema(connection)
        profiles = {"t": survey_table(connection, schema.tables[0])}
        (plan,) = plan_tables(connection, schema, profiles).tables
        lines = SqliteLines(connection, schema, profiles)
        long = LongCells(frozenset(c.source for c in plan.columns), in_pieces=True)

        def blocks() -> Iterator[LineBlock]:
            return lines.in_own_order(plan, None, for_copy=True, long=long)

        sizes = [len(block.data) for block in blocks()]
        assert sum(block.count for block in blocks()) == 11
        per_byte = 1 if kind == "TEXT" else 2
        assert sum(sizes) > 20 * per_byte * (9 * 30_000 + LONG_BYTES)
        assert max(sizes) < RANGE_BYTES_MAX + 10_000
