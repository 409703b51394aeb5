"""Reading work orders: lists that page, and one order with all that belongs to it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, joinedload

from fixit.clock import now
from fixit.errors import NotThere, PinChangeRequired
from fixit.models import (
    Attachment,
    ChecklistCompletion,
    Equipment,
    LaborLog,
    Priority,
    WorkOrder,
    WorkOrderLog,
    WorkOrderPart,
    WorkStatus,
)
from fixit.permissions import Identity, require
from fixit.services.transitions import Action, possible_actions
from lockstep import Page, Repository

PAGE_SIZE = 25
UNFINISHED = (WorkStatus.OPEN, WorkStatus.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which work orders a list shows; every field narrows it.

    Attributes:
        scope: ``mine`` is assigned to me, ``reported`` by me.
        statuses: Any of these; empty means every status.
        search: Words of the number (``#17``), the text or the machine.
        newest_first: Else the most urgent first, by when it is due.
    """

    scope: Literal["all", "mine", "unassigned", "reported"] = "all"
    statuses: tuple[WorkStatus, ...] = UNFINISHED
    priority: Priority | None = None
    equipment_id: uuid.UUID | None = None
    overdue: bool = False
    search: str = ""
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class OrderDetail:
    """A work order and everything on its page."""

    order: WorkOrder
    steps: list[ChecklistCompletion]
    parts: list[WorkOrderPart]
    labor: list[LaborLog]
    log: list[WorkOrderLog]
    attachments: list[Attachment]
    actions: frozenset[Action]
    """What this user may do with it now: the page shows these buttons."""

    @property
    def minutes(self) -> int:
        """All minutes worked on it."""
        return sum(entry.minutes for entry in self.labor)


def list_orders(
    session: Session,
    who: Identity,
    wanted: OrderFilter | None = None,
    *,
    after: str | None = None,
    before: str | None = None,
    size: int = PAGE_SIZE,
) -> Page[WorkOrder]:
    """Return a page of work orders with their machine and assignee.

    Users without ``work_orders:view`` see those they reported themselves.
    """
    wanted = wanted or OrderFilter()
    order_by = (
        (WorkOrder.number.desc(),)
        if wanted.newest_first
        else (WorkOrder.due_at.asc(), WorkOrder.number.asc())
    )
    return Repository(WorkOrder, session).page(
        *_conditions(session, who, wanted),
        order_by=order_by,
        size=size,
        after=after,
        before=before,
        load=(WorkOrder.equipment, WorkOrder.assignee),
    )


def count_orders(
    session: Session, who: Identity, wanted: OrderFilter | None = None
) -> int:
    """Return how many work orders a list would show on all its pages."""
    conditions = _conditions(session, who, wanted or OrderFilter())
    return Repository(WorkOrder, session).count(*conditions)


def get_order(session: Session, who: Identity, order_id: uuid.UUID) -> OrderDetail:
    """Return one work order with all that belongs to it.

    Raises:
        NotThere: No such order, or this user may not see it.
    """
    order = session.scalar(
        select(WorkOrder)
        .where(WorkOrder.id == order_id)
        .options(
            joinedload(WorkOrder.equipment).joinedload(Equipment.location),
            joinedload(WorkOrder.reporter),
            joinedload(WorkOrder.assignee),
        )
    )
    if order is None or not may_see(who, order):
        raise NotThere("There is no such work order.")
    return OrderDetail(
        order=order,
        steps=_steps(session, order_id),
        parts=_parts(session, order_id),
        labor=_labor(session, order_id),
        log=_log(session, order_id),
        attachments=_attachments(session, order_id),
        actions=possible_actions(who, order),
    )


def find_order_by_number(session: Session, who: Identity, number: int) -> uuid.UUID:
    """Return the key of the order that people call by ``number``.

    Raises:
        NotThere: No such order, or this user may not see it.
    """
    order = None
    if 0 < number < 2**63:
        order = Repository(WorkOrder, session).find(WorkOrder.number == number)
    if order is None or not may_see(who, order):
        raise NotThere(f"There is no work order {number}.")
    return order.id


def may_see(who: Identity, order: WorkOrder) -> bool:
    """Return whether a user may look at an order: by role, or as its reporter."""
    if who.must_change_pin:
        raise PinChangeRequired
    return who.may("work_orders:view") or order.reporter_id == who.user_id


def _conditions(
    session: Session, who: Identity, wanted: OrderFilter
) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if wanted.scope == "reported" or not who.may("work_orders:view"):
        require(who, "work_orders:report")
        where.append(WorkOrder.reporter_id == who.user_id)
    if wanted.scope == "mine":
        where.append(WorkOrder.assignee_id == who.user_id)
    if wanted.scope == "unassigned":
        where.append(WorkOrder.assignee_id.is_(None))
    if wanted.statuses:
        where.append(WorkOrder.status.in_(wanted.statuses))
    if wanted.priority is not None:
        where.append(WorkOrder.priority == wanted.priority)
    if wanted.equipment_id is not None:
        where.append(WorkOrder.equipment_id == wanted.equipment_id)
    if wanted.overdue:
        where.append(WorkOrder.due_at < now(session))
        where.append(WorkOrder.status.in_(UNFINISHED))
    of_machine = Equipment.matching(wanted.search)
    for own, machine in zip(WorkOrder.matching(wanted.search), of_machine, strict=True):
        where.append(own | WorkOrder.equipment.has(machine))
    return where


def _steps(session: Session, order_id: uuid.UUID) -> list[ChecklistCompletion]:
    return Repository(ChecklistCompletion, session).list(
        ChecklistCompletion.work_order_id == order_id,
        order_by=(ChecklistCompletion.position,),
        load=(ChecklistCompletion.done_by,),
    )


def _parts(session: Session, order_id: uuid.UUID) -> list[WorkOrderPart]:
    return Repository(WorkOrderPart, session).list(
        WorkOrderPart.work_order_id == order_id,
        WorkOrderPart.quantity > 0,
        order_by=(WorkOrderPart.id,),
        load=(WorkOrderPart.part,),
    )


def _labor(session: Session, order_id: uuid.UUID) -> list[LaborLog]:
    return Repository(LaborLog, session).list(
        LaborLog.work_order_id == order_id,
        order_by=(LaborLog.at, LaborLog.id),
        load=(LaborLog.user,),
    )


def _log(session: Session, order_id: uuid.UUID) -> list[WorkOrderLog]:
    return Repository(WorkOrderLog, session).list(
        WorkOrderLog.work_order_id == order_id,
        order_by=(WorkOrderLog.at, WorkOrderLog.id),
        load=(WorkOrderLog.author,),
    )


def _attachments(session: Session, order_id: uuid.UUID) -> list[Attachment]:
    return Repository(Attachment, session).list(
        Attachment.entity_type == "work_orders",
        Attachment.entity_id == order_id,
        order_by=(Attachment.created_at, Attachment.id),
    )
