"""P3: a writer inside its deadline is never told that the file is busy."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.contrib.pytest.faults import KillAfter, LockHolder
from lockstep.engine import Database

CREATE = "CREATE TABLE part (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)"
COUNT = sa.text("SELECT n FROM part")


def prepare(db: Database) -> None:
    with db.write_session() as session:
        session.execute(sa.text(CREATE))
        session.execute(sa.text("INSERT INTO part VALUES (1, 0)"))


def read_then_write(db: Database) -> None:
    """The pattern that fails at once in a deferred transaction."""
    with db.write_session() as session:
        n = session.scalar(
            sa.text("SELECT n FROM part FOR UPDATE")
            if db.dialect_name == "postgresql"
            else COUNT
        )
        session.execute(sa.text("UPDATE part SET n = :n"), {"n": n + 1})


def counted(db: Database) -> int:
    with db.read_session() as session:
        return session.scalar(COUNT) or 0


def test_threads_that_read_then_write_lose_nothing(db: Database) -> None:
    prepare(db)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                read_then_write(db)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert counted(db) == 200


_WRITER = """
import sys, threading
import sqlalchemy as sa
from lockstep.engine import Database
db = Database(sys.argv[1])
def work():
    for _ in range(10):
        with db.write_session() as session:
            n = session.scalar(sa.text("SELECT n FROM part"))
            session.execute(sa.text("UPDATE part SET n = :n"), {"n": n + 1})
threads = [threading.Thread(target=work) for _ in range(5)]
[t.start() for t in threads]
[t.join() for t in threads]
db.close()
"""


@pytest.mark.engines("sqlite")
def test_processes_that_read_then_write_lose_nothing(db: Database, db_url: str) -> None:
    prepare(db)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, db_url], stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    assert [writer.communicate()[1] for writer in writers] == [""] * 4
    assert counted(db) == 4 * 5 * 10


@pytest.mark.engines("sqlite")
def test_every_connection_has_the_same_pragmas(make_database: MakeDatabase) -> None:
    """Pragmas are per connection: set once, a pool of three had 1, 0, 0."""
    db = make_database("sqlite", sqlite={"busy_timeout_s": 1.5, "cache_size_kib": 512})
    prepare(db)
    wanted = {
        "foreign_keys": 1,
        "busy_timeout": 1500,
        "synchronous": 2,
        "cache_size": -512,
        "journal_mode": "wal",
        "query_only": 0,
    }

    def pragmas(connection: sa.Connection) -> dict[str, object]:
        return {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in wanted
        }

    reading = db.engine.execution_options(lockstep_access="read")
    with reading.connect() as one, reading.connect() as two, reading.connect() as three:
        for connection in (one, two, three):
            assert pragmas(connection) == {**wanted, "query_only": 1}
    for _ in range(3):
        with db.engine.connect() as connection:
            assert pragmas(connection) == wanted

    async def look() -> dict[str, object]:
        async with db.async_engine.connect() as connection:
            return await connection.run_sync(pragmas)

    assert asyncio.run(look()) == wanted


@pytest.mark.engines("sqlite")
def test_a_waiting_writer_gets_its_turn_when_the_other_process_ends(
    db: Database, lock_holder: LockHolder
) -> None:
    prepare(db)
    started = threading.Event()

    def write() -> None:
        started.set()
        read_then_write(db)

    thread = threading.Thread(target=write)
    with lock_holder(db):
        thread.start()
        started.wait()
        thread.join(0.3)
        assert thread.is_alive(), "it waits"
    thread.join()
    assert counted(db) == 1


@pytest.mark.engines("sqlite")
def test_a_hundred_writers_are_served_in_turn(make_database: MakeDatabase) -> None:
    """SQLite's own waiting lets others come hundreds of times before the slowest."""
    db = make_database("sqlite", pool={"size": 100, "timeout_s": 60})
    prepare(db)
    served = 0
    before_me: list[int] = []

    def work() -> None:
        nonlocal served
        for _ in range(5):
            came = served
            with db.write_session() as session:
                session.execute(sa.text("UPDATE part SET n = n + 1"))
                # One writer at a time is here.
                before_me.append(served - came)
                served += 1

    threads = [threading.Thread(target=work) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(db) == served == 500
    # Each other thread once; some may come twice before one is in the queue.
    assert max(before_me) < 150


_HALF_DONE = """
import sys
import sqlalchemy as sa
from lockstep.contrib.pytest.faults import reach
from lockstep.engine import Database
db = Database(sys.argv[1])
with db.write_session() as session:
    session.execute(sa.text("UPDATE part SET n = n + 1"))
print("acknowledged", flush=True)
with db.write_session() as session:
    session.execute(sa.text("UPDATE part SET n = n + 100"))
    reach("half done")
"""


def test_a_killed_writer_leaves_what_it_committed(
    db: Database, db_url: str, kill_after: KillAfter
) -> None:
    prepare(db)
    output = kill_after(_HALF_DONE, db_url, point="half done")
    assert output == "acknowledged\n"
    assert counted(db) == 1
    read_then_write(db)  # and holds nobody up
    assert counted(db) == 2


_FOR_EVER = """
import sys
import sqlalchemy as sa
from lockstep.engine import Database
db = Database(sys.argv[1])
while True:
    with db.write_session() as session:
        session.execute(sa.text("UPDATE part SET n = n + 1"))
    print(".", end="", flush=True)
"""


def test_no_acknowledged_write_is_lost_by_a_kill(
    db: Database, db_url: str, kill_after: KillAfter
) -> None:
    prepare(db)
    acknowledged = 0
    for delay_s in (0.1, 0.2, 0.35):
        acknowledged += len(kill_after(_FOR_EVER, db_url, delay_s=delay_s))
    assert acknowledged > 0
    # The last commit of each round may have come after its last word.
    assert acknowledged <= counted(db) <= acknowledged + 3
    if db.dialect_name == "sqlite":
        with db.read_session() as session:
            assert session.scalar(sa.text("PRAGMA integrity_check")) == "ok"
