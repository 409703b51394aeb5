"""The demo's four work orders: one breakdown, one being mended, two to come."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from fixit.clock import now
from fixit.models import (
    TIME_TO_REPAIR,
    Equipment,
    EquipmentStatus,
    Notification,
    Priority,
    WorkOrder,
    WorkOrderLog,
    WorkStatus,
)
from fixit.seed.rows import fixed_id, missing_ids
from fixit.services.events import next_number, publish
from lockstep.migrations import upsert_seed


@dataclass(frozen=True, slots=True)
class Story:
    """A work order to begin with."""

    name: str
    machine: str
    priority: Priority
    reported_ago: timedelta
    text: str
    down: bool = False
    taken: bool = False


STORIES = [
    Story(
        "noise",
        "CONV-001",
        Priority.MEDIUM,
        timedelta(hours=20),
        "Squeaking at the third roller\nWorse when the belt is loaded.",
        taken=True,
    ),
    Story(
        "label",
        "PKG-001",
        Priority.LOW,
        timedelta(hours=9),
        "Labels are printed crooked\nAbout one in twenty.",
    ),
    Story(
        "light",
        "QS-001",
        Priority.HIGH,
        timedelta(hours=3),
        "Ring light flickers\nThe camera rejects good parts.",
    ),
    Story(
        "breakdown",
        "IM-001",
        Priority.CRITICAL,
        timedelta(minutes=25),
        "Machine stopped with alarm E-204\nHeating zone 3 does not get warm.",
        down=True,
    ),
]


def add(session: Session) -> None:
    """Add the orders that are missing, each with its log."""
    by_id = {fixed_id("order", story.name): story for story in STORIES}
    missing = missing_ids(session, WorkOrder, by_id)
    for order_id, story in by_id.items():
        if order_id in missing:
            _add(session, order_id, story)


def _add(session: Session, order_id: uuid.UUID, story: Story) -> None:
    reported_at = now(session) - story.reported_ago
    operator, technician = fixed_id("user", "OP-001"), fixed_id("user", "TECH-001")
    number = next_number(session, "work_orders")
    row = {
        "id": order_id,
        "number": number,
        "title": story.text.splitlines()[0],
        "description": story.text,
        "priority": story.priority,
        "status": WorkStatus.IN_PROGRESS if story.taken else WorkStatus.OPEN,
        "equipment_id": fixed_id("equipment", story.machine),
        "reporter_id": operator,
        "assignee_id": technician if story.taken else None,
        "reported_at": reported_at,
        "due_at": reported_at + TIME_TO_REPAIR[story.priority],
        "started_at": reported_at + timedelta(hours=1) if story.taken else None,
        "machine_down": story.down,
    }
    upsert_seed(session, WorkOrder, [row])
    order = session.get_one(WorkOrder, order_id)
    _write_log(session, order, operator, technician)
    if story.down:
        _stop_machine(session, order)
    publish(session, "work_order", "reported", order.id)


def _write_log(
    session: Session, order: WorkOrder, operator: uuid.UUID, technician: uuid.UUID
) -> None:
    session.add(
        WorkOrderLog(
            work_order_id=order.id,
            at=order.reported_at,
            author_id=operator,
            action="reported",
            text=order.description,
        )
    )
    if order.started_at is not None:
        session.add(
            WorkOrderLog(
                work_order_id=order.id,
                at=order.started_at,
                author_id=technician,
                action="taken",
            )
        )
    else:
        session.add(
            Notification(
                user_id=technician,
                work_order_id=order.id,
                at=order.reported_at,
                text=order.title,
            )
        )


def _stop_machine(session: Session, order: WorkOrder) -> None:
    machine = session.get_one(Equipment, order.equipment_id)
    machine.status = EquipmentStatus.DOWN
    session.flush()
