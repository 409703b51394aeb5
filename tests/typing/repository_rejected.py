"""Lines that a type checker must reject; each names the rule it breaks."""

from __future__ import annotations

import uuid

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session

from lockstep import AsyncRepository, Portable, Repository, UuidKey


class Base(Portable, DeclarativeBase):
    pass


class Part(UuidKey, Base):
    __tablename__ = "part"
    name: Mapped[str]


class Bin(UuidKey, Base):
    __tablename__ = "bin"


def rejected(session: Session, other: AsyncSession, key: uuid.UUID) -> None:
    Repository(Part(), session)  # reportArgumentType
    Repository(Part, other)  # reportArgumentType
    AsyncRepository(Part, session)  # reportArgumentType
    parts = Repository(Part, session)
    print(parts.get(key).nme)  # reportAttributeAccessIssue
    print(parts.find(key).name)  # reportOptionalMemberAccess
    parts.add(Bin())  # reportArgumentType
    parts.add_many([Bin()])  # reportArgumentType
    parts.update(key, 5)  # reportArgumentType
    parts.update(key, {"name": "x"}, 1)  # reportCallIssue
    parts.update(key, {"name": "x"}, expected_version="1")  # reportArgumentType
    parts.adjust(key, Part.name, "1")  # reportArgumentType
    parts.list("name = 'x'")  # reportArgumentType
    parts.list(limit="5")  # reportArgumentType
    parts.page(after=5)  # reportArgumentType
    parts.add_many([], returning=False).append(1)  # reportAttributeAccessIssue
