"""Everybody at once: nobody waits for each other for ever, and all numbers agree."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from acting import People, acting, at_once, identity, part_id
from sqlalchemy import func, select

from fixit.errors import FixitError
from fixit.models import (
    Equipment,
    EquipmentStatus,
    Event,
    InventoryLevel,
    InventoryTransaction,
    WorkOrder,
    WorkOrderPart,
)
from fixit.permissions import Identity
from fixit.seed.rows import fixed_id
from fixit.services import orders, parts, people, progress, reporting, stock, work
from lockstep import Database
from lockstep.errors import NotEnough

WORKERS = 6
ACTIONS_EACH = 15
MACHINES = ("IM-001", "CONV-001")
SKUS = ("BELT-A68", "FUSE-10")


def one_action(db: Database, who: Identity, people: People, dice: random.Random) -> str:
    """Do something a technician does, to an order somebody else may have."""
    everything = orders.OrderFilter(statuses=())
    with db.read_session() as session:
        known = orders.list_orders(session, people.admin, everything, size=20).items
    order, part = dice.choice(known).id, part_id(dice.choice(SKUS))
    store, keeper = fixed_id("location", "STORE"), people.storekeeper
    actions: list[Callable[[Any], Any]] = [
        lambda s: reporting.report(
            s, who, machine=dice.choice(MACHINES), problem="x", priority="critical"
        ),
        lambda s: work.take(s, who, order),
        lambda s: work.resolve(s, who, order, resolution="Done"),
        lambda s: work.reopen(s, people.admin, order, "Again"),
        lambda s: parts.take_parts(s, who, order, part, 1),
        lambda s: parts.return_parts(s, who, order, part, 1),
        lambda s: progress.log_minutes(s, who, order, 5),
        lambda s: stock.receive(s, keeper, part, store, 2, bin_label="New"),
    ]
    try:
        with acting(db, who) as session:
            dice.choice(actions)(session)
    except (FixitError, NotEnough) as refusal:
        return type(refusal).__name__
    return "done"


def test_a_busy_day(db: Database, who: People) -> None:
    with acting(db, who.admin) as session:
        for number in range(2, WORKERS + 1):
            people.add_user(
                session,
                f"TECH-00{number}",
                f"Technician {number}",
                "technician",
                "804215",
                must_change_pin=False,
            )

    def worker(number: int) -> list[str]:
        me, dice = identity(db, f"TECH-00{number}"), random.Random(number)
        return [one_action(db, me, who, dice) for _ in range(ACTIONS_EACH)]

    results = at_once([lambda n=n: worker(n) for n in range(1, WORKERS + 1)])
    errors = [result for result in results if isinstance(result, Exception)]
    assert errors == []
    assert sum(result.count("done") for result in results) > ACTIONS_EACH

    numbers_agree(db)


def numbers_agree(db: Database) -> None:
    """Check what must hold after any day."""
    with db.read_session() as session:
        lines = select(func.coalesce(func.sum(InventoryTransaction.delta), 0)).where(
            InventoryTransaction.level_id == InventoryLevel.id
        )
        for quantity, total in session.execute(
            select(InventoryLevel.quantity, lines.scalar_subquery())
        ):
            assert quantity == total >= 0
        for_orders = InventoryTransaction.work_order_id.is_not(None)
        taken = session.scalar(
            select(-func.sum(InventoryTransaction.delta)).where(for_orders)
        )
        assert taken == session.scalar(select(func.sum(WorkOrderPart.quantity)))
        for counted in (WorkOrder.number, Event.sequence):
            found = list(session.scalars(select(counted).order_by(counted)))
            assert found == list(range(1, len(found) + 1))
        for machine in session.scalars(select(Equipment)):
            down = session.scalar(
                select(func.count()).where(
                    WorkOrder.equipment_id == machine.id,
                    WorkOrder.machine_down,
                    WorkOrder.status.in_(orders.UNFINISHED),
                )
            )
            assert (machine.status is EquipmentStatus.DOWN) == bool(down), machine.code
