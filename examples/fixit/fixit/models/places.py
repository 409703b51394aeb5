"""Where things stand, and the machines that stand there."""

from __future__ import annotations

import uuid
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fixit.models.base import Base
from fixit.models.search import Searchable
from lockstep import (
    Audited,
    Enum,
    Json,
    SoftDelete,
    Text,
    Timestamped,
    UuidKey,
    Versioned,
)


class Criticality(StrEnum):
    """What it costs when the machine stands still."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class EquipmentStatus(StrEnum):
    """How the machine is doing now."""

    RUNNING = "running"
    DOWN = "down"
    MAINTENANCE = "maintenance"
    RETIRED = "retired"


class Location(UuidKey, Versioned, Timestamped, Audited, SoftDelete, Base):
    """A building, hall, line or store; each may lie in another."""

    __tablename__ = "locations"

    code: Mapped[str] = mapped_column(Text(40), unique=True)
    name: Mapped[str] = mapped_column(Text(120))
    parent_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("locations.id"), index=True
    )

    parent: Mapped[Location | None] = relationship(remote_side="Location.id")


class Equipment(UuidKey, Versioned, Timestamped, Audited, SoftDelete, Searchable, Base):
    """A machine. Its QR label carries ``qr_code``, which never changes."""

    __tablename__ = "equipment"
    __search__ = ("code", "name", "manufacturer", "model")

    code: Mapped[str] = mapped_column(Text(40), unique=True)
    qr_code: Mapped[str] = mapped_column(Text(64), unique=True)
    name: Mapped[str] = mapped_column(Text(120))
    location_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("locations.id"), index=True
    )
    criticality: Mapped[Criticality] = mapped_column(
        Enum(Criticality), default=Criticality.MEDIUM
    )
    status: Mapped[EquipmentStatus] = mapped_column(
        Enum(EquipmentStatus), default=EquipmentStatus.RUNNING
    )
    manufacturer: Mapped[str] = mapped_column(Text(120), default="")
    model: Mapped[str] = mapped_column(Text(120), default="")
    serial_number: Mapped[str] = mapped_column(Text(120), default="")
    installed_on: Mapped[date | None]
    attributes: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)

    location: Mapped[Location] = relationship()
