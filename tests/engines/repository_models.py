"""The models that the repository's tests share: a workshop with bins and parts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal as D
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from lockstep.engine import Database
from lockstep.schema import (
    SECRET,
    Audited,
    AuditTrail,
    Blob,
    Json,
    Money,
    Portable,
    SoftDelete,
    Text,
    Timestamped,
    UuidKey,
    Versioned,
)


class Base(Portable, DeclarativeBase):
    """Models without an audit trail."""


class Bin(UuidKey, Base):
    __tablename__ = "bin"

    label: Mapped[str] = mapped_column(unique=True)
    parts: Mapped[list[Part]] = relationship(back_populates="bin")


class Part(UuidKey, Versioned, Timestamped, Audited, SoftDelete, Base):
    __tablename__ = "part"
    __table_args__ = (sa.CheckConstraint("quantity < 1000000", name="quantity_max"),)

    name: Mapped[str] = mapped_column(Text(40), unique=True)
    quantity: Mapped[int] = mapped_column(default=0)
    price: Mapped[D] = mapped_column(Money(), default=D(0))
    note: Mapped[str | None]
    due_at: Mapped[datetime | None]
    data: Mapped[Any | None] = mapped_column(Json())
    photo: Mapped[bytes | None] = mapped_column(Blob(), deferred=True)
    bin_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("bin.id"))
    bin: Mapped[Bin | None] = relationship(back_populates="parts")


class AuditedBase(Portable, DeclarativeBase):
    """Models whose changes are recorded."""


class Entry(AuditTrail, AuditedBase):
    """The audit table."""


class Box(UuidKey, AuditedBase):
    __tablename__ = "box"

    label: Mapped[str] = mapped_column(unique=True)
    tools: Mapped[list[Tool]] = relationship(
        back_populates="box", cascade="all, delete-orphan"
    )


class Tool(UuidKey, Versioned, Timestamped, Audited, SoftDelete, AuditedBase):
    __tablename__ = "tool"

    name: Mapped[str] = mapped_column(unique=True)
    quantity: Mapped[int] = mapped_column(default=0)
    price: Mapped[D | None] = mapped_column(Money())
    pin: Mapped[str | None] = mapped_column(info=SECRET)
    photo: Mapped[bytes | None] = mapped_column(Blob(), deferred=True)
    box_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("box.id"))
    box: Mapped[Box | None] = relationship(back_populates="tools")


class Heartbeat(UuidKey, AuditedBase):
    """Written too often to be recorded."""

    __tablename__ = "heartbeat"
    __audit__ = False

    beats: Mapped[int] = mapped_column(default=0)


def create(db: Database, base: type[DeclarativeBase]) -> Database:
    """Make the tables of a base; return the database."""
    base.metadata.create_all(db.engine)
    return db


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    """Collect what is sent to the database meanwhile, without transaction control."""
    seen: list[str] = []

    def note(_c: Any, _u: Any, statement: str, _p: Any, _x: Any, _m: Any) -> None:
        verb = statement.lstrip().split(" ", 1)[0].upper()
        if verb not in ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET", "PRAGMA"):
            seen.append(" ".join(statement.split()))

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)
