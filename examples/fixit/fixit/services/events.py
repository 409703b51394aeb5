"""What changed, for pages that are open: one ordered feed on every engine.

A browser's live connection asks ``latest_event_marker`` once, then polls
``events_since``. The feed is a table, so several processes on one database see each
other's changes; nothing is broadcast in memory that a crash could lose.

Each number comes from a counter row that stays locked until the transaction ends.
So numbers become visible in their order and none appears behind a marker. A
service publishes after it has locked everything else: whoever holds this lock waits
for nobody, so no two transactions wait for each other.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fixit.clock import now
from fixit.models import Counter, Event
from lockstep import Repository

KEPT = timedelta(days=2)
EVENTS_MAX = 500


def next_number(session: Session, counter: str) -> int:
    """Return the counter's next number and keep others waiting until commit."""
    return int(Repository(Counter, session).adjust(counter, Counter.value, 1))


def publish(
    session: Session, topic: str, action: str, subject_id: uuid.UUID | None
) -> None:
    """Tell open pages that something of ``topic`` changed.

    Args:
        session: The write session; the event is visible when it commits.
        topic: ``work_order``, ``stock``, ``equipment`` or ``user``.
        action: What happened, as in ``reported`` or ``taken``.
        subject_id: The key of the row that changed.
    """
    session.flush()
    session.add(
        Event(
            sequence=next_number(session, "events"),
            at=now(session),
            topic=topic,
            action=action,
            subject_id=subject_id,
            actor=session.info.get("lockstep.actor"),
        )
    )
    session.flush()


def latest_event_marker(session: Session) -> int:
    """Return the number of the newest event; 0 when nothing ever happened."""
    return session.scalar(select(Counter.value).where(Counter.name == "events")) or 0


def events_since(
    session: Session, marker: int, *, limit: int = EVENTS_MAX
) -> list[Event]:
    """Return the events after ``marker``, oldest first, at most ``limit``.

    The last one's ``sequence`` is the next marker. A page that was away for longer
    than ``KEPT`` gets what is left and should simply load again.
    """
    after = max(0, min(marker, 2**62))
    newer = select(Event).where(Event.sequence > after)
    return list(session.scalars(newer.order_by(Event.sequence).limit(limit)))


def forget_old_events(session: Session) -> None:
    """Remove events older than ``KEPT``."""
    session.execute(delete(Event).where(Event.at < now(session) - KEPT))
