"""The turn among processes: fair, given up at a deadline, and never in the way."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.engines.together import let_go_together

from lockstep.engine import Database
from lockstep.engine.file_turns import SUFFIX, FileTurn


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.db")


def side_file(path: str) -> Path:
    return Path(path + SUFFIX)


def test_one_has_it_and_the_next_gets_it(path: str) -> None:
    first, second = FileTurn(path), FileTurn(path)
    assert first.take(0)
    assert not second.take(0.01)
    waiting = threading.Thread(target=lambda: second.take(10))
    waiting.start()
    first.give()
    waiting.join()
    assert not first.take(0.01)
    second.give()
    assert first.take(5), "from the thread that waits for it since"
    first.give()


def test_a_turn_that_comes_too_late_is_passed_on(path: str) -> None:
    first, late, third = FileTurn(path), FileTurn(path), FileTurn(path)
    assert first.take(0)
    assert not late.take(0.01)
    first.give()
    assert third.take(5), "the one who gave up does not keep it"
    third.give()


def test_however_often_one_gives_up_one_thread_waits(path: str) -> None:
    first, impatient = FileTurn(path), FileTurn(path)

    def waiting() -> set[threading.Thread]:
        return {t for t in threading.enumerate() if t.name == "lockstep-turn"}

    assert first.take(0)
    before = waiting()  # those of other tests, which may end meanwhile
    for _ in range(5):
        assert not impatient.take(0.01)
    assert len(waiting() - before) == 1
    threading.Timer(0.05, first.give).start()
    assert impatient.take(5), "the turn that was waited for all the time"
    impatient.give()


def test_without_a_thread_to_wait_in_nobody_waits(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = FileTurn(path), FileTurn(path)
    assert first.take(0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more_threads)
        assert not second.take(10)
    first.give()
    assert second.take(5)
    second.give()


def no_more_threads(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_cancelled_task_passes_it_on(path: str) -> None:
    first, second, third = FileTurn(path), FileTurn(path), FileTurn(path)

    async def main() -> None:
        assert first.take(0)
        task = asyncio.create_task(second.take_async(10))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        first.give()
        assert await third.take_async(5)
        third.give()

    asyncio.run(main())


def test_removing_the_side_file_makes_no_second_queue(path: str) -> None:
    first, second, third = FileTurn(path), FileTurn(path), FileTurn(path)
    assert first.take(0)
    second.remove()
    assert side_file(path).exists(), "somebody uses it"
    waiting = threading.Thread(target=lambda: second.take(10))
    waiting.start()
    time.sleep(0.05)
    side_file(path).unlink()  # by a stranger, while one waits on the old file
    first.give()
    waiting.join()
    assert not third.take(0.01), "the one who waited asked again"
    second.give()
    assert third.take(5), "behind the one who gave up, and passes it on"
    third.give()
    third.remove()
    assert not side_file(path).exists()


def test_where_no_file_can_be_made_nobody_waits(tmp_path: Path) -> None:
    turn = FileTurn(str(tmp_path / "missing" / "a.db"))
    assert not turn.take(10)
    turn.give()
    turn.remove()


def test_a_forked_child_neither_has_nor_ends_its_parent_s_turn(path: str) -> None:
    turn, other = FileTurn(path), FileTurn(path)
    assert turn.take(0)
    pid = os.fork()
    if pid == 0:
        turn.give()
        os._exit(0)
    os.waitpid(pid, 0)
    assert not other.take(0.01)
    turn.give()
    assert other.take(5), "from the thread that waits for it since"
    other.give()


_WRITER = """
import sys, time
import sqlalchemy as sa
from lockstep.engine import Database
db = Database(sys.argv[1])
insert, row = "INSERT INTO turn (who) VALUES (:who)", {"who": int(sys.argv[2])}
add = lambda unit: unit.execute(insert, row)
def by_session():
    with db.write_session() as session:
        session.execute(sa.text(insert), row)
work = (lambda: db.write(add)) if sys.argv[3] == "write" else by_session
db.ping()
print("ready", flush=True)
sys.stdin.readline()
until = time.monotonic() + 1
while time.monotonic() < until:
    work()
"""


@pytest.fixture
def on_disk() -> Iterator[Path]:
    """A folder whose commits wait for a disk, as the turns are made for.

    In memory one process commits a hundred times before the others are scheduled.
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize("way", ["write", "session"])
def test_four_processes_come_in_turn(on_disk: Path, way: str) -> None:
    url = f"sqlite:///{on_disk / 'a.db'}"
    with Database(url) as db:
        with db.write_session() as session:
            session.execute(
                sa.text("CREATE TABLE turn (id INTEGER PRIMARY KEY, who INTEGER)")
            )
        let_go_together(_WRITER, ([url, str(who), way] for who in range(4)))
        order = db.read(
            lambda unit: [
                row[0]
                for row in unit.execute("SELECT who FROM turn ORDER BY id").fetchall()
            ]
        )
    counts = Counter(order)
    assert set(counts) == {0, 1, 2, 3}
    # While all four work, nobody comes many times before another does.
    middle = order[len(order) // 4 : -len(order) // 4]
    runs = [1]
    for before, after in itertools.pairwise(middle):
        if before == after:
            runs[-1] += 1
        else:
            runs.append(1)
    assert max(runs) < 100, f"somebody came {max(runs)} times in a row"
