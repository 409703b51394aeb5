"""Models over portable types as a strict type checker must accept them."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from typing import Any, Literal, assert_type

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import lockstep as ls


class Base(ls.Portable, DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "red"


class Part(ls.UuidKey, ls.Versioned, ls.Timestamped, ls.Audited, ls.SoftDelete, Base):
    __tablename__ = "part"

    price: Mapped[decimal.Decimal] = mapped_column(ls.Money())
    colour: Mapped[Colour] = mapped_column(ls.Enum(Colour))
    size: Mapped[Literal["s", "m"]]
    data: Mapped[dict[str, Any]] = mapped_column(ls.Json(), default=dict)
    tags: Mapped[list[str]] = mapped_column(ls.Array(ls.Text))
    at: Mapped[dt.datetime] = mapped_column(
        ls.UtcDateTime(), server_default=ls.utc_now()
    )


class AuditEntry(ls.AuditTrail, Base):
    pass


def use(session: Session) -> None:
    part = Part(price=decimal.Decimal(1))
    assert_type(part.id, uuid.UUID)
    assert_type(part.version, int)
    assert_type(part.updated_at, dt.datetime)
    assert_type(part.deleted_at, dt.datetime | None)
    assert_type(part.created_by, str | None)
    assert_type(part.price, decimal.Decimal)
    assert_type(part.colour, Colour)
    total = session.scalar(sa.select(sa.func.sum(Part.price)))
    assert_type(total, decimal.Decimal | None)
    query = sa.select(Part).where(
        Part.tags.contains("x"),
        Part.price > 1,
        Part.at < ls.utc_now(),
        Part.data["a"]["b"].as_string() == "x",
    )
    assert_type(session.scalars(query).all()[0].tags, list[str])
    for finding in ls.check_portability(Base.metadata):
        assert_type(finding.code, str)
    assert_type(ls.uuid7(), uuid.UUID)
    assert_type(AuditEntry().action, str)
