"""Others who write while a move runs, or between a kill and the run that goes on.

Never a mixture of two states, never a row that is not the source's, never rows of
somebody else taken away; whoever has to stop is told why.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.engine.postgresql import NOTICE_A_DEAD_SERVER
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import ConnectionLost, TargetInUse, UnreadableJournal
from lockstep.mover import Mover
from lockstep.mover.failures import told
from lockstep.mover.model.results import Progress
from lockstep.mover.postgresql.lines import PostgresqlLines
from lockstep.mover.postgresql.session import connect
from lockstep.mover.sqlite import opening
from lockstep.mover.sqlite.target import SqliteTarget
from tests import preloaded

MakeDatabase = Callable[..., Database]


class Interrupted(Exception):
    """What ends a move from within."""


def at(phase: str, table: str, act: Callable[[], Any]) -> Callable[[Progress], None]:
    """Return a callback that acts once, when a phase has done something of a table."""
    done: list[str] = []

    def tell(event: Progress) -> None:
        if (event.phase, event.table) == (phase, table) and not done:
            done.append(table)
            act()

    return tell


def stop() -> None:
    raise Interrupted


def interrupted(one: str | Path, two: str | Path, phase: str, table: str) -> None:
    with pytest.raises(Interrupted):
        Mover(one, two, on_progress=at(phase, table, stop)).move()


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Two tables whose sums are the same in every state of the file."""
    return checker.made(
        tmp_path / "pair.db",
        "CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER);"
        "CREATE TABLE b (n INTEGER); CREATE INDEX by_n ON b (n);"
        "INSERT INTO a VALUES (1, 0), (2, 0); INSERT INTO b VALUES (0), (0);",
    )


CHANGE = b"UPDATE a SET n = n + 1; UPDATE b SET n = n + 1"


def on_postgresql(url: str, sql: bytes) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql)


def sums(path: Path) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        sql = "SELECT (SELECT sum(n) FROM a), (SELECT sum(n) FROM b)"
        return connection.execute(sql).fetchone()


@pytest.mark.parametrize("engine", ["sqlite", "libsql"])
@pytest.mark.parametrize("phase", ["copy", "build", "verify"])
def test_a_run_that_another_one_overtakes_writes_nothing_more(
    engine: str, phase: str, pair: Path, tmp_path: Path, make_database: MakeDatabase
) -> None:
    source: str | Path = pair
    if engine == "sqlite":
        source = make_database("postgresql").url.unmasked()
        assert Mover(pair, source).move().is_exact
    target = make_database(engine).url.unmasked()

    def overtake() -> None:
        assert Mover(source, target).move().is_exact

    name = "by_n" if phase == "build" else "a"
    first = Mover(source, target, on_progress=at(phase, name, overtake))
    with pytest.raises(TargetInUse, match="another run"):
        first.move()
    assert Mover(pair, target).verify().is_same
    assert Mover(source, target).move().is_exact, "it is whole, and needs nothing more"


def test_a_transaction_that_was_open_then_is_no_part_of_what_is_gone_on_with(
    pair: Path, tmp_path: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    assert Mover(pair, url).move().is_exact
    with psycopg.connect(url) as open_then:
        open_then.execute(CHANGE)
        on_postgresql(url, b"CREATE TABLE later (n int)")  # ends, and is a later one
        interrupted(url, tmp_path / "back.db", "copy", "a")
    assert Mover(url, tmp_path / "back.db").move().is_exact
    assert sums(tmp_path / "back.db") == (2, 2)


def test_a_commit_while_a_file_is_opened_is_no_part_either(
    pair: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database("postgresql").url.unmasked()
    look = opening.find_unparsable
    with closing(sqlite3.connect(pair)) as writer:
        writer.execute("PRAGMA journal_mode = wal")
        writer.execute("UPDATE a SET n = 0")
        writer.commit()

        def written_meanwhile(connection: sqlite3.Connection) -> Any:
            writer.executescript(CHANGE.decode())  # behind the reader's first read
            return look(connection)

        monkeypatch.setattr(opening, "find_unparsable", written_meanwhile)
        interrupted(pair, url, "copy", "a")
        monkeypatch.undo()
        assert Mover(pair, url).move().is_exact


@pytest.mark.parametrize("sql", [b"TRUNCATE b", b"ALTER TABLE b ALTER n TYPE text"])
def test_no_table_is_emptied_under_a_snapshot_that_goes_on(
    sql: bytes,
    pair: Path,
    tmp_path: Path,
    make_database: MakeDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, back = make_database("postgresql").url.unmasked(), tmp_path / "back.db"
    assert Mover(pair, url).move().is_exact
    interrupted(url, back, "copy", "a")
    fill = SqliteTarget.fill

    def meddled(self: SqliteTarget, *arguments: Any) -> Any:
        with pytest.raises(psycopg.errors.LockNotAvailable):
            on_postgresql(url, b"SET lock_timeout = 50;" + sql)
        return fill(self, *arguments)

    monkeypatch.setattr(SqliteTarget, "fill", meddled)
    result = Mover(url, back).move()
    assert (result.is_exact, result.resumed) == (True, True)
    assert checker.typed_rows(back, "b") == checker.typed_rows(pair, "b")


@pytest.mark.parametrize("phase", ["copy", "verify"])
def test_a_table_that_somebody_dropped_is_filled_anew(
    phase: str, pair: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    interrupted(pair, url, phase, "a")
    on_postgresql(url, b"DROP TABLE a")
    assert Mover(pair, url).move().is_exact
    assert checker.postgresql_rows(url, "a") == checker.sqlite_rows(pair, "a")


def test_a_target_that_came_out_different_is_never_emptied(
    pair: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    interrupted(pair, url, "build", "by_n")
    on_postgresql(url, b"INSERT INTO b VALUES (9)")
    for _ in range(2):
        result = Mover(pair, url).move()
        assert result.verification
        assert result.verification.difference_count == 1
    with closing(sqlite3.connect(pair)) as writer, writer:
        writer.execute("UPDATE a SET n = 5")
    with pytest.raises(TargetInUse, match="was filled by a move"):
        Mover(pair, url).move()
    assert (b"9",) in checker.postgresql_rows(url, "b")


def test_the_journal_of_another_version_is_told_of(
    pair: Path, make_database: MakeDatabase, tmp_path: Path
) -> None:
    url = make_database("postgresql").url.unmasked()
    interrupted(pair, url, "copy", "a")
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(b"SELECT plan FROM lockstep_move.state").fetchone()
        assert row is not None
        for plan in ({**json.loads(row[0]), "of_tomorrow": 1}, {}):
            connection.execute(
                b"UPDATE lockstep_move.state SET plan = %s", (json.dumps(plan),)
            )
            for one, two in ((pair, url), (url, tmp_path / "back.db")):
                with pytest.raises(UnreadableJournal, match="another version"):
                    Mover(one, two).move()


def test_both_ends_notice_when_the_other_is_gone(make_database: MakeDatabase) -> None:
    url = make_database("postgresql").url
    with closing(connect(url)) as connection:
        said = connection.info.get_parameters()
        asked = connection.execute(b"SHOW client_connection_check_interval").fetchone()
    assert said.items() >= {k: str(v) for k, v in NOTICE_A_DEAD_SERVER.items()}.items()
    assert asked == ("1s",)
    slower = DatabaseUrl.parse(f"{url.unmasked()}&connect_timeout=77")
    with closing(connect(slower)) as connection:
        assert connection.info.get_parameters()["connect_timeout"] == "77"


def test_what_an_administrator_set_changes_nothing(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    first, again = (make_database("postgresql").url.unmasked() for _ in range(2))
    on_postgresql(
        first,
        rb"""CREATE TABLE t (a text[], b bytea, s text CHECK (s <> 'a\b''c'));
        INSERT INTO t VALUES ('{NULL,"NULL"}', '\x00ff', 'a\b');
        CREATE VIEW v AS SELECT s FROM t""",
    )
    for url in (first, again):
        for setting in (
            *("array_nulls = off", "quote_all_identifiers = on"),
            *("standard_conforming_strings = off", "idle_session_timeout = 100"),
        ):
            on_postgresql(
                url,
                b"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET "
                + f"{setting}', current_database()); END $$".encode(),
            )
    file = tmp_path / "a.db"
    wait = at("inspect", "t", lambda: time.sleep(0.3))
    result = Mover(first, file, on_progress=wait).move()
    assert (result.is_exact, result.plan.losses) == (True, [])
    with closing(sqlite3.connect(file)) as connection, connection:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("INSERT INTO t (s) VALUES (?)", ("a\\b'c",))
        row = connection.execute("SELECT * FROM t, v").fetchone()
    assert row == ('{NULL,"NULL"}', b"\0\xff", "a\\b", "a\\b")
    wait = at("inspect", "t", lambda: time.sleep(0.3))
    assert Mover(file, again, on_progress=wait).move().is_exact
    with psycopg.connect(again) as there:
        assert there.execute("SELECT a FROM t").fetchone() == ([None, "NULL"],)


def test_a_connection_that_is_lost_between_two_tables_is_told_as_such(
    make_database: MakeDatabase,
) -> None:
    url = make_database("postgresql").url
    with closing(connect(url)) as connection:
        with socket.socket(fileno=os.dup(connection.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ConnectionLost), told(""):
            list(PostgresqlLines(connection).read("pg_class", ["oid"]))


DYING = """
import os, signal, sys, threading
from lockstep.mover import Mover
from lockstep.mover.postgresql.target import PostgresqlTarget

def asleep(self, statement):
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()
    self._run("SELECT pg_sleep(60)")

PostgresqlTarget._build = asleep
Mover(*sys.argv[1:]).move()
"""


def test_a_killed_move_whose_statement_still_runs_is_gone_on_with(
    pair: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    killed = preloaded.run([sys.executable, "-c", DYING, str(pair), url])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert Mover(pair, url).move().is_exact
