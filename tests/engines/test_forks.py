"""What a forked child may do with a SQLite file that its parent uses."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine import Database, Unit, forks

pytestmark = [
    pytest.mark.engines("sqlite"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]

INSERT = "INSERT INTO part (who) VALUES (:who)"


@pytest.fixture
def parts(make_database: MakeDatabase) -> Database:
    db = make_database("sqlite")
    db.write(lambda u: u.execute("CREATE TABLE part (who INTEGER)"))
    return db


def add(db: Database, who: int) -> None:
    db.write(lambda u: u.execute(INSERT, {"who": who}), timeout_s=20)


def counts(db: Database) -> dict[int, int]:
    def read(unit: Unit) -> dict[int, int]:
        found = unit.execute("SELECT who, count(*) FROM part GROUP BY who")
        return dict(found.fetchall())

    return db.read(read)


class Child:
    """A forked process that does one thing and tells what came of it."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._read, write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            said = ""
            try:
                said = str(act())
            except BaseException as error:
                said = f"{type(error).__name__}: {error}"
            finally:
                os.write(write, said.encode())
                os._exit(0)
        os.close(write)

    def said(self) -> str:
        with os.fdopen(self._read) as stream:
            text = stream.read()
        os.waitpid(self._pid, 0)
        return text


def test_what_a_child_writes_stays_when_its_parent_closes(parts: Database) -> None:
    """SQLite in the child took the parent's locks for its own."""
    go_read, go_write = os.pipe()
    ready_read, ready_write = os.pipe()

    def act() -> None:
        add(parts, 1)
        os.write(ready_write, b".")
        os.read(go_read, 1)
        for _ in range(20):
            add(parts, 1)

    child = Child(act)
    os.read(ready_read, 1)
    parts.close()  # as the last one that has the file open, so it may think
    add(parts, 2)
    os.write(go_write, b".")
    assert child.said() == "None"
    assert counts(parts) == {1: 21, 2: 1}
    for descriptor in (go_read, go_write, ready_read, ready_write):
        os.close(descriptor)


def test_children_forked_while_threads_write_can_write(parts: Database) -> None:
    stop = threading.Event()
    written = [0, 0]

    def write(who: int) -> None:
        while not stop.is_set():
            add(parts, who)
            written[who] += 1

    def write_in_session(who: int) -> None:
        while not stop.is_set():
            with parts.write_session() as session:
                session.execute(sa.text(INSERT), {"who": who})
                stop.wait(0.003)
            written[who] += 1

    threads = [
        threading.Thread(target=write, args=(0,)),
        threading.Thread(target=write_in_session, args=(1,)),
    ]
    for thread in threads:
        thread.start()
    children: list[Child] = []
    for _ in range(12):
        children.append(Child(lambda: [add(parts, 2) for _ in range(3)]))
        stop.wait(0.01)
    said = {child.said() for child in children}
    stop.set()
    for thread in threads:
        thread.join()
    assert said == {"[None, None, None]"}
    assert counts(parts) == {0: written[0], 1: written[1], 2: 36}


def test_a_child_of_a_thread_that_writes_is_told_at_once(parts: Database) -> None:
    with parts.write_session() as session:
        session.execute(sa.text(INSERT), {"who": 1})
        child = Child(lambda: add(parts, 2))
        assert child.said().startswith("OpenAtFork: [LS-2013]")
    assert counts(parts) == {1: 1}


def test_a_fork_does_not_wait_for_ever(
    parts: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "FORK_WAIT_S", 0.05)
    begun, end = threading.Event(), threading.Event()

    def read() -> None:
        with parts.read_session() as session:
            session.execute(sa.text("SELECT * FROM part"))
            begun.set()
            end.wait()

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait()
    child = Child(lambda: counts(parts))
    assert child.said().startswith("OpenAtFork: [LS-2013]")
    add(parts, 1)
    end.set()
    reader.join()
    assert Child(lambda: counts(parts)).said() == "{1: 1}"


def test_a_child_of_an_event_loop_can_write(parts: Database) -> None:
    async def main() -> None:
        async with parts.async_write_session() as session:
            await session.execute(sa.text(INSERT), {"who": 1})
        child = Child(lambda: add(parts, 2))
        assert child.said() == "None"
        async with parts.async_write_session() as session:
            await session.execute(sa.text(INSERT), {"who": 1})
        await parts.aclose()

    asyncio.run(main())
    assert counts(parts) == {1: 2, 2: 1}
