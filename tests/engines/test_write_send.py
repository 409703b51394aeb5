"""What is only sent: in one round trip, with failures that stay apart."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine import Database, Unit, classify
from lockstep.engine.hrana import errors as hrana
from lockstep.errors import Duplicate, InvalidStatement

from .write_cases import ADD, Held, queued, rows, with_parts


@pytest.fixture
def parts(make_database: MakeDatabase, lockstep_engine: str) -> Database:
    return with_parts(make_database, lockstep_engine)


def test_what_was_sent_is_seen_by_what_needs_an_answer(parts: Database) -> None:
    def write(unit: Unit) -> tuple[int, int]:
        unit.send(ADD, {"id": 2, "n": 5})
        unit.send("UPDATE part SET n = n + 1 WHERE id = 2")
        seen = unit.execute("SELECT n FROM part WHERE id = 2").fetchone()[0]
        unit.send("UPDATE part SET n = n + 1 WHERE id = 2")
        by_core = unit.connection.scalar(sa.text("SELECT n FROM part WHERE id = 2"))
        unit.send("UPDATE part SET n = n + 1 WHERE id = 2")
        return seen, by_core or 0

    assert parts.write(write) == (6, 7)
    assert rows(parts)[2] == 8


def test_the_error_of_what_was_sent_is_its_caller_s(parts: Database) -> None:
    def sending(*keys: int) -> Callable[[Unit], str]:
        def write(unit: Unit) -> str:
            for key in keys:
                unit.send(ADD, {"id": key, "n": 0})
            return "sent"

        return write

    for _ in range(2):  # the second time statements are prepared already
        held = Held(parts)
        with ThreadPoolExecutor(6) as pool:
            futures = []
            for count, keys in enumerate(((2, 3), (4, 1), (5,), (2,), (6, 6), (7,)), 1):
                futures.append(pool.submit(parts.write, sending(*keys)))
                queued(parts, count)
            held.let_go()
            for number, future in enumerate(futures):
                if number in (0, 2, 5):
                    assert future.result() == "sent"
                else:
                    with pytest.raises(Duplicate):
                        future.result()
        assert set(rows(parts)) == {1, 2, 3, 5, 7}
        parts.write(lambda unit: unit.send("DELETE FROM part WHERE id > 1"))


@pytest.mark.parametrize(
    "parameters", [{"id": 2, "n": object()}, {"id": 2}], ids=["no value", "missing"]
)
def test_what_a_driver_refuses_fails_alone(
    parts: Database, parameters: dict[str, Any]
) -> None:
    def sending(values: dict[str, Any]) -> Callable[[Unit], None]:
        def write(unit: Unit) -> None:
            unit.send(ADD, {"id": values["id"] + 100, "n": 0})
            unit.send(ADD, values)

        return write

    held = Held(parts)
    with ThreadPoolExecutor(3) as pool:
        futures = []
        for count, values in enumerate(
            ({"id": 4, "n": 0}, parameters, {"id": 5, "n": 0}), 1
        ):
            futures.append(pool.submit(parts.write, sending(values)))
            queued(parts, count)
        held.let_go()
        first, refused, last = futures
        assert (first.result(), last.result()) == (None, None)
        with pytest.raises(InvalidStatement):
            refused.result()
    assert set(rows(parts)) == {1, 4, 104, 5, 105}


REFUSED_UNREAD: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("VACUUM", {}),
    ("SELECT 1; SELECT 2", {}),
    ("UPDATE part SET n = 7 WHERE '\ud800' = ''", {}),
    ("UPDATE part SET n = 7 WHERE :text = ''", {"text": "\ud800"}),
]
"""By one engine at least."""


@pytest.mark.parametrize("how", ["send", "execute"])
def test_a_statement_that_is_refused_unread_takes_nothing_from_others(
    parts: Database, how: str
) -> None:
    def adding(key: int, name: str) -> Callable[[Unit], None]:
        return lambda unit: getattr(unit, name)(ADD, {"id": key, "n": 0}) and None

    def refused(key: int, text: str, values: dict[str, Any]) -> Callable[[Unit], None]:
        def write(unit: Unit) -> None:
            getattr(unit, how)(text, values)
            unit.send(ADD, {"id": key, "n": 0})

        return write

    expected = {1}
    for number, (text, values) in enumerate(REFUSED_UNREAD, 1):
        key = 10 * number
        functions = {
            **{key: adding(key, "send"), key + 1: adding(key + 1, "execute")},
            key + 2: refused(key + 2, text, values),
            **{key + 3: adding(key + 3, "send"), key + 4: adding(key + 4, "execute")},
        }
        held = Held(parts)
        with ThreadPoolExecutor(len(functions)) as pool:
            futures: dict[int, Future[None]] = {}
            for count, (name, function) in enumerate(functions.items(), 1):
                futures[name] = pool.submit(parts.write, function)
                queued(parts, count)
            held.let_go()
        told = {name for name, future in futures.items() if future.exception() is None}
        assert told | {key + 2} == set(functions)
        expected |= told
        assert rows(parts) == dict.fromkeys(expected, 0), text


def test_values_are_those_of_when_they_were_sent(parts: Database) -> None:
    def write(unit: Unit) -> None:
        values = {"id": 2, "n": 5}
        unit.send(ADD, values)
        values.update(id=3, n=6)
        unit.send(ADD, values)

    parts.write(write)
    assert rows(parts) == {1: 0, 2: 5, 3: 6}


def test_an_error_of_what_was_sent_may_be_handled(parts: Database) -> None:
    def write(unit: Unit) -> str:
        unit.execute("SAVEPOINT mine")
        with pytest.raises((sqlite3.Error, psycopg.Error, hrana.Error)) as caught:
            unit.send(ADD, {"id": 1, "n": 0})
            unit.execute("SELECT 1")
        assert isinstance(classify(caught.value), Duplicate)
        unit.execute("ROLLBACK TO SAVEPOINT mine")
        unit.send(ADD, {"id": 9, "n": 0})
        return "handled"

    assert parts.write(write) == "handled"
    assert set(rows(parts)) == {1, 9}


def test_sending_the_end_of_the_transaction_is_refused(parts: Database) -> None:
    with pytest.raises(InvalidStatement):
        parts.write(lambda unit: unit.send("COMMIT"))


_STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "execute", "raise"]), st.integers(0, 6)),
    max_size=4,
)


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(_STEPS, min_size=1, max_size=6))
def test_a_batch_equals_its_functions_one_after_another(
    parts: Database, programs: list[list[tuple[str, int]]]
) -> None:
    parts.write(lambda unit: unit.execute("DELETE FROM part"))

    def function(program: list[tuple[str, int]]) -> Callable[[Unit], None]:
        def write(unit: Unit) -> None:
            for step, key in program:
                if step == "raise":
                    raise KeyError(key)
                run = unit.send if step == "send" else unit.execute
                run(ADD, {"id": key, "n": 0})

        return write

    wanted: set[int] = set()
    outcomes: list[str] = []
    for program in programs:
        added = [key for step, key in program if step != "raise"]
        before = [
            key for step, key in itertools.takewhile(lambda s: s[0] != "raise", program)
        ]
        clash = len(set(before)) < len(before) or bool(set(before) & wanted)
        if clash:
            outcomes.append("clash")
        elif len(before) < len(program):
            outcomes.append("raised")
        else:
            outcomes.append("done")
            wanted |= set(added)
    held = Held(parts)
    with ThreadPoolExecutor(len(programs)) as pool:
        futures = []
        for count, program in enumerate(programs, 1):
            futures.append(pool.submit(parts.write, function(program)))
            queued(parts, count)
        held.let_go()
        for future, outcome in zip(futures, outcomes, strict=True):
            error = future.exception()
            if outcome == "done":
                assert error is None
            elif outcome == "raised":
                # What was only sent had not failed yet when the function raised.
                assert isinstance(error, KeyError)
            else:
                assert isinstance(error, Duplicate | KeyError)
    assert set(rows(parts)) == wanted
