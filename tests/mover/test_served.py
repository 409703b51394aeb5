"""A libSQL server on either side: word for word, in one state, and resumable."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.mover import checker
from tests.mover.quirks import make

from lockstep.engine import Database
from lockstep.engine.hrana import dbapi
from lockstep.errors import (
    ConfigError,
    ConnectionLost,
    SourceChanged,
    TargetInUse,
    Unmappable,
)
from lockstep.mover import Mover, inspect_database
from lockstep.mover.sqlite import served
from lockstep.mover.sqlite.served import ServedSnapshot
from tests import preloaded

MakeDatabase = Callable[..., Database]

WORD_FOR_WORD = [
    *("everything_in_one_column", "invalid_utf8", "nul_in_text", "infinity"),
    *("wide_integers", "full_text", "rtree", "generated_columns", "without_rowid"),
    *("autoincrement_empty", "shadowed_rowid", "views_and_triggers", "names"),
    *("orphans", "strict_any", "null_in_key", "circular_keys", "number_and_its_text"),
]


def statements_of(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        ).fetchall()


def cells_of(path: Path) -> dict[str, list[str]]:
    """Every cell of every table with its class, and the rowid where one is seen."""
    found: dict[str, list[str]] = {}
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = checker.Bytes
        tables = connection.execute(
            "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' "
            "AND type IN ('table', 'virtual') AND name <> 'sqlite_schema'"
        ).fetchall()
        for name, has_no_rowid in tables:
            table = name.decode()
            columns = "*" if has_no_rowid else "rowid, *"
            rows = connection.execute(f'SELECT {columns} FROM "{table}"').fetchall()
            cells = [[(type(v).__name__, v) for v in row] for row in rows]
            found[table] = sorted(map(repr, cells))
    return found


@pytest.mark.parametrize("name", WORD_FOR_WORD)
def test_there_and_back_is_word_for_word(
    name: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = make(name, tmp_path / "source.db"), tmp_path / "back.db"
    url = make_database("libsql").url.unmasked()
    there = Mover(path, url).move()
    assert there.is_exact
    assert not there.plan.losses
    assert not there.not_built
    assert Mover(path, url).verify().is_same
    returned = Mover(url, back).move()
    assert returned.is_exact
    assert statements_of(back) == statements_of(path)
    assert cells_of(back) == cells_of(path)


def test_a_counter_behind_its_rows_stays_where_it_is(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = tmp_path / "source.db", tmp_path / "back.db"
    checker.made(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT);"
        "INSERT INTO t VALUES (7); UPDATE sqlite_sequence SET seq = 3;",
    )
    url = make_database("libsql").url.unmasked()
    assert Mover(path, url).move().is_exact
    assert Mover(url, back).move().is_exact
    assert checker.typed_rows(back, "sqlite_sequence") == checker.typed_rows(
        path, "sqlite_sequence"
    )


@pytest.fixture
def filled(make_database: MakeDatabase) -> Iterator[tuple[str, dbapi.Connection]]:
    url = make_database("libsql").url
    with closing(dbapi.connect(url.http_url, autocommit=True)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        connection.execute("CREATE TABLE p (k TEXT, n INT, PRIMARY KEY (k, n))")
        connection.execute(
            "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c "
            "WHERE i < 1500) INSERT INTO t SELECT i, 'text ' || i FROM c"
        )
        connection.execute("INSERT INTO p SELECT 'k' || id % 7, id FROM t")
        yield url.unmasked(), connection


def test_server_and_postgresql(
    filled: tuple[str, dbapi.Connection], tmp_path: Path, make_database: MakeDatabase
) -> None:
    url, connection = filled
    connection.execute("INSERT INTO t VALUES (?, ?)", (2**63 - 1, b"\x00\xff"))
    connection.execute("INSERT INTO t VALUES (?, CAST(? AS TEXT))", (-1, b"\xff\0"))
    postgresql = make_database("postgresql").url.unmasked()
    assert Mover(url, postgresql).move().is_exact
    assert Mover(url, postgresql).verify().is_same
    other = make_database("libsql").url
    assert Mover(postgresql, other.unmasked()).move().is_exact
    assert Mover(other.unmasked(), tmp_path / "end.db").move().is_exact
    assert Mover(url, tmp_path / "direct.db").move().is_exact
    assert cells_of(tmp_path / "end.db") == cells_of(tmp_path / "direct.db")


def test_rows_that_come_while_it_reads_are_not_of_its_state(
    filled: tuple[str, dbapi.Connection], tmp_path: Path
) -> None:
    url, connection = filled
    written: list[str] = []

    def write(event: Any) -> None:
        if event.phase == "copy" and not written:
            written.append("once")
            connection.execute("INSERT INTO t VALUES (999999, 'late')")
            connection.execute("DELETE FROM p")

    assert Mover(url, tmp_path / "a.db", on_progress=write).move().is_exact
    with closing(sqlite3.connect(tmp_path / "a.db")) as copy:
        counts = copy.execute(
            "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM p)"
        ).fetchone()
    assert written
    assert counts == (1500, 1500)


@pytest.mark.parametrize("writes", [False, True])
def test_a_stream_that_the_server_ends(
    writes: bool, filled: tuple[str, dbapi.Connection], tmp_path: Path
) -> None:
    """It is taken up again where nobody wrote; else nothing is mixed."""
    url, connection = filled
    lost: list[ServedSnapshot] = []
    page = ServedSnapshot.execute

    def losing(self: ServedSnapshot, sql: str, parameters: Any = ()) -> Any:
        if "LIMIT" in sql and self._driver.in_transaction and not lost:
            lost.append(self)
            self._driver.conversation._wire.baton = "no stream has this baton"
            if writes:
                connection.execute("UPDATE t SET x = 'changed'")
        return page(self, sql, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ServedSnapshot, "execute", losing)
        if writes:
            with pytest.raises(SourceChanged) as caught:
                Mover(url, tmp_path / "a.db").move()
            assert caught.value.retryable
        else:
            assert Mover(url, tmp_path / "a.db").move().is_exact
    assert lost


def test_a_snapshot_that_nobody_asks_is_kept_alive(
    filled: tuple[str, dbapi.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lockstep.engine.urls import DatabaseUrl

    monkeypatch.setattr(served, "BEAT_S", 0.02)
    with closing(ServedSnapshot(DatabaseUrl.parse(filled[0]))) as snapshot:
        baton = snapshot._driver.conversation._wire.baton
        for _ in range(200):
            if snapshot._driver.conversation._wire.baton != baton:
                break
            snapshot._ended.wait(0.02)
        assert snapshot._driver.conversation._wire.baton != baton, "nothing was said"
        heart = snapshot._heart
    assert not heart.is_alive()


KILLING = """
import os, signal, sqlite3, sys
from lockstep.mover import Mover
from lockstep.mover.blocks import encoding
from lockstep.mover.sqlite import journal, pages, rows, target
from lockstep.mover.sqlite.served_target import ServedTarget
target.SqliteTarget.chunk_bytes = ServedTarget.chunk_bytes = 12_000
rows.BLOCK_ROWS_MAX = 200
source, to, *points = sys.argv[1:]

def dying(function, left):
    def call(*args, **kwargs):
        nonlocal left
        result = function(*args, **kwargs)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

for point in points:
    name, number = point.split("=")
    if name == "change":
        with sqlite3.connect(source) as changing:
            changing.execute("DELETE FROM t WHERE rowid = " + number)
        changing.close()
        continue
    child = os.fork()
    if child == 0:
        if name == "block":
            encoding.TableEncoder.block = dying(encoding.TableEncoder.block, int(number))
        else:
            made = dying(getattr(journal.SqliteJournal, name), int(number))
            setattr(journal.SqliteJournal, name, made)
        Mover(source, to).move()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
result = Mover(source, to).move()
print(result.is_exact, result.resumed)
"""
POINTS = {
    False: ["create=1", "block=2", "advance=2", "set_status=1"],
    # A server keeps a killed writer's lock for five seconds.
    True: ["advance=2", "change=3", "set_status=1"],
}


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="kills by fork")
@pytest.mark.parametrize("to_server", [False, True])
def test_a_killed_move_goes_on(
    to_server: bool,
    filled: tuple[str, dbapi.Connection],
    tmp_path: Path,
    make_database: MakeDatabase,
) -> None:
    url = filled[0]
    source, target = url, str(tmp_path / "target.db")
    if to_server:
        source, target = str(tmp_path / "source.db"), make_database("libsql").url
        assert Mover(url, source).move().is_exact
        target = target.unmasked()
    words = [sys.executable, "-c", KILLING, source, target, *POINTS[to_server]]
    done = preloaded.run(words)
    assert done.returncode == 0, done.stderr
    *codes, last = done.stdout.split("\n")[:-1]
    assert set(codes) == {"-9"}
    assert last == "True True"
    expected = tmp_path / "source.db"
    if to_server:
        assert Mover(target, tmp_path / "target.db").move().is_exact
        with closing(sqlite3.connect(expected)) as changed:
            gone = "SELECT count(*) FROM t WHERE rowid = 3"
            assert changed.execute(gone).fetchone() == (0,)
    else:
        assert Mover(url, expected).move().is_exact
    assert cells_of(tmp_path / "target.db") == cells_of(expected)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("violated_check", "contradict CHECK"),
        ("unknown_collation", "the collation odd"),
        ("large_values", r"a row of 7,500,001 bytes.*: \w+ where \w+ = \d+ \([\d,]+ b"),
    ],
)
def test_what_a_server_cannot_hold_is_said_before_a_byte_moves(
    name: str, words: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = make(name, tmp_path / "source.db")
    url = make_database("libsql").url
    with pytest.raises(Unmappable, match=words):
        Mover(path, url.unmasked()).move()
    with closing(dbapi.connect(url.http_url)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert names == []


def test_so_is_a_long_row_of_postgresql(make_database: MakeDatabase) -> None:
    url, server = (make_database(name).url for name in ("postgresql", "libsql"))
    with psycopg.connect(url.unmasked(), autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE a (n integer); CREATE TABLE t (d jsonb, b bytea);"
            "INSERT INTO t SELECT jsonb_build_array(repeat('x', 2000000)), "
            "decode(repeat('00', 6000000), 'hex')"
        )
    with pytest.raises(Unmappable, match="t has a row of 8,000,004 bytes"):
        Mover(url.unmasked(), server.unmasked()).move()
    with closing(dbapi.connect(server.http_url)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_rows_that_are_too_large_for_one_answer_come_one_by_one(
    filled: tuple[str, dbapi.Connection], tmp_path: Path
) -> None:
    url, connection = filled
    # A NUL of a text is six bytes of JSON: one row alone is too much as text.
    for number in range(6):
        text = chr(0) * 2_500_000 if number == 3 else "x" * 4_000_000
        connection.execute("INSERT INTO t VALUES (?, ?)", (10_000 + number, text))
    assert Mover(url, tmp_path / "a.db").move().is_exact


def test_a_server_is_inspected_and_a_difference_is_named(
    filled: tuple[str, dbapi.Connection], tmp_path: Path
) -> None:
    url, connection = filled
    connection.execute("INSERT INTO t VALUES (0, CAST(x'ff' AS TEXT))")
    seen = inspect_database(url)
    assert seen.dialect == "libsql"
    kinds = {(finding.kind, finding.where) for finding in seen.findings}
    assert ("invalid text", "t.x") in kinds
    Mover(url, tmp_path / "a.db").move()
    connection.execute("UPDATE t SET x = 'text 8' || char(0) WHERE id = 8")
    connection.execute("CREATE TABLE new (a)")
    report = Mover(url, tmp_path / "a.db").verify()
    found = [(d.kind, d.table, d.key, d.column) for d in report.differences]
    assert found == [("missing table", "new", "", ""), ("cell", "t", "8", "x")]


def test_a_target_with_rows_of_its_own_is_not_touched(
    filled: tuple[str, dbapi.Connection], tmp_path: Path
) -> None:
    url, connection = filled
    make("rowid_alias", tmp_path / "a.db")
    with pytest.raises(TargetInUse):
        Mover(tmp_path / "a.db", url).move()
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (1500,)


def test_a_server_is_not_moved_into_itself(
    filled: tuple[str, dbapi.Connection],
) -> None:
    with pytest.raises(ConfigError, match="the same database"):
        Mover(filled[0], filled[0]).move()


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConnectionLost):
        Mover("http://127.0.0.1:9", tmp_path / "a.db").move()
