"""The same calls through ``Repository`` and compiled: same answers, same database.

Random calls, sensible and not, are made on two databases of one engine: one by
``Repository``, one by ``CompiledRepository`` in a session, in one unit, or in a
unit per call. Every result, every error and, at the end, every row and every audit
entry must be the same.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal as D
from itertools import starmap
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.engines.repository_models import (
    AuditedBase,
    Base,
    Bin,
    Box,
    Entry,
    Part,
    Tool,
    create,
)

from lockstep.clock import ManualClock
from lockstep.engine import Database
from lockstep.engine.unit import Unit
from lockstep.errors import Duplicate, NotLoaded
from lockstep.repository import CompiledRepository, Page, Repository

Way = Callable[[type[Any]], Any]
Call = Callable[[Way], Any]

KEYS = [uuid.UUID(int=number) for number in range(1, 5)]
HOMES = [uuid.UUID(int=number << 64) for number in range(1, 3)]
MODELS: list[tuple[type[Any], type[Any]]] = [(Part, Bin), (Tool, Box)]


def random_values(chance: random.Random, model: type[Any]) -> dict[str, Any]:
    """Return values for some attributes; now and then some that are refused."""
    choices: dict[str, list[Any]] = {
        "name": ["a", "b", "c", "é", None, "nul \x00", 7],
        "quantity": [0, 1, -3, 2**40, None, "1", 2**63, True],
        "price": [D("1.5"), D("1.50"), D(3), None, 1.5, D("0.001")],
        f"{'bin' if model is Part else 'box'}_id": [*HOMES, None, KEYS[0]],
        "updated_at": [datetime(2020, 1, 1, tzinfo=UTC), None],
        "created_by": ["eve", None],
        "version": [7],
        "deleted_at": [None],
        "unknown": ["x"],
    }
    if model is Part:
        choices |= {
            "data": [{"a": [1, None]}, [], None, {1, 2}],
            "note": ["n", None],
            "quantity": [*choices["quantity"], 1_000_000],
        }
    else:
        choices |= {"pin": ["1234", None], "photo": [b"\x00", None]}
    likely = [name for name in choices if name not in ("unknown", "version")]
    names = [name for name in likely if chance.random() < 0.35]
    if chance.random() < 0.1:
        names.append(chance.choice(list(choices)))
    # The first of the choices are good ones.
    return {
        name: chance.choice(
            choices[name] if chance.random() < 0.15 else choices[name][:3]
        )
        for name in names
    }


def random_call(verb: str, seed: int) -> Call:
    """Return one call, fully decided, to be made in either way."""
    chance = random.Random(seed)
    model, home = MODELS[seed % 2]
    key, number = chance.choice(KEYS), chance.randint(-3, 3)
    values = random_values(chance, model)
    # Given twice, the touch trigger would take it for forgotten.
    changed = {name: values[name] for name in values if name != "updated_at"}
    expected = chance.choice([1, 1, 2, 3, None])
    order = chance.choice([None, "name", "-quantity", ("-price", "name"), "unknown"])
    deleted = chance.random() < 0.3
    rows = [
        {"id": each, "name": chance.choice("abcd"), **random_values(chance, model)}
        for each in chance.sample(KEYS, chance.randint(0, 3))
    ]
    match = chance.choice([None, None, ["name"], ["quantity"]])
    added_to = chance.choice(["quantity", "quantity", "price", "name", "version"])
    floor = chance.choice([0, None, -2])
    calls: dict[str, Call] = {
        "get": lambda way: way(model).get(key, with_deleted=deleted),
        "find": lambda way: way(model).find(**values),
        "get_many": lambda way: way(model).get_many([*KEYS, key], with_deleted=deleted),
        "list": lambda way: way(model).list(values, order_by=order, limit=number),
        "count": lambda way: way(model).count(with_deleted=deleted, **values),
        "exists": lambda way: way(model).exists(values),
        "page": lambda way: walked(way(model), order, abs(number), deleted),
        "add": lambda way: way(model).add({"id": key, "name": "a", **values}),
        "home": lambda way: way(home).add({"id": HOMES[0], "label": "H"}),
        "add_many": lambda way: way(model).add_many(iter(rows)),
        "add_counted": lambda way: way(model).add_many(rows, returning=False),
        "update": lambda way: way(model).update(
            key, changed, expected_version=expected, any_version=expected is None
        ),
        "upsert": lambda way: way(model).upsert_many(
            [{name: row[name] for name in row if name != "updated_at"} for row in rows],
            match_on=match,
        ),
        "delete": lambda way: way(model).delete(key, expected_version=expected),
        "remove": lambda way: way(model).delete(key, hard=True),
        "restore": lambda way: way(model).restore(key),
        "adjust": lambda way: way(model).adjust(key, added_to, number, floor=floor),
    }
    return calls[verb]


VERBS = (
    *("get", "find", "get_many", "list", "count", "exists", "page"),
    *("add", "home", "add_many", "add_counted", "update", "update", "upsert"),
    *("delete", "remove", "restore", "adjust"),
)


def walked(rows: Any, order: Any, size: int, with_deleted: bool) -> list[Page[Any]]:
    page = rows.page(order_by=order, size=size, with_deleted=with_deleted)
    pages = [page]
    while page.has_next:
        page = rows.page(
            order_by=order,
            size=size,
            after=page.next_cursor,
            with_deleted=with_deleted,
        )
        pages.append(page)
    if page.has_previous:
        pages.append(
            rows.page(
                order_by=order,
                size=size,
                before=page.previous_cursor,
                with_deleted=with_deleted,
            )
        )
    return pages


def told(result: Any) -> Any:
    """Return a result in a form that can be compared between two databases."""
    if isinstance(result, Page):
        return (told(result.items), result.next_cursor, result.previous_cursor)
    if isinstance(result, list):
        return [told(each) for each in result]
    if not hasattr(result, "__table__"):
        return type(result), str(result)
    mapper = sa.inspect(type(result))
    values: list[Any] = []
    for prop in mapper.attrs:
        try:
            values.append(repr(getattr(result, prop.key)))
        except NotLoaded as error:
            values.append(str(error))
    return values


def outcomes(
    calls: list[Call], way: Way, *, held: bool, forget: Callable[[], object] = int
) -> list[Any]:
    """Return what each call gives: its result, or its error.

    With ``held``, everything is held; else ``forget`` lets a session go of it all,
    which it would do by itself, but only when no cycle of Python's holds it.
    """
    found: list[Any] = []
    results: list[Any] = []
    for call in calls:
        try:
            result = call(way)
        except Duplicate:
            # Whether the session or the database says so depends on what is held.
            found.append(Duplicate)
        except Exception as error:
            message = getattr(error, "message", str(error))
            found.append((type(error), message, getattr(error, "detail", None)))
        else:
            found.append(told(result))
            results += [result] if held else []
        if not held:
            forget()
    return [*found, told(results)]


def all_rows(db: Database) -> list[Any]:
    found: list[Any] = []
    with db.engine.connect() as connection:
        for model in (Bin, Part, Box, Tool, Entry):
            table = model.__table__
            columns = [c for c in table.columns if model is not Entry or c.name != "id"]
            statement = sa.select(*columns).order_by(table.c.id)
            found.append([tuple(row) for row in connection.execute(statement)])
    return found


@dataclass(frozen=True)
class Two:
    """Two databases of one engine, and one clock."""

    ordinary: Database
    compiled: Database
    clock: ManualClock


@pytest.fixture
def two(lockstep_engine: str, make_database: Any) -> Iterator[Two]:
    clock = ManualClock()
    made = [make_database(lockstep_engine) for _ in range(2)]
    found = [Database(each.url.unmasked(), clock=clock) for each in made]
    for database in found:
        create(create(database, Base), AuditedBase)
    yield Two(found[0], found[1], clock)
    for database in found:
        database.close()


def emptied(db: Database) -> None:
    with db.engine.begin() as connection:
        for model in (Part, Bin, Tool, Box, Entry):
            connection.execute(sa.delete(model.__table__))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(
    steps=[("add_many", 245759), ("update", 1501), ("get", 1)], kind="unit", actor=None
)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(VERBS), st.integers(0, 10**6)), max_size=14
    ),
    kind=st.sampled_from(["session", "unit", "units"]),
    actor=st.sampled_from(["ann", None]),
)
def test_both_ways_give_the_same(
    two: Two, steps: list[tuple[str, int]], kind: str, actor: str | None
) -> None:
    emptied(two.ordinary)
    emptied(two.compiled)
    made = starmap(random_call, [("home", 0), ("home", 1), *steps])
    calls = [at(two.clock, number, call) for number, call in enumerate(made)]
    told_by = {
        Repository: in_sessions(two, calls, kind, actor),
        CompiledRepository: in_places(two, calls, kind, actor),
    }
    for number, (wanted, found) in enumerate(zip(*told_by.values(), strict=True)):
        assert found == wanted, f"outcome {number} of {steps}"
    assert all_rows(two.compiled) == all_rows(two.ordinary)


def at(clock: ManualClock, second: int, call: Call) -> Call:
    """Return the call, made at a moment of its own.

    A change at the moment of the last one would be given the database's own time
    by the touch trigger.
    """

    def made(way: Way) -> Any:
        clock.set(datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC))
        return call(way)

    return made


def in_sessions(two: Two, calls: list[Call], kind: str, actor: str | None) -> list[Any]:
    """Make the calls through ``Repository``."""
    found: list[Any] = []
    groups = [[call] for call in calls] if kind == "units" else [calls]
    for group in groups:
        with two.ordinary.write_session(actor=actor) as session:
            found += outcomes(
                group,
                lambda model: Repository(model, session),
                held=kind == "session",
                forget=session.expunge_all,
            )
    return found


def in_places(two: Two, calls: list[Call], kind: str, actor: str | None) -> list[Any]:
    """Make the calls compiled."""
    if kind == "session":
        with two.compiled.write_session(actor=actor) as session:
            return outcomes(
                calls, lambda model: CompiledRepository(model, session), held=True
            )

    def work(group: list[Call]) -> Callable[[Unit], list[Any]]:
        return lambda unit: outcomes(
            group, lambda model: CompiledRepository(model, unit), held=False
        )

    groups = [[call] for call in calls] if kind == "units" else [calls]
    return [
        each
        for group in groups
        for each in two.compiled.write(work(group), actor=actor)
    ]
