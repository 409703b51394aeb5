"""A work order's way through its statuses, safe against two people at once.

Every function locks the order's row first (SQLite: the write session has the whole
file), so what it checks stays true until it commits. The version a page was made
from catches the rest: a button on a stale page changes nothing.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from fixit.clock import now
from fixit.errors import AlreadyTaken, Invalid, NotThere, StepsMissing
from fixit.models import (
    ChecklistCompletion,
    Equipment,
    EquipmentStatus,
    User,
    WorkOrder,
    WorkOrderLog,
    WorkStatus,
)
from fixit.permissions import Identity, require
from fixit.services.events import publish
from fixit.services.locking import lock_row
from fixit.services.notifications import notify, people_who_may
from fixit.services.orders import UNFINISHED, may_see
from fixit.services.transitions import Action, check
from fixit.validation import text, whole
from lockstep import Repository

DOWNTIME_MINUTES_MAX = 366 * 24 * 60


def take(session: Session, who: Identity, order_id: uuid.UUID) -> WorkOrder:
    """Begin work: the order is mine and in progress. Taking it twice is once.

    Raises:
        AlreadyTaken: Somebody else was faster; nothing was changed.
    """
    order = lock_order(session, who, order_id)
    if order.status is WorkStatus.IN_PROGRESS and order.assignee_id is not None:
        if order.assignee_id == who.user_id:
            return order
        raise AlreadyTaken(session.get_one(User, order.assignee_id).name)
    check(who, Action.TAKE, order)
    return _change(
        session,
        who,
        order,
        "taken",
        status=WorkStatus.IN_PROGRESS,
        assignee_id=who.user_id,
        started_at=order.started_at or now(session),
    )


def release(
    session: Session, who: Identity, order_id: uuid.UUID, reason: str = ""
) -> WorkOrder:
    """Give an order back to the list, for somebody else to take."""
    order = lock_order(session, who, order_id)
    check(who, Action.RELEASE, order)
    if order.assignee_id != who.user_id:
        require(who, "work_orders:assign")
    note = text(reason, "reason", most=1000, least=0)
    return _change(
        session,
        who,
        order,
        "released",
        note,
        status=WorkStatus.OPEN,
        assignee_id=None,
    )


def assign(
    session: Session,
    who: Identity,
    order_id: uuid.UUID,
    user_id: uuid.UUID,
    *,
    expected_version: int,
) -> WorkOrder:
    """Give the order to somebody, who is told.

    Raises:
        StaleVersion: The order changed since the page was made.
        Invalid: That user is not there, not active, or may not work on orders.
    """
    order = lock_order(session, who, order_id)
    check(who, Action.ASSIGN, order)
    if user_id not in people_who_may(session, "work_orders:work"):
        raise Invalid({"user_id": "This user cannot work on orders."})
    changed = _change(
        session,
        who,
        order,
        "assigned",
        session.get_one(User, user_id).name,
        expected_version=expected_version,
        status=WorkStatus.IN_PROGRESS,
        assignee_id=user_id,
        started_at=order.started_at or now(session),
    )
    notify(session, [user_id], order, f"#{order.number} is yours: {order.title}")
    return changed


def resolve(
    session: Session,
    who: Identity,
    order_id: uuid.UUID,
    *,
    resolution: str,
    downtime_minutes: int | None = None,
    expected_version: int | None = None,
) -> WorkOrder:
    """Finish the work; the reporter is told and the machine runs again.

    Args:
        session: A write session.
        who: Whoever finishes it.
        order_id: The order's key.
        resolution: What was done; required.
        downtime_minutes: How long the machine stood still; None counts from the
            report when the machine was down.
        expected_version: What the page showed; None skips that check.

    Raises:
        StepsMissing: Required steps of the checklist are open.
        StaleVersion: The order changed since the page was made.
    """
    order = lock_order(session, who, order_id)
    check(who, Action.RESOLVE, order)
    if missing := _missing_steps(session, order_id):
        raise StepsMissing(missing)
    words = text(resolution, "resolution", most=4000)
    if downtime_minutes is None:
        downtime_minutes = _minutes_down(order, now(session))
    _start_machine(session, order)
    changed = _change(
        session,
        who,
        order,
        "resolved",
        words,
        expected_version=expected_version,
        status=WorkStatus.RESOLVED,
        resolution=words,
        resolved_at=now(session),
        downtime_minutes=whole(
            downtime_minutes, "downtime_minutes", least=0, most=DOWNTIME_MINUTES_MAX
        ),
    )
    if order.reporter_id is not None and order.reporter_id != who.user_id:
        notify(session, [order.reporter_id], order, f"#{order.number} is resolved")
    return changed


def close(session: Session, who: Identity, order_id: uuid.UUID) -> WorkOrder:
    """Confirm that it is mended."""
    order = lock_order(session, who, order_id)
    check(who, Action.CLOSE, order)
    return _change(
        session,
        who,
        order,
        "closed",
        status=WorkStatus.CLOSED,
        closed_at=now(session),
    )


def reopen(
    session: Session, who: Identity, order_id: uuid.UUID, reason: str
) -> WorkOrder:
    """Put a finished order back on the list, with the reason.

    Its downtime stays as it was counted; a machine that stopped again is reported
    again.
    """
    order = lock_order(session, who, order_id)
    check(who, Action.REOPEN, order)
    note = text(reason, "reason", most=1000)
    changed = _change(
        session,
        who,
        order,
        "reopened",
        note,
        status=WorkStatus.OPEN,
        assignee_id=None,
        resolved_at=None,
        closed_at=None,
        machine_down=False,
    )
    told = set(people_who_may(session, "work_orders:work")) - {who.user_id}
    notify(session, told, order, f"#{order.number} is open again: {note}")
    return changed


def cancel(
    session: Session, who: Identity, order_id: uuid.UUID, reason: str
) -> WorkOrder:
    """Drop an order that needs no work, with the reason."""
    order = lock_order(session, who, order_id)
    check(who, Action.CANCEL, order)
    note = text(reason, "reason", most=1000)
    _start_machine(session, order)
    return _change(
        session,
        who,
        order,
        "cancelled",
        note,
        status=WorkStatus.CANCELLED,
        closed_at=now(session),
    )


def lock_order(session: Session, who: Identity, order_id: uuid.UUID) -> WorkOrder:
    """Return the order as it is now and keep others from changing it.

    Raises:
        NotThere: No such order, or this user may not see it.
    """
    order = lock_row(session, WorkOrder, order_id)
    if order is None or not may_see(who, order):
        raise NotThere("There is no such work order.")
    return order


def write_log(
    session: Session,
    order_id: uuid.UUID,
    author_id: uuid.UUID | None,
    action: str,
    note: str = "",
) -> None:
    """Add a line to what people read under the order."""
    session.add(
        WorkOrderLog(
            work_order_id=order_id,
            at=now(session),
            author_id=author_id,
            action=action,
            text=note,
        )
    )


def _change(
    session: Session,
    who: Identity,
    order: WorkOrder,
    action: str,
    note: str = "",
    *,
    expected_version: int | None = None,
    **values: Any,
) -> WorkOrder:
    """Update the order, write it into its log, tell open pages."""
    changed = Repository(WorkOrder, session).update(
        order.id,
        values,
        expected_version=order.version
        if expected_version is None
        else expected_version,
    )
    write_log(session, order.id, who.user_id, action, note)
    publish(session, "work_order", action, order.id)
    return changed


def _missing_steps(session: Session, order_id: uuid.UUID) -> list[str]:
    missing = select(ChecklistCompletion.text).where(
        ChecklistCompletion.work_order_id == order_id,
        ChecklistCompletion.is_required,
        ~ChecklistCompletion.is_done,
    )
    return list(session.scalars(missing.order_by(ChecklistCompletion.position)))


def _minutes_down(order: WorkOrder, until: datetime) -> int:
    if not order.machine_down:
        return order.downtime_minutes
    minutes = int((until - order.reported_at).total_seconds()) // 60
    return min(max(minutes, 0), DOWNTIME_MINUTES_MAX)


def _start_machine(session: Session, order: WorkOrder) -> None:
    """Let the machine run if it was down for this order and for no other."""
    if not order.machine_down:
        return
    still_down = select(
        exists().where(
            WorkOrder.equipment_id == order.equipment_id,
            WorkOrder.id != order.id,
            WorkOrder.machine_down,
            WorkOrder.status.in_(UNFINISHED),
        )
    )
    machine = lock_row(session, Equipment, order.equipment_id)
    if machine is None or machine.status is not EquipmentStatus.DOWN:
        return
    if not session.scalar(still_down):
        Repository(Equipment, session).update(
            machine.id,
            {"status": EquipmentStatus.RUNNING},
            expected_version=machine.version,
        )
