"""Messages for one user: written when something needs them, read once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from fixit.clock import now
from fixit.models import Notification, Role, User, WorkOrder
from fixit.permissions import Identity, allows
from lockstep import Page, Repository

PAGE_SIZE = 50


def notify(
    session: Session, user_ids: Iterable[uuid.UUID], order: WorkOrder, message: str
) -> None:
    """Leave a message about a work order with each of these users."""
    for user_id in set(user_ids):
        session.add(
            Notification(
                user_id=user_id,
                work_order_id=order.id,
                at=now(session),
                text=message[:300],
            )
        )


def people_who_may(session: Session, permission: str) -> list[uuid.UUID]:
    """Return the keys of all active users whose role allows ``permission``."""
    roles = [
        role.id
        for role in session.scalars(select(Role))
        if allows(role.permissions, permission)
    ]
    found = select(User.id).where(User.role_id.in_(roles), User.is_active)
    return list(session.scalars(found))


def list_notifications(
    session: Session, who: Identity, *, after: str | None = None
) -> Page[Notification]:
    """Return one's own messages, newest first, with their work orders."""
    return Repository(Notification, session).page(
        Notification.user_id == who.user_id,
        order_by=(Notification.at.desc(), Notification.id.desc()),
        size=PAGE_SIZE,
        after=after,
        load=(Notification.work_order,),
    )


def count_unread(session: Session, who: Identity) -> int:
    """Return how many messages one has not read."""
    unread = select(func.count()).where(
        Notification.user_id == who.user_id, Notification.read_at.is_(None)
    )
    return session.scalar(unread) or 0


def mark_all_read(session: Session, who: Identity) -> None:
    """Note that one has seen all messages."""
    session.execute(
        update(Notification)
        .where(Notification.user_id == who.user_id, Notification.read_at.is_(None))
        .values(read_at=now(session))
    )
