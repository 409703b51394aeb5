"""Maintenance that comes back, made exactly once."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from acting import People, acting, at_once
from sqlalchemy import select

from fixit.errors import Forbidden, StepsMissing
from fixit.housekeeping import tidy
from fixit.models import Schedule, WorkKind, WorkOrder
from fixit.seed.rows import fixed_id
from fixit.services import notifications, orders, progress, schedules, work
from lockstep import Database
from lockstep.clock import ManualClock

GREASE = fixed_id("schedule", "Grease the conveyor")


def run(db: Database, today: date | None = None) -> list[WorkOrder]:
    with db.write_session(actor="scheduler") as session:
        return schedules.run_due(session, today)


def next_due(db: Database) -> date:
    with db.read_session() as session:
        return session.get_one(Schedule, GREASE).next_due_on


def test_nothing_is_made_before_it_is_due(db: Database) -> None:
    assert run(db, next_due(db) - timedelta(days=1)) == []


def test_a_due_date_makes_one_order_with_its_steps(db: Database, who: People) -> None:
    due = next_due(db)
    first, second = run(db, due)
    assert run(db, due) == []
    assert {first.kind, second.kind} == {WorkKind.MAINTENANCE}
    assert next_due(db) == due + timedelta(days=7)
    made = first if first.schedule_id == GREASE else second
    with db.read_session() as session:
        found = orders.get_order(session, who.technician, made.id)
    with db.read_session() as session:
        news = notifications.list_notifications(session, who.technician).items
    assert found.order.reporter is None
    assert [step.position for step in found.steps] == [1, 2, 3, 4]
    assert [step.is_required for step in found.steps] == [True, True, True, False]
    assert "CONV-001: Grease the conveyor" in [message.text for message in news]


def test_two_servers_at_once_make_one(db: Database) -> None:
    due = next_due(db)
    results = at_once([lambda: len(run(db, due))] * 6)
    assert sorted(results) == [0, 0, 0, 0, 0, 2]


def test_missed_dates_make_one_order_for_the_latest(db: Database) -> None:
    first = next_due(db)
    made = [order for order in run(db, first + timedelta(days=24)) if order.schedule_id]
    (order,) = [order for order in made if order.schedule_id == GREASE]
    assert order.scheduled_for == first + timedelta(days=21)
    assert next_due(db) == first + timedelta(days=28)


def test_a_date_set_back_by_hand_makes_no_twin(db: Database) -> None:
    due = next_due(db)
    run(db, due)
    with db.write_session() as session:
        session.get_one(Schedule, GREASE).next_due_on = due
    assert run(db, due) == []
    assert next_due(db) == due + timedelta(days=7)


def test_a_paused_schedule_makes_nothing(db: Database, who: People) -> None:
    with acting(db, who.admin) as session:
        for schedule in schedules.list_schedules(session, who.admin):
            schedules.set_active(
                session,
                who.admin,
                schedule.id,
                is_active=False,
                expected_version=schedule.version,
            )
    assert run(db, next_due(db)) == []
    with pytest.raises(Forbidden), acting(db, who.technician) as session:
        schedules.set_active(
            session, who.technician, GREASE, is_active=True, expected_version=2
        )


def test_steps_are_ticked_before_it_is_resolved(db: Database, who: People) -> None:
    made = next(order for order in run(db, next_due(db)) if order.schedule_id == GREASE)
    with acting(db, who.technician) as session:
        work.take(session, who.technician, made.id)
        steps = orders.get_order(session, who.technician, made.id).steps
    with pytest.raises(StepsMissing) as refused, acting(db, who.technician) as session:
        work.resolve(session, who.technician, made.id, resolution="Done")
    assert refused.value.steps == [step.text for step in steps[:3]]
    with acting(db, who.technician) as session:
        for step in steps[:3]:
            progress.set_step(session, who.technician, made.id, step.id, is_done=True)
        progress.set_step(session, who.technician, made.id, steps[0].id, is_done=False)
    with pytest.raises(StepsMissing), acting(db, who.technician) as session:
        work.resolve(session, who.technician, made.id, resolution="Done")
    with acting(db, who.technician) as session:
        ticked = progress.set_step(
            session, who.technician, made.id, steps[0].id, is_done=True
        )
        assert ticked.done_by_id == who.technician.user_id
        work.resolve(session, who.technician, made.id, resolution="Done")


def test_a_changed_checklist_leaves_old_orders_alone(db: Database, who: People) -> None:
    made = next(order for order in run(db, next_due(db)) if order.schedule_id == GREASE)
    with db.write_session() as session:
        schedule = session.get_one(Schedule, GREASE)
        assert schedule.checklist is not None
        schedule.checklist.steps = [{"text": "New", "required": True}]
    with db.read_session() as session:
        assert len(orders.get_order(session, who.technician, made.id).steps) == 4


def test_housekeeping_makes_what_is_due(db: Database, clock: ManualClock) -> None:
    assert tidy(db) == 0
    clock.advance(timedelta(days=2).total_seconds())
    assert tidy(db) == 2
    assert tidy(db) == 0
    with db.read_session() as session:
        made = select(WorkOrder).where(WorkOrder.kind == WorkKind.MAINTENANCE)
        assert len(session.scalars(made).all()) == 2
