"""Parts from the stock to an order, and back.

The quantity changes by one guarded subtraction in the database, never by reading,
subtracting and writing; the ledger line and the order's line are in the same
transaction. So a stock of five gives four to one of two, and one is left.
"""

from __future__ import annotations

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from fixit.errors import Invalid, NotThere
from fixit.models import (
    InventoryLevel,
    InventoryTransaction,
    Movement,
    SparePart,
    WorkOrder,
    WorkOrderPart,
)
from fixit.permissions import Identity, require
from fixit.services.events import publish
from fixit.services.stock import find_movement, move
from fixit.services.transitions import Action, check
from fixit.services.work import lock_order, write_log
from fixit.validation import request_key, whole
from lockstep import Repository
from lockstep.errors import NotEnough


def take_parts(
    session: Session,
    who: Identity,
    order_id: uuid.UUID,
    part_id: uuid.UUID,
    quantity: int,
    *,
    level_id: uuid.UUID | None = None,
    request: str | None = None,
) -> InventoryTransaction:
    """Take parts out of one bin for an order.

    Args:
        session: A write session.
        who: Whoever takes them.
        order_id: The order they are for; it must be in progress.
        part_id: Which part.
        quantity: How many, 1 to 1,000,000.
        level_id: Which bin; None takes from the fullest.
        request: A key made with the form; the same key takes once.

    Raises:
        NotEnough: The bin holds less; ``available`` says how many. Nothing moved.
    """
    require(who, "stock:take")
    order = _lock_for_work(session, who, order_id)
    if known := find_movement(session, who, request):
        return known
    part = _part(session, part_id)
    wanted = whole(quantity, "quantity")
    level = _level(session, part, level_id)
    if level is None:
        raise NotEnough(f"no {part.name} in stock", wanted=wanted, available=0)
    line = move(
        session,
        who,
        level.id,
        -wanted,
        Movement.TAKE,
        work_order_id=order.id,
        request=request_key(request),
    )
    _add_to_order(session, order, part, wanted)
    _write(session, who, order, "took", wanted, part)
    return line


def return_parts(
    session: Session,
    who: Identity,
    order_id: uuid.UUID,
    part_id: uuid.UUID,
    quantity: int,
    *,
    request: str | None = None,
) -> InventoryTransaction:
    """Put parts that were not needed back into the bin they came from.

    Raises:
        NotEnough: More than the order has taken; ``available`` says how many.
    """
    require(who, "stock:take")
    order = _lock_for_work(session, who, order_id)
    if known := find_movement(session, who, request):
        return known
    part = _part(session, part_id)
    wanted = whole(quantity, "quantity")
    used = _order_line(session, order, part)
    if used is None:
        raise NotEnough(f"no {part.name} on this order", wanted=wanted, available=0)
    Repository(WorkOrderPart, session).adjust(
        used.id, WorkOrderPart.quantity, -wanted, floor=0
    )
    line = move(
        session,
        who,
        _taken_from(session, order, part),
        wanted,
        Movement.RETURN,
        work_order_id=order.id,
        request=request_key(request),
    )
    _write(session, who, order, "returned", wanted, part)
    return line


def _lock_for_work(session: Session, who: Identity, order_id: uuid.UUID) -> WorkOrder:
    order = lock_order(session, who, order_id)
    check(who, Action.WORK, order)
    return order


def _part(session: Session, part_id: uuid.UUID) -> SparePart:
    part = Repository(SparePart, session).find(SparePart.id == part_id)
    if part is None:
        raise NotThere("There is no such part.")
    return part


def _level(
    session: Session, part: SparePart, level_id: uuid.UUID | None
) -> InventoryLevel | None:
    levels = select(InventoryLevel).where(InventoryLevel.part_id == part.id)
    if level_id is None:
        fullest = levels.order_by(InventoryLevel.quantity.desc(), InventoryLevel.id)
        return session.scalar(fullest.limit(1))
    level = session.scalar(levels.where(InventoryLevel.id == level_id))
    if level is None:
        raise Invalid({"level_id": "This part does not lie there."})
    return level


def _order_line(
    session: Session, order: WorkOrder, part: SparePart
) -> WorkOrderPart | None:
    return Repository(WorkOrderPart, session).find(
        WorkOrderPart.work_order_id == order.id, WorkOrderPart.part_id == part.id
    )


def _add_to_order(
    session: Session, order: WorkOrder, part: SparePart, quantity: int
) -> None:
    lines = Repository(WorkOrderPart, session)
    line = _order_line(session, order, part)
    if line is not None:
        lines.adjust(line.id, WorkOrderPart.quantity, quantity)
        return
    lines.add(
        WorkOrderPart(
            work_order_id=order.id,
            part_id=part.id,
            quantity=quantity,
            unit_cost=part.unit_cost,
        )
    )


def _taken_from(session: Session, order: WorkOrder, part: SparePart) -> uuid.UUID:
    """Return the bin the order last took this part from."""
    last_take = (
        select(InventoryTransaction.level_id)
        .where(
            InventoryTransaction.work_order_id == order.id,
            InventoryTransaction.part_id == part.id,
            InventoryTransaction.movement == Movement.TAKE,
        )
        .order_by(InventoryTransaction.at.desc(), InventoryTransaction.id.desc())
        .limit(1)
    )
    return session.scalars(last_take).one()


def _write(
    session: Session,
    who: Identity,
    order: WorkOrder,
    action: str,
    quantity: int,
    part: SparePart,
) -> None:
    note = f"{quantity} {part.unit} {part.name} ({part.sku})"
    write_log(session, order.id, who.user_id, action, note)
    publish(session, "work_order", action, order.id)
    publish(session, "stock", action, part.id)
