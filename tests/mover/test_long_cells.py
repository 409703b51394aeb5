"""Cells too long to be held: they arrive as they are, are compared, and cost no memory."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.mover import Mover
from lockstep.mover.blocks.ahead import in_turn
from lockstep.mover.blocks.encoding import LineBlock, TableEncoder
from lockstep.mover.blocks.long_values import LONG_BYTES, PIECE_BYTES, LongCells
from lockstep.mover.plan.from_sqlite import plan_tables
from lockstep.mover.plan.toml import plan_to_toml
from lockstep.mover.postgresql import filling
from lockstep.mover.postgresql import packed as packed_back
from lockstep.mover.sqlite import long_rows
from lockstep.mover.sqlite.catalog import read_schema
from lockstep.mover.sqlite.lines import SqliteLines
from lockstep.mover.sqlite.opening import open_source
from lockstep.mover.sqlite.survey import survey_table
from lockstep.mover.sqlite.target import SqliteTarget
from lockstep.mover.sqlite.writing import RowWriter

MakeDatabase = Callable[..., Database]
LONG = 16_000_000
GROWTH_MAX_KIB = 12 * 1024
"""What a row with two values of ``LONG`` bytes may cost: less than one of them is."""

PEAK = """
import sys
from pathlib import Path
from lockstep.mover import Mover
moves = iter(sys.argv[1:])
for source, target in zip(moves, moves):
    assert Mover(source, target).move().is_exact
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(next(line.split()[1] for line in status.splitlines() if "VmHWM" in line))
"""

ODD = "Grüße\t\\N und \U0001f600\n\r\v\f\b\x1e\x1f'\""


def text_of(size: int) -> str:
    """Return a text of exactly so many bytes whose pieces part characters."""
    some = (ODD * (size // len(ODD.encode()) + 1)).encode()[:size]
    text = some.decode("utf-8", "ignore")
    return text + "x" * (size - len(text.encode()))


def blob_of(size: int) -> bytes:
    return Random(size).randbytes(size)


BY_ROWID = "k INTEGER PRIMARY KEY, {})"
BY_TEXT = "k TEXT PRIMARY KEY, {})"
NO_KEY = "k TEXT, {})"
NO_ROWID = "k TEXT COLLATE NOCASE, {}, PRIMARY KEY (k DESC)) WITHOUT ROWID"
COMPUTED = "k INTEGER PRIMARY KEY, twice INTEGER AS (k * 2) STORED, {})"
TABLES = [BY_ROWID, BY_TEXT, NO_KEY, NO_ROWID, COMPUTED]
"""Tables with the columns of ``photos``; of the last two SQLite opens no cell."""


def photos(path: Path, sizes: Sequence[int], table: str = BY_ROWID) -> Path:
    """Make a file whose rows have a text and a blob of so many bytes."""
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = table.format("t TEXT, n REAL, b BLOB, name TEXT")
        connection.execute(f"CREATE TABLE photo ({columns}")
        connection.executemany(
            "INSERT INTO photo (k, t, n, b, name) VALUES (?, ?, ?, ?, ?)",
            (
                (
                    number if "INTEGER" in table else f"k{number}",
                    None if number % 5 == 4 else text_of(size),
                    number / 3,
                    None if number % 5 == 3 else blob_of(size),
                    f"\t{number}",
                )
                for number, size in enumerate(sizes)
            ),
        )
    return path


AROUND = [0, LONG_BYTES, LONG_BYTES + 1, 5, 6, LONG_BYTES + PIECE_BYTES, 7]


def peaks_kib(*moves: Path | str) -> list[int]:
    """Return the most memory that a process had, after each of its moves."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, moves)],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    return list(map(int, done.stdout.split()))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_move_needs_no_memory_for_its_longest_value(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    moves: list[Path | str] = []
    for table, size in ((BY_ROWID, 3), (BY_ROWID, LONG), (NO_ROWID, LONG)):
        path = photos(tmp_path / f"{len(moves)}.db", [3, size], table)
        url = make_database("postgresql").url.unmasked()
        moves += [path, url, url, tmp_path / f"{len(moves)}.back.db"]
    _, before, there, back, whole_there, whole_back = peaks_kib(*moves)
    assert there - before < GROWTH_MAX_KIB
    # SQLite makes room for a row's cells in its memory, twice.
    room_kib = 2 * 2 * LONG // 1024
    assert back - before < room_kib + GROWTH_MAX_KIB
    # Where it opens none they are read one by one, and written together. The C
    # library keeps some of what was freed: of lines there were 20 copies and more.
    assert whole_there - before < 4 * 2 * LONG // 1024
    assert whole_back - before < 6 * 2 * LONG // 1024


@pytest.mark.parametrize("table", TABLES)
def test_long_cells_arrive_as_they_are(
    tmp_path: Path,
    make_database: MakeDatabase,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
) -> None:
    # Every row ends a chunk, and none ends within its line.
    monkeypatch.setattr(filling, "CHUNK_BYTES", 1_000)
    monkeypatch.setattr(SqliteTarget, "chunk_bytes", 1_000)
    path = photos(tmp_path / "a.db", AROUND, table)
    url = make_database("postgresql").url.unmasked()
    there = Mover(path, url).move()
    assert there.verification is not None
    assert there.verification.differences == []
    assert there.is_exact
    assert checker.postgresql_rows(url, "photo") == checker.sqlite_rows(path, "photo")
    back = Mover(url, tmp_path / "b.db").move()
    assert back.verification is not None
    assert back.verification.differences == []
    assert back.is_exact
    expected = checker.typed_rows(path, "photo")
    assert checker.typed_rows(tmp_path / "b.db", "photo") == expected


def test_some_long_rows_among_many_that_postgresql_packs(
    tmp_path: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [20] * 3_000
    for number in (0, 7, 1_500, 2_999):
        sizes[number] = LONG_BYTES + number + 1
    path = photos(tmp_path / "a.db", sizes)
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    seen: list[str] = []
    usual = RowWriter.write

    def write(self: RowWriter, connection: Any, block: LineBlock) -> None:
        seen.append(type(block).__name__)
        usual(self, connection, block)

    # The long values make a row longer on the average than any that is packed.
    monkeypatch.setattr(packed_back, "BLOCK_BYTES", 64 * 1024 * 1024)
    monkeypatch.setattr(RowWriter, "write", write)
    assert Mover(url, tmp_path / "b.db").move().is_exact
    assert {"ColumnBlock", "LongRowBlock", "PieceBlock"} <= set(seen)
    expected = checker.typed_rows(path, "photo")
    assert checker.typed_rows(tmp_path / "b.db", "photo") == expected


DAMAGE = {
    "b": "set_byte(b, octet_length(b) - 1, 7)",
    "t": "overlay(t PLACING 'y' FROM length(t))",
}


@pytest.mark.parametrize("column", DAMAGE)
@pytest.mark.parametrize("table", [BY_ROWID, NO_KEY, NO_ROWID])
def test_the_last_byte_of_a_long_cell_is_compared(
    tmp_path: Path, make_database: MakeDatabase, table: str, column: str
) -> None:
    path = photos(tmp_path / "a.db", [9, LONG_BYTES + 15, 9, LONG_BYTES + 15], table)
    url = make_database("postgresql").url.unmasked()
    Mover(path, url).move()
    row = "1" if "INTEGER" in table else "'k1'"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"UPDATE photo SET {column} = {DAMAGE[column]} WHERE k = {row}".encode()
        )
    report = Mover(path, url).verify()
    assert report.difference_count == 1
    found = report.differences[0]
    assert (found.kind, found.table, found.column) == ("cell", "photo", column)
    assert found.source.startswith(f"'{LONG_BYTES + 15} bytes, sha256 ")
    assert found.target.startswith(f"'{LONG_BYTES + 15} bytes, sha256 ")


WHOLE_ROWS = f"""
CREATE TABLE by_key (k TEXT PRIMARY KEY, b BLOB, t TEXT) WITHOUT ROWID;
INSERT INTO by_key VALUES ('a', randomblob({LONG_BYTES + 1}), 'short'), ('b', x'00',
  replace(hex(zeroblob({LONG_BYTES})), '00', 'ä	'));
CREATE TABLE single (k INTEGER PRIMARY KEY, b BLOB UNIQUE, t TEXT);
INSERT INTO single SELECT NULL, b, t FROM by_key;
CREATE TABLE computed (k INTEGER PRIMARY KEY, t TEXT, n INTEGER AS (length(t)) STORED);
INSERT INTO computed SELECT NULL, t FROM by_key;
CREATE TABLE mixed (k INTEGER PRIMARY KEY, v, b BLOB);
INSERT INTO mixed SELECT NULL, b, b FROM by_key;
INSERT INTO mixed SELECT NULL, t, b FROM by_key;
INSERT INTO mixed VALUES (NULL, 1, NULL), (NULL, 0.5, x'');
CREATE TABLE late (k INTEGER PRIMARY KEY, v BLOB, untyped, t TEXT);
INSERT INTO late (k) WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n
  WHERE k < 6000) SELECT k FROM n;
INSERT INTO late SELECT NULL, b, b, t FROM by_key;
"""


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_where_a_cell_cannot_be_opened_it_is_moved_as_a_whole(
    tmp_path: Path, make_database: MakeDatabase, encoding: str
) -> None:
    script = f"PRAGMA encoding = '{encoding}'; {WHOLE_ROWS}"
    path = checker.made(tmp_path / "a.db", script)
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    assert Mover(url, tmp_path / "b.db").move().is_exact
    for table in ("by_key", "single", "computed", "mixed", "late"):
        expected = checker.typed_rows(path, table)
        assert checker.typed_rows(tmp_path / "b.db", table) == expected


NATIVE = f"""
CREATE TABLE page (c1 bytea, c0 text NOT NULL, n numeric, "l0" varchar);
INSERT INTO page SELECT decode(repeat('00ff', k), 'hex'), repeat(E'\\\\ä', k), 1.5, k
  FROM unnest(ARRAY[1, {LONG_BYTES // 2}, {LONG_BYTES // 2 + 1}, {LONG_BYTES}]) k;
INSERT INTO page SELECT c1, c0, 1.23456789012345678901, 'more digits' FROM page;
INSERT INTO page VALUES (NULL, 'last', NULL, NULL);
"""


def test_the_pieces_of_a_row_that_does_not_fit_stay_behind_with_it(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(NATIVE.encode())
    text = plan_to_toml(Mover(url, tmp_path / "a.db").plan())
    lines = [
        line.replace(
            'type = "TEXT", codec = "text"',
            'type = "REAL", codec = "real", on_dirt = "quarantine"',
        )
        if line.lstrip().startswith('"n"')
        else line
        for line in text.split("\n")
    ]
    result = Mover(
        url, tmp_path / "b.db", plan="\n".join(lines), quarantine=tmp_path / "q"
    ).move()
    assert result.quarantined == 4
    assert result.verification is not None
    assert result.verification.differences == []
    with (
        psycopg.connect(url) as connection,
        closing(sqlite3.connect(tmp_path / "b.db")) as file,
    ):
        expected = connection.execute(
            b"SELECT c1, c0, n::float8, l0 FROM page "
            b"WHERE l0 IS DISTINCT FROM 'more digits' ORDER BY octet_length(c0)"
        ).fetchall()
        rows = file.execute("SELECT * FROM page ORDER BY length(c0)").fetchall()
    assert sorted(rows, key=lambda row: len(row[1])) == sorted(
        expected, key=lambda row: len(row[1])
    )


@pytest.mark.parametrize("blob", ["BLOB", "BLOB UNIQUE"])
def test_a_long_row_that_sqlite_refuses_is_quarantined(
    tmp_path: Path, make_database: MakeDatabase, blob: str
) -> None:
    """Whether it comes before its pieces or, where an index holds one, behind them."""
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            b"CREATE TABLE t (k text, v text, b bytea);"
            b"INSERT INTO t VALUES ('1', 'one', repeat('x', 2000000)::bytea),"
            b"('01', repeat('y', 2000000), repeat('z', 2000000)::bytea),"
            b"('2', repeat('w', 2000000), NULL)"
        )
    text = plan_to_toml(Mover(url, tmp_path / "x.db").plan())
    lines = [
        line.replace(
            'type = "TEXT", codec = "text"',
            'type = "INTEGER UNIQUE", codec = "integer", on_dirt = "coerce"',
        )
        if line.lstrip().startswith('"k"')
        else line.replace('type = "BLOB"', f'type = "{blob}"')
        for line in text.split("\n")
    ]
    result = Mover(
        url, tmp_path / "b.db", plan="\n".join(lines), quarantine=tmp_path / "q"
    ).move()
    assert result.quarantined == 1
    assert result.verification is not None
    assert (result.verification.is_same, result.verification.quarantined) == (True, 1)
    assert json.loads((tmp_path / "q").read_text())["value"].startswith("'1 | ")
    with closing(sqlite3.connect(tmp_path / "b.db")) as file:
        rows = file.execute("SELECT k, length(v), length(b) FROM t").fetchall()
    assert rows == [(1, 3, 2_000_000), (2, 2_000_000, None)]


@pytest.mark.parametrize("table", [BY_ROWID, NO_ROWID])
@pytest.mark.parametrize("way", ["there", "back"])
def test_a_move_that_ends_within_a_row_goes_on(
    tmp_path: Path,
    make_database: MakeDatabase,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    table: str,
) -> None:
    path = photos(tmp_path / "a.db", [5, LONG_BYTES + 3, LONG_BYTES + 1, 4], table)
    url = make_database("postgresql").url.unmasked()
    back = tmp_path / "b.db"
    pieces = 0

    def ends(owner: Any, name: str, at: int) -> None:
        usual = getattr(owner, name)

        def ending(*given: Any) -> Any:
            nonlocal pieces
            pieces += 1
            if pieces == at:
                raise KeyboardInterrupt
            return usual(*given)

        monkeypatch.setattr(owner, name, ending)

    if way == "there":
        monkeypatch.setattr(filling, "CHUNK_BYTES", 1_000)
        ends(long_rows, "pieces_of", 4)
    else:
        assert Mover(path, url).move().is_exact
        monkeypatch.setattr(SqliteTarget, "chunk_bytes", 1_000)
        ends(RowWriter, "_write_piece", 12)
    source, target = (path, url) if way == "there" else (url, back)
    with pytest.raises(KeyboardInterrupt):
        Mover(source, target).move()
    result = Mover(source, target).move()
    assert result.resumed
    assert result.is_exact
    assert Mover(path, url).verify().is_same
    if way == "back":
        assert checker.typed_rows(back, "photo") == checker.typed_rows(path, "photo")


def test_a_long_row_that_the_server_refuses_is_quarantined(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = photos(tmp_path / "a.db", [9, 2 * LONG_BYTES, 8, LONG_BYTES + 1, 7])
    url = make_database("postgresql").url.unmasked()
    text = plan_to_toml(Mover(path, url).plan()).replace(
        '"t" = { target = "t", type = "text", codec = "text"',
        f'"t" = {{ target = "t", type = "varchar({LONG_BYTES + 1})", codec = "text", '
        'on_dirt = "quarantine"',
    )
    assert "quarantine" in text
    result = Mover(path, url, plan=text, quarantine=tmp_path / "q").move()
    assert result.quarantined == 1
    assert result.verification is not None
    assert result.verification.is_same
    assert result.verification.quarantined == 1
    with psycopg.connect(url) as connection:
        rows = connection.execute(b"SELECT k, octet_length(b) FROM photo ORDER BY k")
        assert rows.fetchall() == [(0, 9), (2, 8), (3, None), (4, 7)]


@pytest.mark.parametrize("dirt", [b"\0", b"\xff", b"\xc3"])
def test_a_long_text_that_is_none_of_postgresql_goes_the_exact_way(
    tmp_path: Path, make_database: MakeDatabase, dirt: bytes
) -> None:
    path = photos(tmp_path / "a.db", [9, LONG_BYTES + 3])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE photo SET t = CAST(CAST(t AS BLOB) || ? AS TEXT) WHERE k = 1",
            (dirt,),
        )
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    back = tmp_path / "b.db"
    assert Mover(url, back).move().is_exact
    assert checker.typed_rows(back, "photo") == checker.typed_rows(path, "photo")


@pytest.mark.parametrize(
    ("reader", "create"),
    [("one", BY_ROWID), ("two", BY_ROWID), ("one", NO_ROWID), ("one", COMPUTED)],
)
def test_the_pieces_of_a_row_are_the_line_of_the_encoder(
    tmp_path: Path, reader: str, create: str
) -> None:
    path = photos(tmp_path / "a.db", AROUND, create)
    with closing(open_source(path)) as source:
        connection = source.connection
        schema = read_schema(connection)
        table = schema.table("photo")
        assert table is not None
        other = source.other()
        others = [other] if other is not None and reader == "two" else []
        profile = survey_table(connection, table, others)
        assert [str(key).strip("k") for (key,) in sorted(profile.long_rows)] == [
            str(number) for number, size in enumerate(AROUND) if size > LONG_BYTES
        ]
        plan = plan_tables(connection, schema, {"photo": profile}).tables[0]
        found = SqliteLines(connection, schema, {"photo": profile}, others=others)
        long = LongCells(found.long_columns(plan), in_pieces=True)
        assert long.columns == {"t", "b"}
        blocks = list(found.in_own_order(plan, None, for_copy=True, long=long))
        compared = list(found.in_key_order(plan, LongCells(long.columns)))
        rows: Any = connection.execute("SELECT * FROM photo").fetchall()
    assert max(len(block.data) for block in blocks) < 5 * LONG_BYTES
    assert sum(block.count for block in blocks) == len(AROUND)
    assert any(block.is_open for block in blocks)
    assert sum(block.data.count(b" bytes, sha256 ") for block in compared) == 4
    # A real is written in another way where nothing is compared.
    data = b"".join(block.data for block in blocks)
    mine = [line.split(b"\t") for line in data.lower().split(b"\n")]
    expected = TableEncoder(plan).block(None, rows).data
    theirs = [line.split(b"\t") for line in expected.lower().split(b"\n")]
    real = [column.source for column in plan.columns].index("n")
    assert [[*line[:real], *line[real + 1 :]] for line in mine] == [
        [*line[:real], *line[real + 1 :]] for line in theirs
    ]


def test_the_pieces_of_a_row_stay_together_whoever_reads_the_others() -> None:
    def stream(first: int) -> list[LineBlock]:
        found: list[LineBlock] = []
        for number in range(first, 8, 2):
            pieces = [LineBlock(None, b"", 0, 0, is_open=True)] * (number % 3)
            found += [*pieces, LineBlock(number, b"", 1, 1)]
        return found

    blocks = list(in_turn([stream(0), stream(1)]))
    assert [block.position for block in blocks if not block.is_open] == list(range(8))
    pieces = 0
    for block in blocks:
        if block.is_open:
            pieces += 1
            continue
        assert isinstance(block.position, int)
        assert pieces == block.position % 3
        pieces = 0
