"""Work orders, and everything that is written down while one is worked on."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fixit.models.base import Base
from fixit.models.search import Searchable
from lockstep import (
    Audited,
    BigInteger,
    Enum,
    Money,
    Text,
    Timestamped,
    UuidKey,
    Versioned,
)

if TYPE_CHECKING:
    from fixit.models.people import User
    from fixit.models.places import Equipment
    from fixit.models.stock import SparePart


class Priority(StrEnum):
    """How bad it is, as the reporter says."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


TIME_TO_REPAIR = {
    Priority.CRITICAL: timedelta(hours=2),
    Priority.HIGH: timedelta(hours=8),
    Priority.MEDIUM: timedelta(hours=24),
    Priority.LOW: timedelta(hours=72),
}
"""The agreed time from report to resolution."""


class WorkStatus(StrEnum):
    """Where a work order stands."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class WorkKind(StrEnum):
    """Why the work is done."""

    REPAIR = "repair"
    MAINTENANCE = "maintenance"


class WorkOrder(UuidKey, Versioned, Timestamped, Audited, Searchable, Base):
    """One thing to mend or maintain. The server gives the number people say."""

    __tablename__ = "work_orders"
    __search__ = ("label", "title", "description")
    __table_args__ = (
        # A due date makes one order, however often or wherever the scheduler runs.
        UniqueConstraint("schedule_id", "scheduled_for"),
        # A form sent twice makes one order.
        UniqueConstraint("reporter_id", "request_key"),
        CheckConstraint("downtime_minutes >= 0", name="downtime_not_negative"),
    )

    number: Mapped[int] = mapped_column(BigInteger, unique=True)
    kind: Mapped[WorkKind] = mapped_column(Enum(WorkKind), default=WorkKind.REPAIR)
    title: Mapped[str] = mapped_column(Text(160))
    description: Mapped[str] = mapped_column(Text(4000), default="")
    priority: Mapped[Priority] = mapped_column(Enum(Priority))
    status: Mapped[WorkStatus] = mapped_column(
        Enum(WorkStatus), default=WorkStatus.OPEN, index=True
    )
    equipment_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("equipment.id"), index=True
    )
    reporter_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("users.id"), index=True
    )
    assignee_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("users.id"), index=True
    )
    reported_at: Mapped[datetime]
    due_at: Mapped[datetime] = mapped_column(index=True)
    started_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    resolution: Mapped[str] = mapped_column(Text(4000), default="")
    machine_down: Mapped[bool] = mapped_column(default=False)
    downtime_minutes: Mapped[int] = mapped_column(default=0)
    schedule_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("schedules.id"))
    scheduled_for: Mapped[date | None]
    request_key: Mapped[str | None] = mapped_column(Text(64))

    equipment: Mapped[Equipment] = relationship()
    reporter: Mapped[User | None] = relationship(foreign_keys=[reporter_id])
    assignee: Mapped[User | None] = relationship(foreign_keys=[assignee_id])

    @property
    def label(self) -> str:
        """What people call it: ``#17``."""
        return f"#{self.number}"


class WorkOrderLog(UuidKey, Base):
    """What happened to a work order, for people to read. Only ever added to."""

    __tablename__ = "work_order_logs"
    __audit__ = False

    work_order_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("work_orders.id", ondelete="CASCADE"), index=True
    )
    at: Mapped[datetime]
    author_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    action: Mapped[str] = mapped_column(Text(40))
    text: Mapped[str] = mapped_column(Text(4000), default="")

    author: Mapped[User | None] = relationship()


class ChecklistCompletion(UuidKey, Versioned, Base):
    """One step of a work order's checklist; copied, so that history stays true."""

    __tablename__ = "checklist_completions"
    __table_args__ = (UniqueConstraint("work_order_id", "position"),)

    work_order_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("work_orders.id", ondelete="CASCADE")
    )
    position: Mapped[int]
    text: Mapped[str] = mapped_column(Text(300))
    is_required: Mapped[bool] = mapped_column(default=True)
    is_done: Mapped[bool] = mapped_column(default=False)
    done_at: Mapped[datetime | None]
    done_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))

    done_by: Mapped[User | None] = relationship()


class LaborLog(UuidKey, Base):
    """Minutes somebody worked on an order."""

    __tablename__ = "labor_logs"
    __table_args__ = (
        CheckConstraint("minutes > 0 AND minutes <= 1440", name="minutes_of_one_day"),
        UniqueConstraint("user_id", "request_key"),
    )

    work_order_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("work_orders.id", ondelete="CASCADE"), index=True
    )
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), index=True)
    at: Mapped[datetime]
    minutes: Mapped[int]
    note: Mapped[str] = mapped_column(Text(400), default="")
    request_key: Mapped[str | None] = mapped_column(Text(64))

    user: Mapped[User] = relationship()


class WorkOrderPart(UuidKey, Base):
    """How many of a part an order has used, at the price of the day."""

    __tablename__ = "work_order_parts"
    __table_args__ = (
        UniqueConstraint("work_order_id", "part_id"),
        CheckConstraint("quantity >= 0", name="quantity_not_negative"),
    )

    work_order_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("work_orders.id", ondelete="CASCADE")
    )
    part_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("spare_parts.id"), index=True)
    quantity: Mapped[int]
    unit_cost: Mapped[Decimal] = mapped_column(Money(2))

    part: Mapped[SparePart] = relationship()
