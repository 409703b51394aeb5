"""The numbers on the first page, one query each, exact on both engines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from fixit.clock import now
from fixit.models import (
    Equipment,
    EquipmentStatus,
    InventoryLevel,
    Priority,
    SparePart,
    WorkOrder,
    WorkStatus,
)
from fixit.permissions import Identity, require
from fixit.services.orders import UNFINISHED

LOOK_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Numbers:
    """How the factory is doing.

    ``downtime_minutes`` and ``resolved`` look back over 30 days.
    """

    unfinished_by_priority: dict[Priority, int]
    unassigned: int
    in_progress: int
    overdue: int
    machines_down: int
    low_parts: int
    resolved: int
    downtime_minutes: int

    @property
    def unfinished(self) -> int:
        """All orders that are open or in progress."""
        return sum(self.unfinished_by_priority.values())


def numbers(session: Session, who: Identity) -> Numbers:
    """Return the numbers of this moment; one snapshot in a read session."""
    require(who, "work_orders:view")
    time = now(session)
    unfinished = WorkOrder.status.in_(UNFINISHED)
    recently = WorkOrder.resolved_at >= time - LOOK_BACK
    return Numbers(
        unfinished_by_priority=_by_priority(session),
        unassigned=_count(session, unfinished, WorkOrder.assignee_id.is_(None)),
        in_progress=_count(session, WorkOrder.status == WorkStatus.IN_PROGRESS),
        overdue=_count(session, unfinished, WorkOrder.due_at < time),
        machines_down=_count(session, Equipment.status == EquipmentStatus.DOWN),
        low_parts=_low_parts(session),
        resolved=_count(session, recently),
        downtime_minutes=session.scalar(
            select(func.coalesce(func.sum(WorkOrder.downtime_minutes), 0)).where(
                recently
            )
        )
        or 0,
    )


def _count(session: Session, *where: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).where(*where)) or 0


def _by_priority(session: Session) -> dict[Priority, int]:
    counted = session.execute(
        select(WorkOrder.priority, func.count())
        .where(WorkOrder.status.in_(UNFINISHED))
        .group_by(WorkOrder.priority)
    )
    found = {priority: number for priority, number in counted}
    return {priority: found.get(priority, 0) for priority in Priority}


def _low_parts(session: Session) -> int:
    on_hand = func.coalesce(func.sum(InventoryLevel.quantity), 0)
    low = (
        select(SparePart.id)
        .outerjoin(SparePart.levels)
        .where(SparePart.deleted_at.is_(None))
        .group_by(SparePart.id, SparePart.reorder_point)
        .having(on_hand <= SparePart.reorder_point)
    )
    return session.scalar(select(func.count()).select_from(low.subquery())) or 0
