"""The feed of changes: ordered, complete, the same from every process."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from acting import People, acting, at_once, order_id, part_id
from sqlalchemy import func, select

from fixit.errors import AlreadyTaken
from fixit.models import Event
from fixit.services import events, parts, progress, reporting, work
from lockstep import Database
from lockstep.clock import ManualClock


def test_a_page_learns_what_changed(db: Database, who: People) -> None:
    with db.read_session() as session:
        marker = events.latest_event_marker(session)
        assert events.events_since(session, marker) == []
    with acting(db, who.technician) as session:
        work.take(session, who.technician, order_id("label"))
        parts.take_parts(
            session, who.technician, order_id("label"), part_id("FUSE-10"), 1
        )
    with db.read_session() as session:
        news = events.events_since(session, marker)
        assert [(event.topic, event.action) for event in news] == [
            ("work_order", "taken"),
            ("work_order", "took"),
            ("stock", "took"),
        ]
        assert {event.actor for event in news} == {"TECH-001"}
        assert news[-1].sequence == events.latest_event_marker(session)


def test_what_is_taken_back_is_never_announced(db: Database, who: People) -> None:
    with db.read_session() as session:
        marker = events.latest_event_marker(session)

    def take_both() -> None:
        with acting(db, who.admin) as session:
            work.take(session, who.admin, order_id("label"))
            work.take(session, who.admin, order_id("noise"))

    with pytest.raises(AlreadyTaken):
        take_both()
    with db.read_session() as session:
        assert events.latest_event_marker(session) == marker


def test_no_event_appears_behind_a_reader(db: Database, who: People) -> None:
    """Readers that move their marker while others write see every event once."""
    seen: list[int] = []

    def write(number: int) -> None:
        with acting(db, who.operator) as session:
            reporting.report(
                session,
                who.operator,
                machine="PKG-001",
                problem=f"Problem {number}",
                priority="low",
            )

    def read() -> None:
        marker = start
        for _ in range(2000):
            with db.read_session() as session:
                for event in events.events_since(session, marker):
                    seen.append(event.sequence)
                    marker = event.sequence
            if len(seen) == 20:
                return

    with db.read_session() as session:
        start = events.latest_event_marker(session)
    writers: list[Any] = [lambda n=n: write(n) for n in range(20)]
    results = at_once([*writers, read])
    assert results == [None] * 21, results
    assert seen == list(range(start + 1, start + 21))


@pytest.mark.parametrize("marker", [-1, -(2**80), 2**80])
def test_a_marker_from_outside_is_harmless(db: Database, marker: int) -> None:
    with db.read_session() as session:
        found = events.events_since(session, marker, limit=3)
    assert len(found) == (3 if marker < 0 else 0)


def test_old_events_are_forgotten(
    db: Database, who: People, clock: ManualClock
) -> None:
    clock.advance((events.KEPT + timedelta(hours=1)).total_seconds())
    with acting(db, who.operator) as session:
        progress.add_note(session, who.operator, order_id("label"), "Still there")
        events.forget_old_events(session)
    with db.read_session() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 1
