"""Files, messages, the feed of live events, counters and the audit trail."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fixit.models.base import Base
from lockstep import Audited, AuditTrail, BigInteger, Text, UuidKey

if TYPE_CHECKING:
    from fixit.models.people import User
    from fixit.models.work import WorkOrder


class Attachment(UuidKey, Audited, Base):
    """A file on disk, named by its hash, that belongs to any row."""

    __tablename__ = "attachments"
    __table_args__ = (
        Index(None, "entity_type", "entity_id"),
        CheckConstraint("size_bytes >= 0", name="size_not_negative"),
    )

    entity_type: Mapped[str] = mapped_column(Text(40))
    entity_id: Mapped[uuid.UUID]
    file_name: Mapped[str] = mapped_column(Text(200))
    content_type: Mapped[str] = mapped_column(Text(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(Text(64), index=True)
    created_at: Mapped[datetime]


class Notification(UuidKey, Base):
    """A message for one user."""

    __tablename__ = "notifications"
    __audit__ = False

    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    work_order_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("work_orders.id", ondelete="CASCADE"), index=True
    )
    at: Mapped[datetime]
    text: Mapped[str] = mapped_column(Text(300))
    read_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()
    work_order: Mapped[WorkOrder | None] = relationship()


class Event(Base):
    """Something changed; open pages want to know.

    ``sequence`` comes from a counter row that stays locked until commit, so the
    order of the numbers is the order of the commits and none arrives late.
    """

    __tablename__ = "events"
    __audit__ = False

    sequence: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False
    )
    at: Mapped[datetime] = mapped_column(index=True)
    topic: Mapped[str] = mapped_column(Text(40))
    action: Mapped[str] = mapped_column(Text(40))
    subject_id: Mapped[uuid.UUID | None]
    actor: Mapped[str | None] = mapped_column(Text(80))


class Counter(Base):
    """The last number given; the next one is taken with its row locked."""

    __tablename__ = "counters"
    __audit__ = False

    name: Mapped[str] = mapped_column(Text(40), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger, default=0)


class AuditEntry(AuditTrail, Base):
    """Who changed what, from what to what; Lockstep writes it as ``audit_log``."""
