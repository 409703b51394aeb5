"""Work that comes back: schedules and the checklists they bring."""

from __future__ import annotations

import uuid
from datetime import date
from typing import TYPE_CHECKING, TypedDict

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fixit.models.base import Base
from fixit.models.work import Priority
from lockstep import Audited, Enum, Json, Text, Timestamped, UuidKey, Versioned

if TYPE_CHECKING:
    from fixit.models.places import Equipment


class Step(TypedDict):
    """One line of a checklist."""

    text: str
    required: bool


class Checklist(UuidKey, Versioned, Timestamped, Audited, Base):
    """What to do, in order."""

    __tablename__ = "checklists"

    name: Mapped[str] = mapped_column(Text(120), unique=True)
    steps: Mapped[list[Step]] = mapped_column(Json)


class Schedule(UuidKey, Versioned, Timestamped, Audited, Base):
    """A machine is due for maintenance every ``interval_days``."""

    __tablename__ = "schedules"
    __table_args__ = (CheckConstraint("interval_days > 0", name="interval_positive"),)

    name: Mapped[str] = mapped_column(Text(120))
    equipment_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("equipment.id"), index=True
    )
    checklist_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("checklists.id"))
    priority: Mapped[Priority] = mapped_column(Enum(Priority), default=Priority.LOW)
    interval_days: Mapped[int]
    next_due_on: Mapped[date] = mapped_column(index=True)
    is_active: Mapped[bool] = mapped_column(default=True)

    equipment: Mapped[Equipment] = relationship()
    checklist: Mapped[Checklist | None] = relationship()
