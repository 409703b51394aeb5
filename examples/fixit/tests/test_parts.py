"""Stock that never goes below zero, and a ledger that always adds up."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from acting import People, acting, at_once, order_id, part_id
from sqlalchemy import func, select

from fixit.errors import Forbidden, Invalid, NotPossibleNow, NotThere
from fixit.models import InventoryLevel, InventoryTransaction, WorkOrderPart
from fixit.permissions import Identity
from fixit.seed.rows import fixed_id
from fixit.services import orders, parts, stock
from lockstep import Database
from lockstep.errors import Duplicate, NotEnough, StaleVersion

NOISE, LABEL, BELT = order_id("noise"), order_id("label"), part_id("BELT-A68")
STORE, HALL = fixed_id("location", "STORE"), fixed_id("location", "HALL-A")


def do(db: Database, who: Identity, action: Callable[..., Any], *args: Any, **kw: Any):
    with acting(db, who) as session:
        return action(session, who, *args, **kw)


@pytest.fixture(autouse=True)
def the_ledger_adds_up(db: Database):
    """After every test: each bin holds the sum of its ledger lines."""
    yield
    with db.read_session() as session:
        sums = select(
            InventoryLevel.quantity,
            select(func.coalesce(func.sum(InventoryTransaction.delta), 0))
            .where(InventoryTransaction.level_id == InventoryLevel.id)
            .scalar_subquery(),
        )
        for quantity, total in session.execute(sums):
            assert quantity == total >= 0


def on_hand(db: Database, part: uuid.UUID = BELT) -> int:
    with db.read_session() as session:
        total = select(func.sum(InventoryLevel.quantity))
        return session.scalar(total.where(InventoryLevel.part_id == part)) or 0


def used(db: Database) -> int:
    with db.read_session() as session:
        return session.scalar(select(func.sum(WorkOrderPart.quantity))) or 0


def test_taking_moves_parts_to_the_order(db: Database, who: People) -> None:
    line = do(db, who.technician, parts.take_parts, NOISE, BELT, 2)
    assert (line.delta, line.balance) == (-2, 3)
    do(db, who.technician, parts.take_parts, NOISE, BELT, 1)
    with db.read_session() as session:
        found = orders.get_order(session, who.technician, NOISE)
    assert [(use.part.sku, use.quantity) for use in found.parts] == [("BELT-A68", 3)]
    assert found.parts[0].unit_cost == Decimal("11.90")
    assert found.log[-1].text == "1 pcs V-belt A68 (BELT-A68)"
    assert on_hand(db) == 2


def test_five_on_the_shelf_two_takes_of_four(db: Database, who: People) -> None:
    def take() -> int:
        return do(db, who.technician, parts.take_parts, NOISE, BELT, 4).balance

    results = at_once([take, take])
    assert results.count(1) == 1, results
    (refused,) = [result for result in results if isinstance(result, NotEnough)]
    assert (refused.wanted, refused.available) == (4, 1)
    assert on_hand(db) == 1
    assert used(db) == 4


def test_ten_people_take_one_each_of_five(db: Database, who: People) -> None:
    def take() -> int:
        return do(db, who.technician, parts.take_parts, NOISE, BELT, 1).balance

    results = at_once([take] * 10)
    balances = sorted(result for result in results if isinstance(result, int))
    assert balances == [0, 1, 2, 3, 4], results
    assert sum(isinstance(result, NotEnough) for result in results) == 5
    assert used(db) == 5


def test_a_take_sent_ten_times_at_once_is_one(db: Database, who: People) -> None:
    def take() -> uuid.UUID:
        line = do(db, who.technician, parts.take_parts, NOISE, BELT, 1, request="form")
        return line.id

    assert len(set(at_once([take] * 10))) == 1
    assert on_hand(db) == 4


def test_a_refused_take_leaves_nothing_behind(db: Database, who: People) -> None:
    with pytest.raises(NotEnough) as refused:
        do(db, who.technician, parts.take_parts, NOISE, BELT, 6)
    assert refused.value.available == 5
    assert on_hand(db) == 5
    assert used(db) == 0
    with db.read_session() as session:
        log = orders.get_order(session, who.technician, NOISE).log
    assert [line.action for line in log] == ["reported", "taken"]


def test_returned_parts_go_to_the_bin_they_came_from(db: Database, who: People) -> None:
    second = do(
        db, who.storekeeper, stock.receive, BELT, HALL, 2, bin_label="Cart 1"
    ).level_id
    do(db, who.technician, parts.take_parts, NOISE, BELT, 2, level_id=second)
    line = do(db, who.technician, parts.return_parts, NOISE, BELT, 1)
    assert line.level_id == second
    assert line.balance == 1
    with pytest.raises(NotEnough) as refused:
        do(db, who.technician, parts.return_parts, NOISE, BELT, 2)
    assert refused.value.available == 1
    assert used(db) == 1


def test_nothing_comes_back_that_was_not_taken(db: Database, who: People) -> None:
    with pytest.raises(NotEnough) as refused:
        do(db, who.technician, parts.return_parts, NOISE, BELT, 1)
    assert refused.value.available == 0


@pytest.mark.parametrize("quantity", [0, -1, -(2**63), 1_000_001, 2**80])
def test_a_quantity_is_a_small_positive_number(
    db: Database, who: People, quantity: int
) -> None:
    for action in (parts.take_parts, parts.return_parts):
        with pytest.raises(Invalid):
            do(db, who.technician, action, NOISE, BELT, quantity)


def test_parts_go_to_orders_that_are_worked_on(db: Database, who: People) -> None:
    with pytest.raises(NotPossibleNow):
        do(db, who.technician, parts.take_parts, LABEL, BELT, 1)
    with pytest.raises(Forbidden):
        do(db, who.operator, parts.take_parts, NOISE, BELT, 1)
    with pytest.raises(NotThere):
        do(db, who.technician, parts.take_parts, NOISE, uuid.uuid4(), 1)
    level = fixed_id("level", "FUSE-10")
    with pytest.raises(Invalid):
        do(db, who.technician, parts.take_parts, NOISE, BELT, 1, level_id=level)


def test_a_part_that_lies_nowhere(db: Database, who: People) -> None:
    new = do(db, who.storekeeper, stock.add_part, sku="new-1", name="New part")
    with pytest.raises(NotEnough) as refused:
        do(db, who.technician, parts.take_parts, NOISE, new.id, 1)
    assert refused.value.available == 0
    do(db, who.storekeeper, stock.receive, new.id, STORE, 3, bin_label="E-01")
    do(db, who.technician, parts.take_parts, NOISE, new.id, 1)
    assert on_hand(db, new.id) == 2


def test_a_delivery_sent_twice_is_one(db: Database, who: People) -> None:
    for _ in range(2):
        do(
            db,
            who.storekeeper,
            stock.receive,
            BELT,
            STORE,
            10,
            bin_label="A-02",
            request="form",
        )
    assert on_hand(db) == 15


def test_two_deliveries_into_one_new_bin(db: Database, who: People) -> None:
    def receive() -> uuid.UUID:
        line = do(db, who.storekeeper, stock.receive, BELT, HALL, 5, bin_label="New")
        return line.level_id

    results = at_once([receive] * 4)
    assert len(set(results)) == 1, results
    assert on_hand(db) == 25


def test_counting_corrects_with_a_reason(db: Database, who: People) -> None:
    level = fixed_id("level", "BELT-A68")
    line = do(db, who.storekeeper, stock.count, level, 3, reason="Two were broken")
    assert (line.delta, line.balance) == (-2, 3)
    assert do(db, who.storekeeper, stock.count, level, 3, reason="Again") is None
    assert (
        do(db, who.storekeeper, stock.count, level, 0, reason="All gone").balance == 0
    )
    for counted, reason in ((-1, "x"), (2**70, "x"), (5, " ")):
        with pytest.raises(Invalid):
            do(db, who.storekeeper, stock.count, level, counted, reason=reason)
    with pytest.raises(Forbidden):
        do(db, who.technician, stock.count, level, 5, reason="x")
    with pytest.raises(NotThere):
        do(db, who.storekeeper, stock.count, uuid.uuid4(), 5, reason="x")


def test_counting_while_others_take(db: Database, who: People) -> None:
    level = fixed_id("level", "FUSE-10")
    fuse = part_id("FUSE-10")

    def take() -> int:
        return do(db, who.technician, parts.take_parts, NOISE, fuse, 1).balance

    def count() -> Any:
        return do(db, who.storekeeper, stock.count, level, 30, reason="Inventory")

    results = at_once([take, take, count, take, take])
    assert not [result for result in results if isinstance(result, Exception)]
    assert on_hand(db, fuse) in range(26, 31)


def test_the_emptiest_parts_come_first(db: Database, who: People) -> None:
    with db.read_session() as session:
        low = stock.low_parts(session, who.technician)
        assert [part.sku for part in low] == ["FLT-AIR", "CBL-M12-5"]
        assert all(part.is_low for part in low)
        page = stock.list_parts(session, who.technician, size=5)
        assert [part.name for part in page.items] == sorted(
            part.name for part in page.items
        )
        rest = stock.list_parts(
            session, who.technician, size=50, after=page.next_cursor
        )
        assert len(page.items) + len(rest.items) == 12


@pytest.mark.parametrize(
    ("search", "found"),
    [("bearing", 1), ("BRG", 1), ("m12 sensor", 2), ("100%", 0), ("_", 0), ("", 12)],
)
def test_searching_parts(db: Database, who: People, search: str, found: int) -> None:
    with db.read_session() as session:
        page = stock.list_parts(session, who.technician, search=search)
    assert len(page.items) == found


def test_the_ledger_says_who_and_what_for(db: Database, who: People) -> None:
    do(db, who.technician, parts.take_parts, NOISE, BELT, 2)
    with db.read_session() as session:
        page = stock.ledger(session, who.storekeeper, BELT)
        part = stock.get_part(session, who.storekeeper, BELT)
    newest = page.items[0]
    assert newest.user is not None
    assert newest.work_order is not None
    assert (newest.user.name, newest.work_order.title) == (
        "Tomas Weber",
        "Squeaking at the third roller",
    )
    assert part.levels[0].location.name == "Spare Parts Store"
    assert part.on_hand == 3


def test_a_new_part_is_checked(db: Database, who: People) -> None:
    good = {"sku": "X-1", "name": "X"}
    for change in (
        {"sku": "a b"},
        {"name": ""},
        {"unit_cost": Decimal(-1)},
        {"unit_cost": Decimal("NaN")},
        {"unit_cost": Decimal("1e30")},
        {"reorder_point": -1},
    ):
        with pytest.raises(Invalid):
            do(db, who.storekeeper, stock.add_part, **{**good, **change})
    with pytest.raises(Duplicate):
        do(db, who.storekeeper, stock.add_part, sku="brg-6204", name="Twin")
    with pytest.raises(Forbidden):
        do(db, who.technician, stock.add_part, **good)


def test_a_changed_part_is_found_and_its_stock_stays(db: Database, who: People) -> None:
    part = do(db, who.storekeeper, stock.get_part, BELT)
    form = {"name": "Keilriemen Größe A68", "unit_cost": Decimal("12.5")}
    changed = do(
        db,
        who.storekeeper,
        stock.change_part,
        BELT,
        **form,
        reorder_point=9,
        expected_version=part.version,
    )
    assert changed.unit_cost == Decimal("12.50")
    assert on_hand(db) == 5
    with db.read_session() as session:
        page = stock.list_parts(session, who.technician, search="GRÖSSE")
        assert [found.id for found in page.items] == [BELT]
        assert page.items[0].is_low
    with pytest.raises(StaleVersion):
        do(
            db,
            who.storekeeper,
            stock.change_part,
            BELT,
            **form,
            reorder_point=1,
            expected_version=part.version,
        )
