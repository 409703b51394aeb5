"""Maintenance that comes back: the scheduler makes each due order exactly once.

A schedule's row is locked while its order is made, and a unique key on schedule and
due date stands behind it: run it twice, on two servers at once, or after a crash,
and there is one order.
"""

from __future__ import annotations

import uuid
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from fixit.clock import now, start_of, today
from fixit.models import (
    TIME_TO_REPAIR,
    ChecklistCompletion,
    Equipment,
    Schedule,
    WorkKind,
    WorkOrder,
)
from fixit.permissions import Identity, require
from fixit.services.events import next_number, publish
from fixit.services.notifications import notify, people_who_may
from fixit.services.work import write_log
from lockstep import Repository


def list_schedules(session: Session, who: Identity) -> list[Schedule]:
    """Return all schedules, the next due first, with machine and checklist."""
    require(who, "work_orders:view")
    return Repository(Schedule, session).list(
        order_by=(Schedule.next_due_on, Schedule.name, Schedule.id),
        load=(Schedule.equipment, Schedule.checklist),
    )


def set_active(
    session: Session,
    who: Identity,
    schedule_id: uuid.UUID,
    *,
    is_active: bool,
    expected_version: int,
) -> Schedule:
    """Pause a schedule or let it go on."""
    require(who, "schedules:manage")
    return Repository(Schedule, session).update(
        schedule_id, {"is_active": is_active}, expected_version=expected_version
    )


def run_due(session: Session, on: date | None = None) -> list[WorkOrder]:
    """Make the orders that are due and set each schedule to its next date.

    A schedule that missed several dates, because nothing ran for weeks, makes one
    order for the latest of them.

    Args:
        session: A write session; everything is made or nothing.
        on: The date to make orders for; None is today at the site.

    Returns:
        The new orders; none when all were made before.
    """
    on = on or today(session)
    due = session.scalars(
        select(Schedule)
        .where(Schedule.is_active, Schedule.next_due_on <= on)
        .options(joinedload(Schedule.checklist))
        .order_by(Schedule.id)
        .with_for_update(of=Schedule, key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    made: list[WorkOrder] = []
    for schedule in due:
        due_on, next_due_on = _dates(schedule, on)
        if not _is_made(session, schedule, due_on):
            made.append(_make(session, schedule, due_on))
        Repository(Schedule, session).update(
            schedule.id,
            {"next_due_on": next_due_on},
            expected_version=schedule.version,
        )
    for order in made:
        publish(session, "work_order", "scheduled", order.id)
    return made


def _dates(schedule: Schedule, on: date) -> tuple[date, date]:
    """Return the latest date that is due, and the first after ``on``."""
    interval = timedelta(days=schedule.interval_days)
    missed = (on - schedule.next_due_on) // interval
    due_on = schedule.next_due_on + missed * interval
    return due_on, due_on + interval


def _is_made(session: Session, schedule: Schedule, due_on: date) -> bool:
    return Repository(WorkOrder, session).exists(
        WorkOrder.schedule_id == schedule.id, WorkOrder.scheduled_for == due_on
    )


def _make(session: Session, schedule: Schedule, due_on: date) -> WorkOrder:
    machine = session.get_one(Equipment, schedule.equipment_id)
    number = next_number(session, "work_orders")
    title = schedule.name
    order = Repository(WorkOrder, session).add(
        WorkOrder(
            number=number,
            kind=WorkKind.MAINTENANCE,
            title=title,
            priority=schedule.priority,
            equipment_id=machine.id,
            reported_at=now(session),
            due_at=start_of(due_on) + TIME_TO_REPAIR[schedule.priority],
            schedule_id=schedule.id,
            scheduled_for=due_on,
        )
    )
    steps = schedule.checklist.steps if schedule.checklist else []
    Repository(ChecklistCompletion, session).add_many(
        [
            ChecklistCompletion(
                work_order_id=order.id,
                position=position,
                text=step["text"],
                is_required=step["required"],
            )
            for position, step in enumerate(steps, start=1)
        ]
    )
    write_log(session, order.id, None, "scheduled", f"due on {due_on.isoformat()}")
    technicians = people_who_may(session, "work_orders:resolve")
    notify(session, technicians, order, f"{machine.code}: {title}")
    return order
