"""An operator reports a machine: which one, what is wrong, how bad."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from fixit.clock import now
from fixit.errors import NotThere
from fixit.models import (
    TIME_TO_REPAIR,
    Equipment,
    EquipmentStatus,
    Priority,
    WorkOrder,
)
from fixit.permissions import Identity, require
from fixit.services.events import next_number, publish
from fixit.services.locking import lock_row
from fixit.services.notifications import notify, people_who_may
from fixit.services.orders import UNFINISHED
from fixit.services.work import write_log
from fixit.validation import choice, request_key, text
from lockstep import Repository

TITLE_LENGTH_MAX = 80
OPEN_ORDERS_SHOWN_MAX = 10


@dataclass(frozen=True, slots=True)
class Machine:
    """What somebody who scanned a label should see before reporting."""

    equipment: Equipment
    open_orders: list[WorkOrder]
    """What is known already, the most urgent first."""


def find_machine(session: Session, who: Identity, code: str) -> Machine:
    """Return the machine whose QR label or code this is, in any case.

    Raises:
        NotThere: No machine has this code.
    """
    require(who, "work_orders:report")
    equipment = _find_equipment(session, code)
    open_orders = Repository(WorkOrder, session).list(
        WorkOrder.equipment_id == equipment.id,
        WorkOrder.status.in_(UNFINISHED),
        order_by=(WorkOrder.due_at, WorkOrder.number),
        limit=OPEN_ORDERS_SHOWN_MAX,
        load=(WorkOrder.assignee,),
    )
    return Machine(equipment, open_orders)


def report(
    session: Session,
    who: Identity,
    *,
    machine: str,
    problem: str,
    priority: str,
    machine_down: bool | None = None,
    request: str | None = None,
) -> WorkOrder:
    """Make a work order and tell everybody who can work on it.

    Args:
        session: A write session.
        who: The reporter.
        machine: The machine's QR code or code.
        problem: What is wrong; its first line becomes the title.
        priority: ``critical``, ``high``, ``medium`` or ``low``; decides when it
            is due.
        machine_down: Whether the machine stands still; None: when critical.
        request: A key made with the form. The same key from the same user gives
            the same order, however often it is sent.

    Raises:
        Invalid: A field is empty, too long, or not one of the choices.
        NotThere: No machine has this code.
    """
    require(who, "work_orders:report")
    key = request_key(request)
    how_bad = choice(Priority, priority, "priority")
    what = text(problem, "problem", most=4000)
    equipment = _find_equipment(session, machine)
    if known := _sent_before(session, who, key):
        return known
    # The counter's lock lets two sendings of one form pass one after the other.
    number = next_number(session, "work_orders")
    if known := _sent_before(session, who, key):
        return known
    time = now(session)
    down = how_bad is Priority.CRITICAL if machine_down is None else machine_down
    title = what.splitlines()[0].strip()[:TITLE_LENGTH_MAX]
    order = Repository(WorkOrder, session).add(
        WorkOrder(
            number=number,
            title=title,
            description=what,
            priority=how_bad,
            equipment_id=equipment.id,
            reporter_id=who.user_id,
            reported_at=time,
            due_at=time + TIME_TO_REPAIR[how_bad],
            machine_down=down,
            request_key=key,
        )
    )
    if down:
        _stop_machine(session, equipment.id)
    write_log(session, order.id, who.user_id, "reported", what)
    told = set(people_who_may(session, "work_orders:work")) - {who.user_id}
    notify(session, told, order, f"{equipment.code}: {title}")
    publish(session, "work_order", "reported", order.id)
    return order


def _find_equipment(session: Session, code: str) -> Equipment:
    wanted = text(code, "machine", most=64).upper()
    found = session.scalar(
        select(Equipment)
        .where(
            (Equipment.qr_code == wanted) | (Equipment.code == wanted),
            Equipment.deleted_at.is_(None),
            Equipment.status != EquipmentStatus.RETIRED,
        )
        .options(joinedload(Equipment.location))
        .order_by(Equipment.qr_code != wanted)
        .limit(1)
    )
    if found is None:
        raise NotThere("No machine has this code.")
    return found


def _sent_before(session: Session, who: Identity, key: str | None) -> WorkOrder | None:
    if key is None:
        return None
    return Repository(WorkOrder, session).find(
        WorkOrder.reporter_id == who.user_id, WorkOrder.request_key == key
    )


def _stop_machine(session: Session, equipment_id: uuid.UUID) -> None:
    machine = lock_row(session, Equipment, equipment_id)
    if machine is not None and machine.status is not EquipmentStatus.DOWN:
        Repository(Equipment, session).update(
            machine.id,
            {"status": EquipmentStatus.DOWN},
            expected_version=machine.version,
        )
