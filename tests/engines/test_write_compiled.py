"""Compiled writes in ``db.write``: what a unit's own savepoint may undo, and may not.

The first write of a unit needs no savepoint of its own: returning to the unit's
undoes just it. Whatever was done in the unit before must survive it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal as D
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tests.engines.repository_models import AuditedBase, Entry, Tool, create
from tests.engines.write_cases import Held, queued

from lockstep.bench.audited import Base as BenchBase
from lockstep.bench.audited import Stock, StockHistory
from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.contrib.pytest.faults import KillAfter
from lockstep.engine import Database, Unit
from lockstep.errors import CheckFailed, Duplicate, InvalidValue, StaleVersion
from lockstep.repository import CompiledRepository, Repository
from lockstep.schema import AuditTrail, Json, Portable, UuidKey, Versioned

KEY = uuid.UUID(int=7)
OTHER = uuid.UUID(int=8)
MANY = 12
IMAGES = (Entry.before, Entry.after)
VARIES = r"\d{4}-\d\d-\d\dT[^\"]*|[78](?=\")"
"""A moment, and what tells two keys or names apart."""


@pytest.fixture
def tools(make_database: MakeDatabase, lockstep_engine: str) -> Database:
    db = create(make_database(lockstep_engine, write={"batch_s_max": 10}), AuditedBase)
    with db.write_session() as session:
        rows = [{"id": key, "name": f"tool {key.int}"} for key in (KEY, OTHER)]
        session.execute(sa.insert(Tool), rows)
    return db


def change(unit: Unit, version: int, quantity: int, key: uuid.UUID = KEY) -> Tool:
    tools = CompiledRepository(Tool, unit)
    return tools.update(key, {"quantity": quantity}, expected_version=version)


def change_in_vain(unit: Unit) -> None:
    with pytest.raises(StaleVersion):
        change(unit, 99, 99)


def quantities(db: Database) -> list[int]:
    with db.read_session() as session:
        return list(session.scalars(sa.select(Tool.quantity).order_by(Tool.id)))


def entries(db: Database) -> list[tuple[str | None, Any]]:
    with db.read_session() as session:
        found = session.execute(sa.select(Entry.actor, Entry.after).order_by(Entry.id))
        return [(actor, after["quantity"]) for actor, after in found]


RAISE = "UPDATE tool SET quantity = quantity + 10"


def by_session(unit: Unit) -> None:
    unit.session.execute(sa.text(RAISE))


def by_repository(unit: Unit) -> None:
    for key in (KEY, OTHER):
        CompiledRepository(Tool, unit).adjust(key, "quantity", 10)


def after_a_failure(unit: Unit) -> None:
    change_in_vain(unit)
    unit.execute(RAISE)


@pytest.mark.parametrize(
    "before",
    [
        lambda unit: unit.execute(RAISE),
        lambda unit: unit.send(RAISE),
        lambda unit: unit.driver.execute(RAISE),
        lambda unit: unit.connection.execute(sa.text(RAISE)),
        by_session,
        by_repository,
        after_a_failure,
    ],
    ids=["execute", "send", "driver", "connection", "session", "repository", "again"],
)
def test_a_failed_write_undoes_nothing_that_came_before(
    tools: Database, before: Callable[[Unit], Any]
) -> None:
    def work(unit: Unit) -> None:
        before(unit)
        change_in_vain(unit)

    tools.write(work)
    assert quantities(tools) == [10, 10]


@pytest.mark.parametrize("key", [None, "once"])
def test_after_a_failed_first_write_the_unit_goes_on(
    tools: Database, key: str | None
) -> None:
    def work(unit: Unit) -> int:
        assert CompiledRepository(Tool, unit).get(KEY).quantity == 0
        change_in_vain(unit)
        with pytest.raises(Duplicate):
            CompiledRepository(Tool, unit).update(
                KEY, {"name": "tool 8"}, expected_version=1
            )
        return change(unit, 1, 5).quantity

    for _ in range(1 if key is None else 2):
        assert tools.write(work, actor="ann", idempotency_key=key) == 5
    assert quantities(tools) == [5, 0]
    assert entries(tools) == [("ann", 5)]


def test_of_a_batch_only_what_succeeded_is_audited(tools: Database) -> None:
    def failing(unit: Unit) -> None:
        change(unit, 1, 77, OTHER)
        raise ZeroDivisionError

    def stale(unit: Unit) -> None:
        change(unit, 99, 88)

    def refused(unit: Unit) -> None:
        change(unit, 1, 66, OTHER)
        unit.execute("UPDATE tool SET name = NULL")

    def raising(version: int) -> Callable[[Unit], Tool]:
        return lambda unit: change(unit, version, version)

    versions = range(1, MANY + 1)
    held = Held(tools)
    with ThreadPoolExecutor(3 * MANY + 1) as pool:
        calls = list[Future[Any]]()
        functions = [f for v in versions for f in (failing, stale, raising(v))]
        for count, function in enumerate([*functions, refused], 1):
            calls.append(pool.submit(tools.write, function, actor="ann"))
            queued(tools, count)
        held.let_go()
        ends = [call.exception() for call in calls]
    assert [type(end) for end in ends[:-1]] == [
        ZeroDivisionError,
        StaleVersion,
        type(None),
    ] * MANY
    assert isinstance(ends[-1], CheckFailed)
    assert tools.write_statistics().batches <= 2, "they shared a transaction"
    assert quantities(tools) == [MANY, 0]
    assert entries(tools) == [("ann", version) for version in versions]


def changing_what_is_not_there(unit: Unit) -> None:
    CompiledRepository(Jar, unit).update(KEY, {"label": "a"}, expected_version=1)


def changing_into_no_number(unit: Unit) -> None:
    tools = CompiledRepository(Tool, unit)
    tools.update(KEY, {"quantity": "many"}, expected_version=1)


@pytest.mark.parametrize(
    "failing", [changing_what_is_not_there, changing_into_no_number]
)
def test_what_fails_with_its_first_statement_fails_alone(
    tools: Database, failing: Callable[[Unit], None]
) -> None:
    # Nothing could be prepared, or nothing was sent: is its savepoint there?
    held = Held(tools)
    functions: list[Callable[[Unit], Any]] = [
        lambda unit: change(unit, 1, 1),
        failing,
        lambda unit: change(unit, 1, 2, OTHER),
    ]
    with ThreadPoolExecutor(3) as pool:
        calls = list[Future[Any]]()
        for count, function in enumerate(functions, 1):
            calls.append(pool.submit(tools.write, function))
            queued(tools, count)
        held.let_go()
        ends = [call.exception() for call in calls]
    assert [end is None for end in ends] == [True, False, True]
    assert quantities(tools) == [1, 2]


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("column", ["updated_at", "created_at"])
def test_what_is_no_value_in_the_row_before_is_refused(
    tools: Database, column: str
) -> None:
    # One of them is written over, one stays: neither is passed over in silence.
    rubbish = f"UPDATE tool SET {column} = 'yesterday'"
    tools.write(lambda unit: unit.execute(rubbish))
    with pytest.raises(InvalidValue, match="holds no UTC moment"):
        tools.write(lambda unit: change(unit, 1, 5))
    assert (quantities(tools), entries(tools)) == ([0, 0], [])


def test_both_ways_write_one_text_of_a_change(tools: Database) -> None:
    def changed(key: uuid.UUID, kind: Any, unit: Unit) -> None:
        rows = kind(Tool, unit.session if kind is Repository else unit)
        values = {"name": f'é"\\%s{key.int}', "price": D("1.50"), "pin": "1234"}
        tool = rows.update(key, values, expected_version=1)
        rows.update(key, {"price": D("1.5"), "pin": None}, expected_version=2)
        rows.delete(tool.id, expected_version=3)

    for key, kind in ((KEY, Repository), (OTHER, CompiledRepository)):
        tools.write(partial(changed, key, kind), actor="ann")
    texts = [sa.cast(column, sa.Text) for column in (Entry.row_key, *IMAGES)]
    with tools.read_session() as session:
        found = session.execute(sa.select(*texts).order_by(Entry.id)).all()
    life = [[re.sub(VARIES, "", str(text)) for text in entry] for entry in found]
    assert len(life) == 6
    assert life[:3] == life[3:]


class LoudJson(Json):
    """A document that an audit model stores in a way of its own."""

    cache_ok = True

    def checked(self, value: Any) -> Any:
        return None if value is None else {"loud": value}

    def writer(self, dialect_name: str) -> Callable[[Any], Any]:
        return lambda value: super(Json, self).writer(dialect_name)(value)


class LoudBase(Portable, DeclarativeBase):
    """Models with such a trail."""


class LoudEntry(AuditTrail, LoudBase):
    after: Mapped[Any | None] = mapped_column(LoudJson())


class Jar(UuidKey, Versioned, LoudBase):
    __tablename__ = "jar"

    label: Mapped[str]


@pytest.mark.engines("sqlite")
def test_an_audit_models_own_type_writes_its_documents(db: Database) -> None:
    create(db, LoudBase)
    with db.write_session() as session:
        session.execute(sa.insert(Jar), [{"id": KEY, "label": "salt"}])

    def pepper(unit: Unit) -> None:
        jars = CompiledRepository(Jar, unit)
        assert not jars.explain()
        jars.update(KEY, {"label": "pepper"}, expected_version=1)

    db.write(pepper)
    with db.read_session() as session:
        after = session.scalars(sa.select(LoudEntry.after)).one()
    assert after == {"loud": {"label": "pepper", "version": 2}}


def test_a_unit_sees_its_own_entries(tools: Database) -> None:
    def work(unit: Unit) -> tuple[int, int, int]:
        change(unit, 1, 5)
        by_sql = unit.execute("SELECT count(*) FROM audit_log").fetchone()[0]
        change(unit, 2, 6)
        compiled = CompiledRepository(Entry, unit).count()
        change(unit, 3, 7)
        return by_sql, compiled, len(CompiledRepository(Tool, unit).history(KEY))

    assert tools.write(work) == (1, 2, 3)


@pytest.mark.engines("postgresql")
def test_an_audited_change_waits_twice(
    tools: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from psycopg import Connection

    waits, ordinary = 0, Connection.wait

    def wait(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal waits
        waits += 1
        return ordinary(self, *args, **options)

    def counted(unit: Unit) -> int:
        before = waits
        assert change(unit, 2, 2).quantity == 2
        return waits - before

    tools.write(lambda unit: change(unit, 1, 1))  # psycopg asks for types at first
    monkeypatch.setattr(Connection, "wait", wait)
    # Savepoint, images and change; the entry. The release goes with the next.
    assert tools.write(counted) == 2


@pytest.mark.engines("postgresql")
def test_a_statement_that_psycopg_dropped_is_run_all_the_same(tools: Database) -> None:
    def dropping(unit: Unit) -> None:
        unit.execute("DEALLOCATE ALL")

    for version in (1, 3):
        tools.write(lambda unit, v=version: change(unit, v, v), actor="ann")
        tools.write(dropping)
        tools.write(lambda unit, v=version + 1: change(unit, v, v), actor="ann")
    assert entries(tools) == [("ann", quantity) for quantity in (1, 2, 3, 4)]


_FOR_EVER = """
import sys, threading
from lockstep.bench.audited import Stock
from lockstep.engine import Database
from lockstep.repository import CompiledRepository
db = Database(sys.argv[1])
keys = db.read(lambda unit: [s.id for s in CompiledRepository(Stock, unit).list()])
lock = threading.Lock()
def work(key):
    version = db.read(lambda unit: CompiledRepository(Stock, unit).get(key).version)
    while True:
        def write(unit):
            stock = CompiledRepository(Stock, unit)
            stock.update(key, {"quantity": version}, expected_version=version)
        db.write(write)
        version += 1
        with lock:
            print(key, version, flush=True)
for key in keys:
    threading.Thread(target=work, args=(key,)).start()
"""


@pytest.mark.engines("sqlite", "postgresql")
def test_a_kill_leaves_as_many_entries_as_changes(
    db: Database, kill_after: KillAfter
) -> None:
    BenchBase.metadata.create_all(db.engine)
    rows = [
        {"id": uuid.UUID(int=number), "version": 1, "bin": "B", "quantity": 0}
        for number in range(MANY)
    ]
    with db.write_session() as session:
        session.execute(sa.insert(Stock), rows)
    told = dict[uuid.UUID, int]()
    for line in kill_after(_FOR_EVER, db.url.unmasked(), delay_s=0.2).splitlines():
        with suppress(ValueError):  # the last line may be torn
            key, version = line.split()
            told[uuid.UUID(key)] = int(version)
    with db.read_session() as session:
        found = session.execute(sa.select(Stock.id, Stock.version))
        versions = {key: version for key, version in found}
        count = sa.select(sa.func.count()).select_from(StockHistory)
        audited = session.execute(count).scalar_one()
    assert told
    assert all(versions[key] >= version for key, version in told.items())
    assert audited == sum(versions.values()) - MANY
