"""While the work is done: steps of the checklist, minutes, notes."""

from __future__ import annotations

import uuid

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fixit.clock import now
from fixit.errors import NotThere
from fixit.models import ChecklistCompletion, LaborLog, WorkOrder
from fixit.permissions import Identity
from fixit.services.events import publish
from fixit.services.transitions import Action, check
from fixit.services.work import lock_order, write_log
from fixit.validation import request_key, text, whole
from lockstep import Repository

MINUTES_MAX = 1440


def set_step(
    session: Session,
    who: Identity,
    order_id: uuid.UUID,
    step_id: uuid.UUID,
    *,
    is_done: bool,
) -> ChecklistCompletion:
    """Tick a step of the checklist, or take the tick back.

    Raises:
        NotThere: The order has no such step.
    """
    order = _lock_for_work(session, who, order_id)
    steps = Repository(ChecklistCompletion, session)
    step = steps.find(
        ChecklistCompletion.id == step_id,
        ChecklistCompletion.work_order_id == order.id,
    )
    if step is None:
        raise NotThere("This order has no such step.")
    if step.is_done == is_done:
        return step
    changed = steps.update(
        step.id,
        {
            "is_done": is_done,
            "done_at": now(session) if is_done else None,
            "done_by_id": who.user_id if is_done else None,
        },
        expected_version=step.version,
    )
    action = "step done" if is_done else "step not done"
    write_log(session, order.id, who.user_id, action, step.text)
    publish(session, "work_order", "step", order.id)
    return changed


def log_minutes(
    session: Session,
    who: Identity,
    order_id: uuid.UUID,
    minutes: int,
    *,
    note: str = "",
    request: str | None = None,
) -> LaborLog:
    """Write down minutes of work; a form sent twice counts once.

    Raises:
        Invalid: Not between 1 and 1440 minutes, or the note is too long.
    """
    order = _lock_for_work(session, who, order_id)
    key = request_key(request)
    entries = Repository(LaborLog, session)
    if key is not None:
        known = entries.find(
            LaborLog.user_id == who.user_id, LaborLog.request_key == key
        )
        if known is not None:
            return known
    entry = entries.add(
        LaborLog(
            work_order_id=order.id,
            user_id=who.user_id,
            at=now(session),
            minutes=whole(minutes, "minutes", most=MINUTES_MAX),
            note=text(note, "note", most=400, least=0),
            request_key=key,
        )
    )
    write_log(session, order.id, who.user_id, "worked", f"{minutes} min")
    publish(session, "work_order", "worked", order.id)
    return entry


def add_note(session: Session, who: Identity, order_id: uuid.UUID, note: str) -> None:
    """Add a note that everybody reads under the order, whatever its status."""
    order = lock_order(session, who, order_id)
    check(who, Action.NOTE, order)
    write_log(session, order.id, who.user_id, "note", text(note, "note", most=4000))
    publish(session, "work_order", "note", order.id)


def minutes_of(session: Session, order_id: uuid.UUID) -> int:
    """Return all minutes worked on an order."""
    total = select(func.sum(LaborLog.minutes)).where(LaborLog.work_order_id == order_id)
    return session.scalar(total) or 0


def _lock_for_work(session: Session, who: Identity, order_id: uuid.UUID) -> WorkOrder:
    order = lock_order(session, who, order_id)
    check(who, Action.WORK, order)
    return order
