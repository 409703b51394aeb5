"""Who works here, what they may do, and who is signed in."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fixit.models.base import Base
from lockstep import SECRET, Audited, Json, Text, Timestamped, UuidKey, Versioned


class Role(UuidKey, Versioned, Timestamped, Audited, Base):
    """A named set of permissions, each ``resource:action``."""

    __tablename__ = "roles"

    name: Mapped[str] = mapped_column(Text(40), unique=True)
    title: Mapped[str] = mapped_column(Text(80))
    permissions: Mapped[list[str]] = mapped_column(Json)


class User(UuidKey, Versioned, Timestamped, Audited, Base):
    """A person with an employee id and a PIN. Deactivated, never deleted."""

    __tablename__ = "users"

    employee_id: Mapped[str] = mapped_column(Text(32), unique=True)
    name: Mapped[str] = mapped_column(Text(120))
    role_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("roles.id"), index=True)
    pin_hash: Mapped[str] = mapped_column(Text(200), info=SECRET)
    is_active: Mapped[bool] = mapped_column(default=True)
    must_change_pin: Mapped[bool] = mapped_column(default=False)
    has_demo_pin: Mapped[bool] = mapped_column(default=False)

    role: Mapped[Role] = relationship()


class LoginSession(UuidKey, Base):
    """A signed-in browser. Only a hash of its token is kept."""

    __tablename__ = "login_sessions"
    __audit__ = False

    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    token_hash: Mapped[str] = mapped_column(Text(64), unique=True, info=SECRET)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    user_agent: Mapped[str] = mapped_column(Text(200), default="")

    user: Mapped[User] = relationship()


class LoginAttempt(Base):
    """Wrong PINs in a row for one typed employee id, whether it exists or not.

    The key is a hash: people type PINs into the wrong field.
    """

    __tablename__ = "login_attempts"
    __audit__ = False

    employee_id_hash: Mapped[str] = mapped_column(Text(64), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(index=True)
    locked_until: Mapped[datetime | None]
