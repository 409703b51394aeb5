"""kill -9 at many instants: the next run goes on, and the result is the same."""

from __future__ import annotations

import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import SourceUnfinished, TargetInUse, Unmappable
from lockstep.mover import Mover, plan_to_toml
from lockstep.mover.model.results import Progress, silent
from lockstep.mover.plan.keys import KeyValues
from lockstep.mover.postgresql import rows as pg_rows
from lockstep.mover.postgresql import target as to_pg
from lockstep.mover.postgresql.session import connect
from lockstep.mover.postgresql.source import PostgresqlSource
from tests import preloaded

TABLES = ("keyed", "plain", "packed", "counted")
MakeDatabase = Callable[..., Database]
SYNCHRONOUS = b"""
    DO $$ BEGIN EXECUTE format(
        'ALTER DATABASE %I SET synchronous_commit = on', current_database()
    ); END $$
"""
WRITTEN = b"SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
FLUSHED = b"SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn"

SCRIPT = """
import os, signal, sys
from lockstep.mover import Mover
from lockstep.mover.blocks import decoding, encoding
from lockstep.mover.postgresql import journal as pg, lines, rows as pg_rows
from lockstep.mover.postgresql import packed as packed_back
from lockstep.mover.postgresql import filling
from lockstep.mover.sqlite import journal as lite, packed, rows, target as to_lite
filling.CHUNK_BYTES = to_lite.SqliteTarget.chunk_bytes = 6_000
encoding.NOTED_BYTES = 1  # as small as the chunks are
rows.BLOCK_ROWS_MAX = 60
lines.BLOCK_BYTES = packed.BLOCK_BYTES = 3_000
pg_rows.PAGES_AT_ONCE = 2
packed_back.ROWS_MAX, packed_back.ROWS_WORTH_IT = 40, 0
packed_back.KeyedTable.is_read_in_order = lambda *_: True
source, target, point, number = sys.argv[1:]
left = int(number)

def dying(function):
    def call(*args, **kwargs):
        global left
        result = function(*args, **kwargs)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

if point == "block":
    encoding.TableEncoder.block = dying(encoding.TableEncoder.block)
    packed.lines_of = dying(packed.lines_of)
    decoding.TableDecoder.values = dying(decoding.TableDecoder.values)
if point == "journal":  # the rows and their progress are written, not committed
    pg.PostgresqlJournal.advance = dying(pg.PostgresqlJournal.advance)
    lite.SqliteJournal.advance = dying(lite.SqliteJournal.advance)
if point == "created":
    pg.PostgresqlJournal.create = dying(pg.PostgresqlJournal.create)
    lite.SqliteJournal.create = dying(lite.SqliteJournal.create)
if point == "step":
    pg.PostgresqlJournal.add_step = dying(pg.PostgresqlJournal.add_step)
    lite.SqliteJournal.add_step = dying(lite.SqliteJournal.add_step)
tell = (lambda event: None)
if point in ("copy", "build", "verify"):
    def tell(event):
        global left
        if event.phase == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
result = Mover(source, target, on_progress=tell).move()
print(result.is_exact, result.resumed)
"""

KILLS = [
    *[("created", 1), ("block", 1), ("block", 4), ("journal", 1), ("copy", 1)],
    *[("copy", 3), ("block", 7), ("journal", 2), ("copy", 2), ("block", 12)],
    *[("journal", 4), ("copy", 5), ("step", 1), ("build", 2), ("step", 2)],
    *[("verify", 1), ("verify", 5)],
]


def run(source: str, target: str, point: str, number: int) -> tuple[int, str]:
    words = [sys.executable, "-c", SCRIPT, source, target, point, str(number)]
    done = preloaded.run(words)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    connection = sqlite3.connect(path)
    connection.executescript("""
        CREATE TABLE keyed (id INTEGER PRIMARY KEY, s TEXT NOT NULL, x);
        CREATE TABLE plain (a TEXT, b REAL);
        CREATE TABLE packed (k TEXT PRIMARY KEY, v INTEGER) WITHOUT ROWID;
        CREATE TABLE counted (id INTEGER PRIMARY KEY, s TEXT NOT NULL, b BLOB);
        CREATE INDEX by_s ON keyed (s);
        CREATE UNIQUE INDEX by_x ON plain (a, b);
    """)
    connection.executemany(
        "INSERT INTO keyed VALUES (?, ?, ?)",
        [(i * 3, f"text {i}", [i, str(i), i / 7, b"x"][i % 4]) for i in range(3000)],
    )
    connection.executemany(
        "INSERT INTO plain VALUES (?, ?)", [(f"l {i}", i / 3) for i in range(2000)]
    )
    connection.executemany(
        "INSERT INTO packed VALUES (?, ?)", [(f"k{i}", i) for i in range(2000)]
    )
    connection.executemany(
        "INSERT INTO counted VALUES (?, ?, ?)",
        [(i * 7, f"s{i}", b"b" * (i % 4)) for i in range(500)],
    )
    connection.commit()
    connection.close()
    return path


def status_of(url: str) -> str | None:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT to_regclass('lockstep_move.state')"
        ).fetchone()
        if found is None or found[0] is None:
            return None
        row = connection.execute("SELECT status FROM lockstep_move.state").fetchone()
        return None if row is None else str(row[0])


def test_a_killed_move_goes_on_to_postgresql(
    source: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    killed = 0
    for point, number in KILLS:
        code, _ = run(str(source), url, point, number)
        killed += code != 0
        if code != 0:
            assert status_of(url) in (None, "copying", "copied")
    assert killed >= 12, "the kills came too late to prove anything"
    code, output = run(str(source), url, "none", 0)
    assert (code, output.strip()) == (0, "True True")
    assert status_of(url) == "verified"
    for table in TABLES:
        expected = checker.sqlite_rows(source, table)
        assert checker.postgresql_rows(url, table) == expected


def test_a_killed_move_goes_on_to_sqlite(
    source: Path, tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    assert Mover(source, url).move().is_exact
    back = tmp_path / "back.db"
    killed = 0
    for point, number in KILLS:
        code, _ = run(url, str(back), point, number)
        killed += code != 0
    assert killed >= 12
    code, output = run(url, str(back), "none", 0)
    assert (code, output.split()[0]) == (0, "True")
    for table in TABLES:
        expected = checker.typed_rows(source, table)
        assert checker.typed_rows(back, table) == expected
    with closing(sqlite3.connect(back)) as connection, connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
    connection.close()
    assert not [name for name in names if name.startswith("lockstep")]


def test_nothing_goes_on_from_what_is_half_filled(
    source: Path, tmp_path: Path, make_database: MakeDatabase
) -> None:
    url, other = (make_database("postgresql").url.unmasked() for _ in range(2))
    back = tmp_path / "back.db"
    for origin, half, beyond in ((source, url, back), (url, back, other)):
        assert run(str(origin), str(half), "journal", 2)[0] != 0
        with pytest.raises(SourceUnfinished, match="has not ended"):
            Mover(half, beyond).move()
        assert Mover(origin, half).move().is_exact
    assert Mover(back, other).move().is_exact


def test_after_a_change_of_the_source_only_changed_tables_are_copied_again(
    source: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    assert run(str(source), url, "journal", 24)[0] != 0
    marks = "SELECT min(xmin::text::bigint) FROM "
    with psycopg.connect(url) as connection:
        done = connection.execute(
            "SELECT table_name FROM lockstep_move.progress WHERE is_done"
        ).fetchall()
        before = [connection.execute(f"{marks}{t}".encode()).fetchone() for t in TABLES]
    assert {"keyed", "plain"} <= {name for (name,) in done}
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("UPDATE plain SET b = b + 1 WHERE rowid = 1000")
        connection.execute("DELETE FROM packed WHERE k = 'k7'")
    connection.close()
    result = Mover(source, url).move()
    assert (result.is_exact, result.resumed) == (True, True)
    for table in TABLES:
        expected = checker.sqlite_rows(source, table)
        assert checker.postgresql_rows(url, table) == expected
    with psycopg.connect(url) as connection:
        after = [connection.execute(f"{marks}{t}".encode()).fetchone() for t in TABLES]
    is_as_before = [one == two for one, two in zip(before, after, strict=True)]
    assert is_as_before == [True, False, False, False]


ODD = """
    CREATE TABLE part (id INTEGER PRIMARY KEY, n INTEGER CHECK (n > 0), s TEXT);
    CREATE VIEW many AS SELECT id, s FROM part WHERE n > 5;
    CREATE VIRTUAL TABLE words USING fts5 (w);
    INSERT INTO part VALUES (1, 7, 'a'), (2, 8, 'b');
    INSERT INTO words VALUES ('some words');
    PRAGMA ignore_check_constraints = 1;
    INSERT INTO part VALUES (3, -1, 'c');
"""


class Interrupted(Exception):
    """What ends a move from within."""


def interrupted(one: str | Path, two: str | Path, phase: str) -> None:
    """Move until something of a phase is done."""

    def tell(event: Progress) -> None:
        if event.phase == phase:
            raise Interrupted

    with pytest.raises(Interrupted):
        Mover(one, two, on_progress=tell).move()


def test_what_the_target_refused_is_told_by_the_run_that_goes_on_too(
    tmp_path: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the plan had not foreseen it.
    def nothing(*_: object) -> int:
        return 0

    monkeypatch.setattr(KeyValues, "against", nothing)
    path, url = tmp_path / "a.db", make_database("postgresql").url.unmasked()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(ODD)
    interrupted(path, url, "verify")
    result = Mover(path, url).move()
    assert (result.is_exact, result.resumed) == (True, True)
    (refused,) = result.not_built
    assert (refused.kind, refused.name) == ("check", "ck_part_n")
    assert "holds for new rows only" in refused.why


@pytest.mark.parametrize("phase", ["copy", "build", "verify"])
def test_after_a_change_of_the_schema_everything_begins_anew(
    phase: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = tmp_path / "a.db", tmp_path / "back.db"
    url = make_database("postgresql").url.unmasked()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(ODD)
    interrupted(path, url, phase)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE part ADD COLUMN more TEXT DEFAULT 'x'")
    result = Mover(path, url).move()
    assert (result.is_exact, result.resumed) == (True, False)
    interrupted(url, back, phase)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"ALTER TABLE part ADD COLUMN again integer DEFAULT 4")
        expected = connection.execute(b"SELECT * FROM part ORDER BY id").fetchall()
    result = Mover(url, back).move()
    assert (result.is_exact, result.resumed) == (True, False)
    with closing(sqlite3.connect(back)) as connection:
        assert connection.execute("SELECT * FROM part").fetchall() == expected
        assert connection.execute("SELECT s FROM many").fetchall() == [("a",), ("b",)]
        assert connection.execute("SELECT w FROM words").fetchall() == [("some words",)]


def test_a_changed_server_is_followed_into_the_file(
    source: Path, tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    assert Mover(source, url).move().is_exact
    back = tmp_path / "back.db"
    assert run(url, str(back), "journal", 24)[0] != 0
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(b"UPDATE packed SET v = -1 WHERE k = 'k7'")
        other.execute(b"DELETE FROM plain WHERE a = 'l 9'")
    result = Mover(url, back).move()
    assert (result.is_exact, result.resumed) == (True, True)
    for table in TABLES:
        assert checker.sqlite_rows(back, table) == checker.postgresql_rows(url, table)


def test_rows_without_a_key_are_read_on_from_any_run_of_pages(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_rows, "PAGES_AT_ONCE", 3)
    url = make_database("postgresql").url
    with psycopg.connect(url.unmasked(), autocommit=True) as connection:
        connection.execute(
            b"CREATE TABLE t (a text, b int); CREATE TABLE heir () INHERITS (t);"
            b"INSERT INTO t SELECT repeat(g::text, 50), g FROM generate_series(1, 2000) g;"
            b"INSERT INTO heir VALUES ('only here', 0)"
        )
    reading = PostgresqlSource(url)
    try:
        plan = reading.make_plan(silent)
        table = plan.table("t")
        blocks = [(b.position, b.text) for b in reading.own_order(table, None)]
        assert len({position for position, _ in blocks}) > 3
        for place, (position, _) in enumerate(blocks):
            if position is None:
                continue
            rest = "".join(b.text for b in reading.own_order(table, position))
            assert rest == "".join(text for _, text in blocks[place + 1 :])
        assert "".join(text for _, text in blocks).count("\n") == 2000
        assert plan.table("heir").rows == 1
    finally:
        reading.close()


def test_what_is_not_ours_is_not_touched(
    source: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"CREATE TABLE plain (mine text)")
        connection.execute(b"INSERT INTO plain VALUES ('kept')")
    with pytest.raises(TargetInUse):
        Mover(source, url).move()
    with psycopg.connect(url) as connection:
        assert connection.execute(b"SELECT mine FROM plain").fetchall() == [("kept",)]
        found = connection.execute(b"SELECT to_regclass('keyed')").fetchone()
    assert found == (None,)


def test_a_mapping_file_decides_about_dirt(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = tmp_path / "dirty.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("""
            CREATE TABLE t (id INTEGER PRIMARY KEY, qty INTEGER, at INTEGER);
            INSERT INTO t VALUES (1, 5, 1700000000000), (2, 'lots', 1700000000001),
              (3, '', 1700000000002), (4, 7, 1700000000003);
        """)
    connection.close()
    url = make_database("postgresql").url.unmasked()
    text = plan_to_toml(Mover(path, url).plan())
    assert 'codec = "mixed_text"' in text
    strict = text.replace(
        'type = "text", codec = "mixed_text"', 'type = "bigint", codec = "integer"'
    )
    with pytest.raises(Unmappable) as caught:
        Mover(path, url, plan=strict).move()
    assert (caught.value.detail["column"], caught.value.detail["key"]) == ("qty", "2")
    wanted = strict.replace(
        'codec = "integer" }', 'codec = "integer", on_dirt = "coerce" }', 2
    )
    wanted = wanted.replace(
        '"at" = { target = "at", type = "bigint", codec = "integer", on_dirt = "coerce"',
        '"at" = { target = "at", type = "timestamptz", codec = "epoch:ms"',
    )
    rejects = tmp_path / "rejects.jsonl"
    result = Mover(path, url, plan=wanted, quarantine=rejects).move()
    assert result.quarantined == 1
    assert not result.is_exact
    line = rejects.read_text()
    assert '"lots"' in line.replace("'", '"')
    assert '"column": "qty"' in line
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            b"SELECT id, qty, extract(epoch FROM at) * 1000 FROM t ORDER BY id"
        ).fetchall()
    assert [tuple(map(str, row)) for row in rows] == [
        ("1", "5", "1700000000000.000000"),
        ("3", "None", "1700000000002.000000"),
        ("4", "7", "1700000000003.000000"),
    ]


def test_a_move_that_has_just_ended_is_waited_for_and_a_running_one_is_not(
    tmp_path: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (n INTEGER)")
    connection.close()
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (to_pg.LOCK_KEY,))
        monkeypatch.setattr(to_pg, "LOCK_WAIT_S", 0.1)
        with pytest.raises(TargetInUse, match="another move"):
            Mover(path, url).move()
        monkeypatch.setattr(to_pg, "LOCK_WAIT_S", 30)
        ending = threading.Timer(0.3, other.close)
        ending.start()
        assert Mover(path, url).move().is_exact
        ending.join()


def test_the_word_that_a_move_is_complete_waits_for_the_disk(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(SYNCHRONOUS)  # a server of the tests does not wait by itself
    with closing(to_pg.PostgresqlTarget(connect(DatabaseUrl.parse(url)))) as target:
        target.lock()
        with psycopg.connect(url, autocommit=True) as other:
            for _ in range(5):
                before = other.execute(WRITTEN).fetchall()
                target.journal.set_status("verified")
                assert other.execute(FLUSHED).fetchall() > before
