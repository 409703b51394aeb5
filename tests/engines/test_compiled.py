"""Compiled reads and writes: records, units, and what is left to ``Repository``.

That both ways agree is shown by the conformance suite, which runs with either
class, and by ``test_compiled_property``. Here is what only the compiled one has.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any, NamedTuple

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session
from tests.engines.repository_models import (
    AuditedBase,
    Base,
    Bin,
    Entry,
    Part,
    Tool,
    create,
    statements,
)
from tests.engines.repository_zoo import Base as ZooBase
from tests.engines.repository_zoo import Driver, Odd, OddlyNamed

from lockstep.engine import Database
from lockstep.engine.unit import Unit
from lockstep.errors import (
    Duplicate,
    InvalidValue,
    NotFound,
    NotLoaded,
    ReadOnlySession,
    SchemaError,
    StaleVersion,
    UnknownAttribute,
)
from lockstep.repository import CompiledRepository, Repository

# Of other drivers nothing is compiled; there every call is ``Repository``'s.
pytestmark = pytest.mark.engines("sqlite", "postgresql")


class TupleRow(NamedTuple):
    name: str
    price: D
    id: uuid.UUID


@dataclasses.dataclass(frozen=True)
class DataRow:
    id: uuid.UUID
    name: str
    price: D = dataclasses.field(kw_only=True)


class StructRow(msgspec.Struct):
    id: uuid.UUID
    price: D
    name: str


@pytest.fixture
def shop(db: Database) -> Database:
    create(db, Base)
    with db.write_session(actor="ann") as session:
        Repository(Part, session).add_many(
            {"name": f"part {n}", "quantity": n, "price": D(n) / 4} for n in range(6)
        )
    return db


@pytest.fixture
def raw_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every way round the compiled texts fail."""

    def refuse(*_: object, **__: object) -> Iterator[Session]:
        raise AssertionError("this call was not compiled")

    for place in ("InUnit", "InSession"):
        monkeypatch.setattr(
            f"lockstep.repository.compiled.place.{place}.ordinary", refuse
        )


def part_named(unit: Unit | Session, name: str) -> Part:
    found = CompiledRepository(Part, unit).find(name=name)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", [TupleRow, DataRow, StructRow])
def test_rows_are_read_into_records(
    shop: Database, kind: type[Any], raw_only: None
) -> None:
    key = shop.read(lambda unit: part_named(unit, "part 3").id)

    def read(unit: Unit) -> list[Any]:
        parts = CompiledRepository(Part, unit, into=kind)
        page = parts.page(order_by="-quantity", size=3)
        found = [
            parts.get(key),
            parts.find(name="part 3"),
            *parts.get_many([key]),
            *parts.list(quantity=3),
            page.items[2],
        ]
        assert page.has_next
        return found

    found = shop.read(read)
    assert found == [kind(id=key, name="part 3", price=D("0.75"))] * 5
    assert str(found[0].price) == "0.75"


def test_only_the_columns_of_a_record_are_read(shop: Database) -> None:
    with shop.read_session() as session:
        raw: Any = session.connection().connection.driver_connection
        parts = CompiledRepository(Part, session, into=TupleRow)
        (row,) = parts.list(limit=1)
        statement = parts._reader.lookup._by_key(with_deleted=True, lock=False)
        assert [column.name for column in statement.selected_columns] == [
            "name",
            "price",
            "id",
        ]
        assert raw is not None
    assert isinstance(row, TupleRow)


class Misspelt(NamedTuple):
    id: uuid.UUID
    label: str


class Related(NamedTuple):
    bin: Any


@pytest.mark.parametrize(
    ("into", "error"),
    [
        (Misspelt, UnknownAttribute),
        (Related, UnknownAttribute),
        (dict, InvalidValue),
        (Bin, InvalidValue),
        (tuple, InvalidValue),
        ("TupleRow", InvalidValue),
    ],
)
def test_a_record_that_does_not_fit_is_refused_at_once(
    shop: Database, into: Any, error: type[Exception]
) -> None:
    with shop.read_session() as session, pytest.raises(error):
        CompiledRepository(Part, session, into=into)


def test_in_a_unit_instances_are_detached_and_sealed(
    shop: Database, raw_only: None
) -> None:
    def work(unit: Unit) -> tuple[Part, Part]:
        parts = CompiledRepository(Part, unit)
        part = part_named(unit, "part 3")
        part.name = "nobody looks at this"
        return parts.get(part.id), parts.add({"name": "new"})

    for part in shop.write(work, actor="bob"):
        assert sa.inspect(part).detached
        assert not sa.inspect(part).modified
        with pytest.raises(NotLoaded, match=r"load=\(Part\.bin,\)"):
            _ = part.bin
        with pytest.raises(NotLoaded, match=r"Part\.photo"):
            _ = part.photo
    assert (part.name, part.created_by, part.version) == ("new", "bob", 1)
    with shop.write_session() as session:
        session.add(part)
        part.quantity = 5
    assert shop.read(lambda unit: part_named(unit, "new").version) == 2


def test_what_is_not_compiled_is_detached_in_a_unit_all_the_same(
    shop: Database,
) -> None:
    def work(unit: Unit) -> list[Part]:
        parts = CompiledRepository(Part, unit)
        listed = parts.list(Part.quantity > 3, load=(Part.bin,))
        home = Bin(label="A")
        added = parts.add(Part(name="new", bin=home))
        assert parts.count(bin_id=home.id) == 1
        return [*listed, added, *parts.stream(name="new")]

    found = shop.write(work)
    assert [part.name for part in found] == ["part 4", "part 5", "new", "new"]
    assert all(sa.inspect(part).detached for part in found)
    assert found[0].bin is None


def test_the_session_of_a_unit_is_kept_in_step(shop: Database) -> None:
    def work(unit: Unit) -> None:
        parts = CompiledRepository(Part, unit)
        held = part_named(unit.session, "part 3")
        assert held in unit.session
        held.quantity = 30
        # What the session has pending is written before a compiled call reads.
        assert parts.get(held.id).quantity == 30
        parts.update(held.id, {"quantity": 31}, expected_version=2)
        assert (held.quantity, held.version) == (31, 3)
        parts.adjust(held.id, "quantity", 1)
        assert (held.quantity, held.version) == (32, 4)
        parts.upsert_many([{"id": held.id, "name": "x", "quantity": 40}])
        assert (held.quantity, held.name) == (40, "x")
        parts.delete(held.id, hard=True)
        assert held not in unit.session

    shop.write(work)


def test_a_session_knows_what_was_added_when_a_savepoint_is_rolled_back(
    shop: Database,
) -> None:
    with shop.write_session() as session:
        parts = CompiledRepository(Part, session)
        old = part_named(session, "part 1")
        savepoint = session.begin_nested()
        new = parts.add({"name": "new"})
        parts.update(old.id, {"quantity": 9}, expected_version=1)
        assert new in session
        savepoint.rollback()
        assert new not in session
        assert (old.quantity, old.version) == (1, 1)
        assert parts.find(name="new") is None


def test_a_refused_write_leaves_the_unit_usable(shop: Database) -> None:
    def work(unit: Unit) -> int:
        parts = CompiledRepository(Part, unit)
        key = part_named(unit, "part 3").id
        with pytest.raises(StaleVersion) as caught:
            parts.update(key, {"quantity": 1}, expected_version=7)
        assert (caught.value.expected, caught.value.actual) == (7, 1)
        with pytest.raises(Duplicate):
            parts.add({"name": "part 3"})
        with pytest.raises(Duplicate):
            parts.add_many({"name": f"part {n}"} for n in (10, 11, 3))
        with pytest.raises(NotFound):
            parts.get(uuid.uuid4())
        with pytest.raises(InvalidValue):
            parts.update(key, {"quantity": "1"}, expected_version=1)
        parts.update(key, {"quantity": 1}, expected_version=1)
        return parts.count()

    assert shop.write(work) == 6
    assert shop.read(lambda unit: part_named(unit, "part 3").version) == 2


def test_reading_units_refuse_writes(shop: Database) -> None:
    with pytest.raises(ReadOnlySession):
        shop.read(lambda unit: CompiledRepository(Part, unit).add({"name": "x"}))


@pytest.mark.anyio
async def test_under_asyncio_a_unit_is_the_way(shop: Database) -> None:
    added = await shop.async_write(
        lambda unit: CompiledRepository(Part, unit).add({"name": "new"}), actor="ann"
    )
    found = await shop.async_read(
        lambda unit: CompiledRepository(Part, unit, into=TupleRow).get(added.id)
    )
    assert found.name == "new"
    async with shop.async_read_session() as session:
        for wrong in (session, session.sync_session):
            with pytest.raises(InvalidValue, match="Session") as caught:
                CompiledRepository(Part, wrong)  # type: ignore[arg-type]
            assert "db.async_write" in str(caught.value)
    await shop.aclose()


def test_only_models_are_compiled(shop: Database) -> None:
    for work in (
        lambda unit: CompiledRepository(int, unit),
        lambda unit: CompiledRepository("part", unit),  # type: ignore[arg-type]
    ):
        with pytest.raises(SchemaError, match="mapped class"):
            shop.read(work)


def test_cursors_of_both_ways_are_the_same(shop: Database) -> None:
    with shop.read_session() as session:
        ways = [Repository(Part, session), CompiledRepository(Part, session)]
        for order in (None, "name", "-note", ("-price", Part.name)):
            pages = [way.page(size=2, order_by=order) for way in ways]
            assert pages[0].next_cursor == pages[1].next_cursor
            there = [
                way.page(size=2, order_by=order, after=page.next_cursor)
                for way, page in zip(ways, reversed(pages), strict=True)
            ]
            assert there[0] == there[1]


@pytest.mark.parametrize("event", ["before_insert", "after_update"])
def test_a_listener_that_is_added_later_is_heard(shop: Database, event: str) -> None:
    heard: list[str] = []

    def listen(_: Any, __: Any, part: Part) -> None:
        heard.append(part.name)

    with shop.write_session() as session:
        parts = CompiledRepository(Part, session)
        assert parts.explain() == {}
        new = parts.add({"name": "quiet"})
        parts.update(new.id, {"quantity": 5}, expected_version=1)
        sa.event.listen(Part, event, listen)
        try:
            assert "listens" in parts.explain()["writes"]
            part = parts.add({"name": "loud"})
            parts.update(part.id, {"quantity": 5}, expected_version=1)
        finally:
            sa.event.remove(Part, event, listen)
    assert heard == ["loud"]


def test_what_listens_to_an_instance_later_is_heard(shop: Database) -> None:
    heard: list[Any] = []

    def loaded(part: Part, _: Any) -> None:
        heard.append(part.name)

    def changed(_: Part, value: str, *__: Any) -> None:
        heard.append(value)

    def work(unit: Unit) -> None:
        parts = CompiledRepository(Part, unit)
        key = parts.add({"name": "quiet"}).id
        parts.update(key, {"name": "quiet"}, expected_version=1)
        parts.get(key)
        sa.event.listen(Part, "load", loaded)
        try:
            assert CompiledRepository(Part, unit).get(key).name == "quiet"
        finally:
            sa.event.remove(Part, "load", loaded)
        sa.event.listen(Part.name, "set", changed)
        try:
            parts.add({"name": "loud"})
            parts.update(key, {"name": "louder"}, expected_version=2)
        finally:
            sa.event.remove(Part.name, "set", changed)

    shop.write(work)
    assert heard == ["quiet", "loud", "louder"]


def test_why_a_model_is_not_compiled(db: Database) -> None:
    create(db, ZooBase)
    with db.write_session() as session:
        assert "inheritance" in CompiledRepository(Driver, session).explain()["reads"]
        assert "length" in CompiledRepository(Odd, session).explain()["reads"]
        odd = CompiledRepository(Odd, session).add({"first": "A", "last": "B"})
        assert odd.length == 1


def test_a_recorded_write_is_compiled_too(db: Database, raw_only: None) -> None:
    create(db, AuditedBase)

    def work(unit: Unit) -> None:
        tools = CompiledRepository(Tool, unit)
        saw = tools.add({"name": "Saw", "pin": "1234"})
        tools.update(saw.id, {"quantity": 2, "pin": "9"}, expected_version=1)
        tools.adjust(saw.id, Tool.quantity, -1)
        tools.delete(saw.id)
        tools.delete(saw.id, hard=True)
        tools.add_many({"name": f"t{n}"} for n in range(3))

    db.write(work, actor="ann")
    with db.read_session() as session:
        entries = Repository(Entry, session).list(order_by="id")
    assert [entry.action for entry in entries] == [
        *("insert", "update", "update", "delete", "delete"),
        *["insert"] * 3,
    ]
    assert {entry.actor for entry in entries} == {"ann"}
    assert entries[1].after == {
        **entries[1].after,
        "pin": "***",
        "quantity": 2,
        "version": 2,
    }


def test_nothing_of_a_compiled_read_goes_through_sqlalchemy(
    shop: Database, raw_only: None
) -> None:
    with shop.read_session() as session:
        parts = CompiledRepository(Part, session)
        parts.list()
        with statements(shop) as seen:
            parts.list(note=None, order_by="-quantity")
            parts.page(size=2)
        assert seen == []


def test_names_that_no_parameter_can_have(db: Database) -> None:
    create(db, ZooBase)
    rows = [
        {"key": n, "price": D(n) / 8, "about": {"n": [n]}, "at": uuid.UUID(int=n)}
        for n in range(1, 5)
    ]

    def write(unit: Unit) -> None:
        oddly = CompiledRepository(OddlyNamed, unit)
        assert oddly.explain() == {}
        with pytest.raises(InvalidValue):
            oddly.add({**rows[0], "price": D("0.00001")})
        oddly.add(rows[0])
        oddly.add_many(rows[1:3])
        oddly.update(2, {"price": D(7), "about": {}})
        oddly.upsert_many([{**rows[2], "price": D(9)}, rows[3]])
        assert oddly.count(price=D(9)) == 1
        assert [row.key for row in oddly.list(at=rows[3]["at"])] == [4]

    db.write(write)
    rows[1] |= {"price": D(7), "about": {}}
    rows[2] |= {"price": D(9)}
    with db.read_session() as session:
        for repository in (Repository, CompiledRepository):
            found = repository(OddlyNamed, session).list(order_by="key")
            assert [
                {name: getattr(row, name) for name in rows[0]} for row in found
            ] == rows
