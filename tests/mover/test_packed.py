"""Rows that SQLite packs are the lines the encoder writes, and a survey sees as much."""

from __future__ import annotations

import itertools
import math
import sqlite3
import threading
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.mover.test_row_order import keyed_tables
from tests.mover.test_schemas import tables

from lockstep.moments.forms import has_form
from lockstep.mover.blocks.ahead import Ahead
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.codecs import codec_of
from lockstep.mover.codecs.lines import (
    NULL,
    cells_of,
    escape,
    join,
    unescape,
    unescape_all,
)
from lockstep.mover.model.plan import Plan, TablePlan
from lockstep.mover.model.profile import TableProfile
from lockstep.mover.model.results import silent
from lockstep.mover.model.sqlite import Schema, Table
from lockstep.mover.model.values import real_text
from lockstep.mover.plan.from_sqlite import plan_tables
from lockstep.mover.sqlite import lines, opening, packed
from lockstep.mover.sqlite import survey as survey_module
from lockstep.mover.sqlite.catalog import read_schema
from lockstep.mover.sqlite.lines import SqliteLines
from lockstep.mover.sqlite.opening import open_source
from lockstep.mover.sqlite.profiling import profile_table
from lockstep.mover.sqlite.source import SqliteSource
from lockstep.mover.sqlite.survey import survey_table
from lockstep.mover.verify.streams import LineReader, pass_equal

REALS = [0.1, 89.99, 1.0, -0.0, 1e15, 1e15 + 0.5, 1e16, 5e-324, 2.0**53, -1e-5]
EVERYTHING = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, flag BOOLEAN, r REAL, s TEXT, "
    "b BLOB, price DECIMAL(9,2), at DATETIME)",
    [f'"{name}"' for name in ("id", "n", "flag", "r", "s", "b", "price", "at")],
    [
        [
            place,
            None if place % 3 else place,
            place % 2,
            real,
            ["a\tb\\\n\x1f\x1e\r\v\f\b", "\\N", "", "ä\U0001f600", "\x7f"][place % 5],
            None if place % 4 == 1 else bytes([0, 92, place]),
            [3, 2.5, None][place % 3],
            "2024-02-29 10:00:00",
        ]
        for place, real in enumerate(REALS, start=1)
    ],
)


def opened(table: tuple[str, list[str], list[list[Any]]]) -> sqlite3.Connection:
    create, quoted, rows = table
    connection = sqlite3.connect(
        ":memory:", isolation_level=None, check_same_thread=False
    )
    connection.execute(create)
    marks = ", ".join("?" * len(quoted))
    for row in rows:
        try:
            connection.execute(f"INSERT OR IGNORE INTO t VALUES ({marks})", row)
        except sqlite3.IntegrityError:
            continue  # a text for a rowid
    return connection


def unpacked(plan: TablePlan, table: Table, **reading: object) -> None:
    """Say that no row can be packed."""


def rows_of_a_range(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    def some(table: Table) -> int:
        return rows

    monkeypatch.setattr(survey_module, "block_rows", some)


def plan_of(
    connection: sqlite3.Connection, schema: Schema, found: TableProfile
) -> Plan:
    return plan_tables(connection, schema, {"t": found})


def lines_of(blocks: Any) -> bytes:
    return b"".join(block.data for block in blocks)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    table=tables(),
    rows=st.sampled_from([1, 2, 1_000]),
    size=st.sampled_from([40, 9999]),
)
@example(table=EVERYTHING, rows=3, size=9999)
@example(
    table=("CREATE TABLE t (a TEXT)", ['"a"'], [["a\0b"], ["\x1f"], [None]]),
    rows=9,
    size=99,
)
@example(
    table=("CREATE TABLE t (a DATE)", ['"a"'], [["2024-01-01\n2024-01-02"]]),
    rows=1,
    size=99,
)
def test_packed_rows_are_the_encoders_lines(
    table: tuple[str, list[str], list[list[Any]]], rows: int, size: int
) -> None:
    """However few rows are looked at for a guess, at once, and in how little memory."""
    check_packed(table, rows, size)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    table=keyed_tables(),
    rows=st.sampled_from([1, 2, 3, 1_000]),
    size=st.sampled_from([40, 9999]),
)
def test_so_are_those_of_a_table_without_rowids(
    table: tuple[str, list[str], list[list[Any]]], rows: int, size: int
) -> None:
    check_packed(table, rows, size)


def check_packed(
    table: tuple[str, list[str], list[list[Any]]], rows: int, size: int
) -> None:
    """Check what is read in ranges of so many rows and so many bytes of text."""
    connection = opened(table)
    with closing(connection), pytest.MonkeyPatch.context() as patched:
        rows_of_a_range(patched, rows)
        patched.setattr(survey_module, "FIRST_ROWS", rows)
        patched.setattr(survey_module, "TEXT_BYTES_MAX", 16 * size)
        schema = read_schema(connection)
        survey = survey_table(connection, schema.tables[0])
        plan = plan_of(connection, schema, profile_table(connection, schema.tables[0]))
        assert plan_of(connection, schema, survey) == plan
        (made,) = plan.tables
        quick = SqliteLines(connection, schema, {"t": survey})
        exact = SqliteLines(connection, schema, {}, codecs={})
        exact._packing = unpacked  # type: ignore[method-assign]  # pyright: ignore[reportPrivateUsage]
        expected = lines_of(exact.in_own_order(made, None))
        blocks = list(quick.in_own_order(made, None))
        assert lines_of(blocks) == expected
        behind = blocks[0].position if blocks else None
        rest = lines_of(blocks[1:]) if blocks else expected
        assert lines_of(quick.in_own_order(made, behind)) == rest
        copied = lines_of(quick.in_own_order(made, None, for_copy=True))
        assert values_of(made, copied) == values_of(made, expected)
        if made.order_key:
            assert lines_of(quick.in_key_order(made)) == lines_of(
                exact.in_key_order(made)
            )


def values_of(made: TablePlan, data: bytes) -> list[list[str]]:
    """Return every cell's value, the sign of a zero in it."""
    cells, width = cells_of(data.decode()), len(made.columns)
    return [
        list(map(repr, codec_of(planned.codec).values(cells[i::width])))
        for i, planned in enumerate(made.columns)
    ]


@given(year=st.integers(0, 9999), month=st.integers(0, 13), day=st.integers(0, 32))
@example(year=1900, month=2, day=29)
@example(year=2000, month=2, day=29)
def test_a_day_has_the_form_of_one(year: int, month: int, day: int) -> None:
    text = f"{year:04d}-{month:02d}-{day:02d}"
    try:
        is_day = bool(date.fromisoformat(text))
    except ValueError:
        is_day = False
    assert has_form("date", text) is is_day
    assert has_form("timestamp", f"{text} 23:59:59.5") is is_day
    assert not has_form("date", f"{text}\n{text}")


@given(
    values=st.lists(
        st.floats(allow_nan=False)
        | st.decimals(-(10**12), 10**12, places=4).map(float),
        min_size=1,
        max_size=50,
    )
)
@example(values=[9.07, -9.07, 0.0001, 99999999999.9999, 0.00005, 1234.5])
@example(values=[1e22, 0.1])
@example(values=[-0.0, 5e-324, math.nextafter(1e22, 0), 2**53 + 2.0, 0.1 + 0.2])
def test_a_printed_real_is_read_as_the_same_double(values: list[float]) -> None:
    connection = sqlite3.connect(":memory:")
    with closing(connection):
        # A column with another affinity keeps the sign of a zero.
        connection.execute("CREATE TABLE t (r ANY) STRICT")
        connection.executemany("INSERT INTO t VALUES (?)", [(x,) for x in values])
        schema = read_schema(connection)
        survey = survey_table(connection, schema.tables[0])
        (made,) = plan_of(connection, schema, survey).tables
        source = SqliteLines(connection, schema, {"t": survey})
        compared = lines_of(source.in_own_order(made, None)).decode().split()
        assert compared == list(map(real_text, values))
        copied = source.in_own_order(made, None, for_copy=True)
        texts = lines_of(copied).decode().split()
        assert list(map(repr, map(float, texts))) == list(map(repr, values))
        table = schema.tables[0]
        packing = packed.packing_of(made, ["r"], table, survey, for_copy=True)
        assert packing is not None
        is_printed = "lockstep_repr" not in packing.functions
        assert is_printed == (max(map(abs, values)) < 1e22)


def test_the_usual_types_are_packed_and_go_on_anywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows_of_a_range(monkeypatch, 3)
    connection = opened(EVERYTHING)
    schema = read_schema(connection)
    survey = survey_table(connection, schema.tables[0])
    (made,) = plan_of(connection, schema, survey).tables
    made_lines = SqliteLines(connection, schema, {"t": survey})
    columns = [column.source for column in made.columns]
    assert packed.packing_of(made, columns, schema.tables[0], survey) is not None
    blocks = list(made_lines.in_own_order(made, None))
    assert len(blocks) > 2
    for block in blocks:
        rest = lines_of(made_lines.in_own_order(made, block.position))
        assert lines_of(blocks).endswith(rest)
        assert rest.count(b"\n") == len(REALS) - int(str(block.position))
    connection.close()


def test_a_row_that_cannot_be_packed_goes_the_exact_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SQLite refuses a value that is too long; the rows before it came already."""
    rows_of_a_range(monkeypatch, 5)
    connection = sqlite3.connect(":memory:")
    connection.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, b BLOB)")
    rows = [(i, "x" * 30, b"\0" * (9 if i < 8 else 900)) for i in range(12)]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    schema = read_schema(connection)
    survey = survey_table(connection, schema.tables[0])
    (made,) = plan_of(connection, schema, survey).tables
    made_lines = SqliteLines(connection, schema, {"t": survey})
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_500)
    expected = "".join(f"{i}\t{s}\t\\\\x{b.hex()}\n" for i, s, b in rows).encode()
    assert lines_of(made_lines.in_own_order(made, None)) == expected
    assert lines_of(made_lines.in_key_order(made)) == expected
    connection.close()


TO_ESCAPE = st.text("\\Ntnrbfvx\t\n\r\b\f\v\x1e\x1f\0é", max_size=5)


@given(
    cells=st.lists(st.none() | st.text(max_size=4) | TO_ESCAPE, min_size=1, max_size=12)
)
def test_cells_are_taken_apart_as_they_were_joined(cells: list[str | None]) -> None:
    clean = [None if cell is None else cell.replace("\0", "") for cell in cells]
    fields = [NULL if cell is None else escape(cell) for cell in clean]
    text = join([fields, fields[::-1]], len(fields))
    apart = cells_of(text)
    assert list(unescape_all(apart[::2])) == clean
    assert list(unescape_all(apart[1::2])) == clean[::-1]


@given(fields=st.lists(st.just(NULL) | TO_ESCAPE, max_size=6))
def test_a_column_is_unescaped_as_its_cells_are(fields: list[str]) -> None:
    """Also where a field is written as no database writes it."""
    assert list(unescape_all(fields)) == list(map(unescape, fields))


@pytest.mark.parametrize(
    ("codec", "values"),
    [
        ("integer", [0, -1, 2**63 - 1, -(2**63), None]),
        ("integer", [0, None, -(10**15)]),
        ("real", [0.1, -0.0, float("inf"), None, 5e-324]),
        ("real", ["NaN", 1.5]),
        ("text", ["a", None, "\\N", "\t"]),
        ("mixed_text", ["a", 1, 1.5, None]),
        ("bytes", [b"", b"\\x", None]),
        ("bytes", [b"", b"\0\\x", b"\xff"]),
        ("boolean", [0, 1, None]),
        ("uuid_bytes", [bytes(range(16)), b"\xff" * 16]),
        ("uuid_bytes", [bytes(range(16)), None]),
        ("utc", [f"2024-02-29T00:00:00.{us:06d}Z" for us in (1, 0, 10, 999_999)]),
        ("utc", [None, "2024-02-29T23:59:59.123456Z"]),
    ],
)
def test_a_column_is_decoded_as_its_cells_are(codec: str, values: list[Any]) -> None:
    made = codec_of(codec)
    assert list(map(repr, made.values(made.fields(values)))) == list(map(repr, values))
    assert made.values([]) == []


MOMENTS = [
    "2024-02-29" + "".join(parts)
    for parts in itertools.product(
        [" ", "T"],
        ["23:59:59"],
        ["", ".5", ".123456", ".12345\u0663", ".1234567"],
        ["+00", "+01", "-00", "+00:30", ""],
        ["", " BC", "Z", "0"],
    )
]


def test_moments_of_a_column_are_those_of_its_cells() -> None:
    utc = codec_of("utc")
    assert utc.values([*MOMENTS, NULL]) == [*map(utc.decode, MOMENTS), None]


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut into blocks of whole lines."""
    lines, found = data.splitlines(keepends=True), list[bytes]()
    while lines:
        size = cuts[len(found) % len(cuts)]
        found.append(b"".join(lines[:size]))
        del lines[:size]
    return found


CUTS = st.lists(st.integers(1, 7), min_size=1, max_size=4)


@given(
    texts=st.lists(st.binary(max_size=5).map(lambda b: b.hex()), max_size=40),
    one=CUTS,
    two=CUTS,
    change=st.none() | st.integers(0, 39),
)
def test_alike_lines_are_passed_and_no_difference(
    texts: list[str], one: list[int], two: list[int], change: int | None
) -> None:
    other = list(texts)
    if change is not None and change < len(other):
        other[change] += "!"
    mine = LineReader(pieces("".join(f"{x}\n" for x in texts).encode(), one))
    theirs = LineReader(pieces("".join(f"{x}\n" for x in other).encode(), two))
    passed = pass_equal(mine, theirs)
    assert passed == len(texts) if texts == other else passed <= (change or 0)
    left, right = mine.take(2), theirs.take(2)
    assert left == texts[passed : passed + 2]
    assert right == other[passed : passed + 2]
    mine.give_back(left[1:])
    assert mine.piece().decode().split("\n")[:-1][:1] == texts[passed + 1 :][:1]


def test_an_error_of_the_source_comes_where_its_block_would() -> None:
    closed: list[bool] = []

    def blocks() -> Any:
        try:
            yield LineBlock(1, b"a\n", 1, 1)
            raise OSError("gone")
        finally:
            closed.append(True)

    ahead = Ahead(blocks())
    assert next(ahead).position == 1
    with pytest.raises(OSError, match="gone"):
        next(ahead)
    with pytest.raises(OSError, match="gone"):
        next(ahead)
    ahead.close()
    assert closed == [True]


def test_a_source_is_let_go_of_when_nobody_wants_its_blocks(tmp_path: Path) -> None:
    closed: list[bool] = []

    def endless() -> Any:
        try:
            while True:
                yield LineBlock(None, b"a\n", 1, 1)
        finally:
            closed.append(True)

    ahead = Ahead(endless())
    next(ahead)
    ahead.close()
    assert closed == [True]
    assert list(ahead) == []


def is_held_by_another(path: Path, shm: Path) -> bool:
    """Say what one learns of a file that another program has open."""
    return True


@pytest.fixture
def three_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "processors", lambda: 3)
    monkeypatch.setattr(lines, "processors", lambda: 3)
    monkeypatch.setattr(lines, "ROWS_FOR_THREADS", 1)
    rows_of_a_range(monkeypatch, 7)


def filled(path: Path, mode: str = "delete") -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, r REAL)")
    # With holes: some ranges of rowids are empty.
    found = [(i, f"text {i}\t", i / 7) for i in range(-40, 400) if i % 90 < 70]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", found)
    return connection


@pytest.mark.usefixtures("three_processors")
def test_several_threads_read_what_one_reads(tmp_path: Path) -> None:
    filled(tmp_path / "a.db").close()
    source = SqliteSource(open_source(tmp_path / "a.db"))
    try:
        (made,) = source.make_plan(silent).tables
        assert source._others  # pyright: ignore[reportPrivateUsage]
        alone = SqliteLines(source.connection, source.schema, source.surveys())
        expected = lines_of(alone.in_own_order(made, None))
        blocks = list(source.own_order(made, None))
        assert lines_of(blocks) == expected == lines_of(source.key_order(made))
        assert len(blocks) > 20
        for block in blocks[::7]:
            rest = lines_of(source.own_order(made, block.position))
            assert rest == lines_of(alone.in_own_order(made, block.position))
            assert rest.count(b"\n") < 400
        stream = source.own_order(made, None)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        names = [thread.name for thread in threading.enumerate()]
        assert not [name for name in names if name.startswith("lockstep")]
    finally:
        source.close()


@pytest.mark.usefixtures("three_processors")
def test_a_failing_thread_leaves_the_rest_to_the_exact_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / "a.db").close()
    source = SqliteSource(open_source(tmp_path / "a.db"))
    try:
        (made,) = source.make_plan(silent).tables
        expected = lines_of(source.own_order(made, None))
        whole, calls = packed.lines_of, list[int]()

        def failing(rows: Any) -> bytes:
            calls.append(len(rows))
            if len(calls) == 9:
                raise sqlite3.DataError("string or blob too big")
            return whole(rows)

        for read in (
            lambda: source.own_order(made, None),
            lambda: source.key_order(made),
        ):
            calls.clear()
            monkeypatch.setattr(packed, "lines_of", failing)
            assert lines_of(read()) == expected
            assert len(calls) >= 9
    finally:
        source.close()


@pytest.mark.usefixtures("three_processors")
def test_a_second_connection_sees_the_same_state_or_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = filled(tmp_path / "rollback.db")
    source = open_source(tmp_path / "rollback.db")
    other = source.other()
    assert other is not None
    writer.execute("PRAGMA busy_timeout = 0")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        writer.execute("DELETE FROM t")
    source.close()
    writer.execute("DELETE FROM t")
    writer.close()
    held = filled(tmp_path / "wal.db", "wal")
    monkeypatch.setattr(opening, "_is_held", is_held_by_another)
    commits = [2]

    def interrupted(connection: sqlite3.Connection) -> None:
        begin(connection)
        if commits[0]:
            commits[0] -= 1
            held.execute("DELETE FROM t WHERE id = (SELECT min(id) FROM t)")

    begin = opening._begin_reading  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(opening, "_begin_reading", interrupted)
    source = open_source(tmp_path / "wal.db")
    held.execute("DELETE FROM t WHERE id < 100")
    states = [
        connection.execute("SELECT min(id), count(*) FROM t").fetchone()
        for connection in (source.connection, source.other())
        if connection is not None
    ]
    source.close()
    assert states[1:] == states[:1], "both began before one of the commits, or after"
    assert not commits[0]
    commits[0] = 100
    source = open_source(tmp_path / "wal.db")
    assert source.other() is None, "somebody commits all the time"
    source.close()
    commits[0] = 0
    held.close()
    closed = open_source(tmp_path / "wal.db")
    assert closed.other() is not None
    closed.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rollback.db", "wal.db"]
