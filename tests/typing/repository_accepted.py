"""What a type checker must accept of ``lockstep.repository``, and infer."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import NamedTuple, assert_type

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, relationship

from lockstep import (
    AsyncRepository,
    AuditTrail,
    CompiledRepository,
    Page,
    Portable,
    Repository,
    UuidKey,
)
from lockstep.engine.unit import Unit


class Base(Portable, DeclarativeBase):
    pass


class Bin(UuidKey, Base):
    __tablename__ = "bin"
    label: Mapped[str]
    parts: Mapped[list[Part]] = relationship()


class Part(UuidKey, Base):
    __tablename__ = "part"
    name: Mapped[str]
    quantity: Mapped[int]
    price: Mapped[Decimal]
    bin: Mapped[Bin | None] = relationship()


def reads(session: Session, key: uuid.UUID) -> None:
    parts = Repository(Part, session)
    assert_type(parts, Repository[Part])
    assert_type(parts.get(key), Part)
    assert_type(parts.get(key, load=(Part.bin, Bin.parts)), Part)
    assert_type(parts.get(key, load=((Part.bin, Bin.parts),)), Part)
    assert_type(parts.get(key, load=[joinedload(Part.bin)]), Part)
    assert_type(parts.find(key), Part | None)
    assert_type(parts.find(Part.name == "x", quantity=4), Part | None)
    assert_type(parts.get_many([key]), list[Part])
    assert_type(parts.list(), list[Part])
    listed = parts.list(
        Part.quantity > 4,
        Part.bin.has(Bin.label == "A"),
        {"name": "x"},
        order_by=(Part.name, Part.quantity.desc().nulls_last(), "-name"),
        limit=5,
        name=None,
    )
    assert_type(listed, list[Part])
    assert_type(parts.list(order_by=Part.name), list[Part])
    assert_type(parts.count(Part.name.like("a%")), int)
    assert_type(parts.exists(name="x"), bool)
    page = parts.page(size=5, after=None, order_by="name")
    assert_type(page, Page[Part])
    assert_type(page.next_cursor, str | None)
    assert_type([part.name for part in page], list[str])
    assert_type(parts.stream(order_by=Part.name), Iterator[Part])
    assert_type(parts.history(key), list[AuditTrail])


def writes(session: Session, key: uuid.UUID) -> None:
    parts = Repository(Part, session)
    assert_type(parts.add(Part(name="x")), Part)
    assert_type(parts.add({"name": "x"}), Part)
    assert_type(parts.add_many([Part(), {"name": "x"}]), list[Part])
    assert_type(parts.add_many(({"name": "x"} for _ in "ab"), returning=False), int)
    assert_type(parts.update(key, {"name": "y"}, expected_version=1), Part)
    assert_type(parts.upsert_many([{"name": "x"}], match_on=[Part.name]), int)
    assert_type(parts.upsert_many([Part()], match_on=("name",)), int)
    parts.delete(key, expected_version=1, hard=True)
    assert_type(parts.restore(key), Part)
    parts.adjust(key, Part.quantity, -4, floor=0)
    parts.adjust(key, Part.price, Decimal("0.5"), floor=None)


class PartRow(NamedTuple):
    id: uuid.UUID
    name: str


def compiled(unit: Unit, session: Session, key: uuid.UUID) -> None:
    parts = CompiledRepository(Part, unit)
    assert_type(parts, CompiledRepository[Part])
    assert_type(parts.get(key), Part)
    assert_type(parts.add({"name": "x"}), Part)
    assert_type(parts.add_many([{"name": "x"}], returning=False), int)
    rows = CompiledRepository(Part, session, into=PartRow)
    assert_type(rows, CompiledRepository[PartRow])
    assert_type(rows.get(key), PartRow)
    assert_type(rows.find(name="x"), PartRow | None)
    assert_type(rows.list(order_by=Part.name), list[PartRow])
    assert_type(rows.page(), Page[PartRow])
    assert_type(rows.update(key, {"name": "y"}), PartRow)
    assert_type(rows.stream(), Iterator[PartRow])


async def awaited(session: AsyncSession, key: uuid.UUID) -> None:
    parts = AsyncRepository(Part, session)
    assert_type(await parts.get(key), Part)
    assert_type(await parts.find(name="x"), Part | None)
    assert_type(await parts.list(Part.quantity > 4), list[Part])
    assert_type(await parts.page(), Page[Part])
    assert_type(parts.stream(), AsyncIterator[Part])
    assert_type(await parts.add_many([Part()]), list[Part])
    assert_type(await parts.add_many([Part()], returning=False), int)
    assert_type(await parts.update(key, {"name": "y"}), Part)
    assert_type(await parts.history(key), list[AuditTrail])
