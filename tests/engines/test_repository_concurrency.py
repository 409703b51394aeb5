"""Writers at the same time: nothing is lost, nothing is taken twice."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal as D
from pathlib import Path

import pytest
from tests.engines.repository_models import (
    AuditedBase,
    Base,
    Part,
    Tool,
    create,
)

from lockstep.engine import Database
from lockstep.errors import NotEnough, StaleVersion
from lockstep.repository import Repository

THREADS = 8
ROOT = Path(__file__).parents[2]


@pytest.fixture
def shop(db: Database) -> Database:
    return create(create(db, Base), AuditedBase)


def new_part(db: Database, quantity: int) -> uuid.UUID:
    with db.write_session() as session:
        return Repository(Part, session).add({"name": "Bolt", "quantity": quantity}).id


def part_now(db: Database, key: uuid.UUID) -> Part:
    with db.read_session() as session:
        return Repository(Part, session).get(key)


def together(work: Callable[[int], object], count: int = THREADS) -> list[object]:
    """Run the work in threads that start at the same moment; return the results."""
    gate = threading.Barrier(count)

    def one(number: int) -> object:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_increments_with_retry_are_all_counted(shop: Database) -> None:
    key = new_part(shop, 0)
    conflicts: list[StaleVersion] = []

    def increment(_: int) -> None:
        for _turn in range(5):
            while True:
                seen = part_now(shop, key)
                try:
                    with shop.write_session() as session:
                        Repository(Part, session).update(
                            key,
                            {"quantity": seen.quantity + 1},
                            expected_version=seen.version,
                        )
                    break
                except StaleVersion as error:
                    conflicts.append(error)

    together(increment)
    end = part_now(shop, key)
    assert (end.quantity, end.version) == (THREADS * 5, THREADS * 5 + 1)
    assert conflicts, "the threads never met"
    for error in conflicts:
        assert error.actual is not None
        assert error.actual > error.expected


def test_a_retry_within_one_session_sees_the_new_version(shop: Database) -> None:
    """On PostgreSQL another transaction may commit between two reads of one."""
    key = new_part(shop, 0)
    if shop.dialect_name == "sqlite":
        with shop.write_session() as session:
            assert Repository(Part, session).get(key).version == 1
        return
    with shop.write_session() as session:
        parts = Repository(Part, session)
        seen = parts.get(key)
        with shop.write_session() as other:
            Repository(Part, other).update(key, {"quantity": 5}, expected_version=1)
        with pytest.raises(StaleVersion):
            parts.update(key, {"quantity": 1}, expected_version=seen.version)
        assert (seen.version, seen.quantity) == (2, 5)
        parts.update(key, {"quantity": seen.quantity + 1}, expected_version=2)
    assert part_now(shop, key).quantity == 6


def test_of_two_takers_of_the_last_exactly_one_gets_them(shop: Database) -> None:
    for _ in range(5):
        with shop.write_session() as session:
            key = (
                Repository(Tool, session)
                .add({"name": str(uuid.uuid4()), "quantity": 5})
                .id
            )

        def take(_: int, key: uuid.UUID = key) -> object:
            try:
                with shop.write_session() as session:
                    return Repository(Tool, session).adjust(key, Tool.quantity, -4)
            except NotEnough as error:
                return error

        results = together(take, 2)
        assert sum(result == 1 for result in results) == 1
        refusal = next(one for one in results if isinstance(one, NotEnough))
        assert (refusal.wanted, refusal.available) == (4, 1)
        with shop.read_session() as session:
            tools = Repository(Tool, session)
            assert (tools.get(key).quantity, tools.get(key).version) == (1, 2)
            assert [entry.action for entry in tools.history(key)] == [
                "insert",
                "update",
            ]


def test_adjustments_from_many_threads_add_up(shop: Database) -> None:
    key = new_part(shop, 10)

    def move(number: int) -> int:
        taken = 0
        for turn in range(10):
            by = 1 if (number + turn) % 2 else -2
            try:
                with shop.write_session() as session:
                    Repository(Part, session).adjust(key, Part.quantity, by)
                taken += by
            except NotEnough:
                assert by < 0
        return taken

    moved = together(move)
    end = part_now(shop, key)
    assert end.quantity == 10 + sum(int(str(each)) for each in moved)
    assert end.quantity >= 0


def test_versions_never_move_backwards_whoever_writes(shop: Database) -> None:
    key = new_part(shop, 0)
    versions: list[int] = []

    def write(number: int) -> None:
        for _ in range(5):
            with shop.write_session() as session:
                parts = Repository(Part, session)
                if number % 3 == 0:
                    row = parts.update(key, {"note": str(number)}, any_version=True)
                elif number % 3 == 1:
                    parts.adjust(key, "quantity", 1)
                    row = parts.get(key)
                else:
                    parts.upsert_many([{"id": key, "name": "Bolt", "price": D(1)}])
                    row = parts.get(key)
                versions.append(row.version)

    together(write, 6)
    assert sorted(versions) == list(range(2, 32))
    assert part_now(shop, key).version == 31


INCREMENT = """
import sys, uuid
from tests.engines.repository_models import Part
from lockstep.engine import Database
from lockstep.errors import StaleVersion
from lockstep.repository import Repository

key = uuid.UUID(sys.argv[1])
with Database(sys.stdin.readline().strip()) as db:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(10):
        while True:
            with db.read_session() as session:
                seen = Repository(Part, session).get(key)
            try:
                with db.write_session() as session:
                    Repository(Part, session).update(
                        key,
                        {"quantity": seen.quantity + 1},
                        expected_version=seen.version,
                    )
                break
            except StaleVersion:
                pass
"""


def test_increments_from_processes_are_all_counted(shop: Database) -> None:
    key = new_part(shop, 0)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", INCREMENT, str(key)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        for process in running:
            assert process.stdin
            assert process.stdout
            process.stdin.write(f"{shop.url.unmasked()}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in running:
            assert process.wait(timeout=60) == 0
    finally:
        for process in running:
            process.kill()
            process.communicate()
    end = part_now(shop, key)
    assert (end.quantity, end.version) == (40, 41)
