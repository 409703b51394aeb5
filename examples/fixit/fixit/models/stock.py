"""Spare parts: what they are, how many lie where, and every movement."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fixit.models.base import Base
from fixit.models.search import Searchable
from lockstep import (
    Audited,
    Enum,
    Money,
    SoftDelete,
    Text,
    Timestamped,
    UuidKey,
    Versioned,
)

if TYPE_CHECKING:
    from fixit.models.people import User
    from fixit.models.places import Location
    from fixit.models.work import WorkOrder


class Movement(StrEnum):
    """Why a quantity changed."""

    RECEIVE = "receive"
    TAKE = "take"
    RETURN = "return"
    COUNT = "count"


class SparePart(UuidKey, Versioned, Timestamped, Audited, SoftDelete, Searchable, Base):
    """A kind of part. ``reorder_point``: at or below it, order more."""

    __tablename__ = "spare_parts"
    __search__ = ("sku", "name")
    __table_args__ = (
        CheckConstraint("reorder_point >= 0", name="reorder_point_not_negative"),
        CheckConstraint("unit_cost >= 0", name="unit_cost_not_negative"),
    )

    sku: Mapped[str] = mapped_column(Text(40), unique=True)
    name: Mapped[str] = mapped_column(Text(120))
    unit: Mapped[str] = mapped_column(Text(20), default="pcs")
    unit_cost: Mapped[Decimal] = mapped_column(Money(2), default=Decimal("0.00"))
    reorder_point: Mapped[int] = mapped_column(default=0)

    levels: Mapped[list[InventoryLevel]] = relationship(
        back_populates="part", order_by="InventoryLevel.bin"
    )

    @property
    def on_hand(self) -> int:
        """How many lie in all bins together (``levels`` must be loaded)."""
        return sum(level.quantity for level in self.levels)

    @property
    def is_low(self) -> bool:
        """Whether it is time to order more (``levels`` must be loaded)."""
        return self.on_hand <= self.reorder_point


class InventoryLevel(UuidKey, Timestamped, Base):
    """How many of a part lie in one bin. Changed by guarded arithmetic only."""

    __tablename__ = "inventory_levels"
    __table_args__ = (
        UniqueConstraint("part_id", "location_id", "bin"),
        CheckConstraint("quantity >= 0", name="quantity_not_negative"),
    )

    part_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("spare_parts.id"))
    location_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("locations.id"), index=True
    )
    bin: Mapped[str] = mapped_column(Text(40), default="")
    quantity: Mapped[int] = mapped_column(default=0)

    part: Mapped[SparePart] = relationship(back_populates="levels")
    location: Mapped[Location] = relationship()


class InventoryTransaction(UuidKey, Base):
    """One line of the ledger. The sum of a level's lines is its quantity."""

    __tablename__ = "inventory_transactions"
    __audit__ = False
    __table_args__ = (
        CheckConstraint("delta <> 0", name="delta_not_zero"),
        CheckConstraint("balance >= 0", name="balance_not_negative"),
        UniqueConstraint("user_id", "request_key"),
    )

    at: Mapped[datetime] = mapped_column(index=True)
    level_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("inventory_levels.id"), index=True
    )
    part_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("spare_parts.id"), index=True)
    movement: Mapped[Movement] = mapped_column(Enum(Movement))
    delta: Mapped[int]
    balance: Mapped[int]
    work_order_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("work_orders.id"), index=True
    )
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    reason: Mapped[str] = mapped_column(Text(200), default="")
    request_key: Mapped[str | None] = mapped_column(Text(64))

    level: Mapped[InventoryLevel] = relationship()
    part: Mapped[SparePart] = relationship()
    user: Mapped[User | None] = relationship()
    work_order: Mapped[WorkOrder | None] = relationship()
