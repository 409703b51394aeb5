"""A work order's way: take, steps, minutes, resolve, close, reopen."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from acting import People, acting, at_once, demo_people, identity, order_id
from sqlalchemy import select

from fixit.errors import AlreadyTaken, Forbidden, Invalid, NotPossibleNow, NotThere
from fixit.models import (
    Equipment,
    EquipmentStatus,
    LaborLog,
    User,
    WorkOrder,
    WorkStatus,
)
from fixit.permissions import Identity
from fixit.services import orders, people, progress, work
from fixit.services.transitions import Action
from lockstep import Database
from lockstep.clock import ManualClock
from lockstep.errors import StaleVersion

LABEL, NOISE, BREAKDOWN = order_id("label"), order_id("noise"), order_id("breakdown")


def do(db: Database, who: Identity, action: Callable[..., Any], *args: Any, **kw: Any):
    with acting(db, who) as session:
        return action(session, who, *args, **kw)


def second_technician(db: Database) -> Identity:
    admin = demo_people(db).admin
    with acting(db, admin) as session:
        user = people.add_user(
            session, "TECH-002", "Tina", "technician", "804215", must_change_pin=False
        )
    return identity(db, user.employee_id)


def test_taking_an_order_begins_it(db: Database, who: People) -> None:
    order = do(db, who.technician, work.take, LABEL)
    assert order.status is WorkStatus.IN_PROGRESS
    assert order.assignee_id == who.technician.user_id
    assert order.started_at is not None
    again = do(db, who.technician, work.take, LABEL)
    assert again.version == order.version


def test_two_technicians_one_order(db: Database, who: People) -> None:
    tina = second_technician(db)
    results = at_once(
        [
            lambda: do(db, who.technician, work.take, LABEL).assignee_id,
            lambda: do(db, tina, work.take, LABEL).assignee_id,
        ]
    )
    winners = [result for result in results if isinstance(result, uuid.UUID)]
    losers = [result for result in results if isinstance(result, AlreadyTaken)]
    assert len(winners) == len(losers) == 1, results
    name = who.technician.name if winners[0] == who.technician.user_id else tina.name
    assert losers[0].name == name
    with db.read_session() as session:
        found = orders.get_order(session, tina, LABEL)
        assert found.order.assignee_id == winners[0]
        assert [line.action for line in found.log] == ["reported", "taken"]


def test_the_whole_way(db: Database, who: People, clock: ManualClock) -> None:
    do(db, who.technician, work.take, BREAKDOWN)
    clock.advance(35 * 60)
    order = do(db, who.technician, work.resolve, BREAKDOWN, resolution="Heater changed")
    assert order.status is WorkStatus.RESOLVED
    assert order.downtime_minutes == 60
    order = do(db, who.operator, work.reopen, BREAKDOWN, "Alarm again")
    assert order.status is WorkStatus.OPEN
    assert order.assignee_id is None
    assert order.resolved_at is None
    do(db, who.technician, work.take, BREAKDOWN)
    clock.advance(3600)
    order = do(db, who.technician, work.resolve, BREAKDOWN, resolution="Cable changed")
    assert order.downtime_minutes == 60
    order = do(db, who.operator, work.close, BREAKDOWN)
    assert order.status is WorkStatus.CLOSED
    with db.read_session() as session:
        found = orders.get_order(session, who.operator, BREAKDOWN)
    assert [line.action for line in found.log] == [
        "reported",
        "taken",
        "resolved",
        "reopened",
        "taken",
        "resolved",
        "closed",
    ]


@pytest.mark.parametrize("action", [work.resolve, work.close, work.release])
def test_an_open_order_cannot_skip_a_step(
    db: Database, who: People, action: Callable[..., Any]
) -> None:
    extra = {"resolution": "x"} if action is work.resolve else {}
    with pytest.raises(NotPossibleNow):
        do(db, who.admin, action, LABEL, **extra)


def test_a_finished_order_takes_no_more_work(db: Database, who: People) -> None:
    do(db, who.technician, work.resolve, NOISE, resolution="Oiled")
    with pytest.raises(NotPossibleNow):
        do(db, who.technician, progress.log_minutes, NOISE, 5)
    with pytest.raises(NotPossibleNow):
        do(db, who.technician, work.resolve, NOISE, resolution="Oiled again")
    with pytest.raises(NotPossibleNow):
        do(db, who.technician, work.take, NOISE)


def test_resolving_needs_words_and_sane_minutes(db: Database, who: People) -> None:
    with pytest.raises(Invalid):
        do(db, who.technician, work.resolve, NOISE, resolution=" ")
    for minutes in (-1, 10**9, 2**70):
        with pytest.raises(Invalid):
            do(
                db,
                who.technician,
                work.resolve,
                NOISE,
                resolution="Oiled",
                downtime_minutes=minutes,
            )


def test_a_button_on_a_stale_page_changes_nothing(db: Database, who: People) -> None:
    with db.read_session() as session:
        seen = session.get_one(WorkOrder, NOISE).version
    do(db, who.technician, work.release, NOISE, "Lunch")
    do(db, who.technician, work.take, NOISE)
    with pytest.raises(StaleVersion) as refused:
        do(
            db,
            who.technician,
            work.resolve,
            NOISE,
            resolution="Oiled",
            expected_version=seen,
        )
    assert refused.value.expected == seen
    with db.read_session() as session:
        order = session.get_one(WorkOrder, NOISE)
        assert order.status is WorkStatus.IN_PROGRESS
        assert order.resolution == ""


def test_the_machine_runs_when_the_last_breakdown_is_over(
    db: Database, who: People
) -> None:
    from fixit.services import reporting

    second = do(
        db,
        who.operator,
        reporting.report,
        machine="IM-001",
        problem="Door does not lock",
        priority="critical",
    ).id
    statuses = []
    for key in (BREAKDOWN, second):
        do(db, who.technician, work.take, key)
        order = do(db, who.technician, work.resolve, key, resolution="Done")
        with db.read_session() as session:
            statuses.append(session.get_one(Equipment, order.equipment_id).status)
    assert statuses == [EquipmentStatus.DOWN, EquipmentStatus.RUNNING]


def test_assigning_needs_a_worker(db: Database, who: People) -> None:
    with db.read_session() as session:
        version = session.get_one(WorkOrder, LABEL).version
    for user_id in (who.operator.user_id, uuid.uuid4()):
        with pytest.raises(Invalid):
            do(db, who.admin, work.assign, LABEL, user_id, expected_version=version)
    order = do(
        db,
        who.admin,
        work.assign,
        LABEL,
        who.technician.user_id,
        expected_version=version,
    )
    assert order.assignee_id == who.technician.user_id
    with pytest.raises(StaleVersion):
        do(
            db,
            who.admin,
            work.assign,
            LABEL,
            who.technician.user_id,
            expected_version=version,
        )


def test_a_deactivated_worker_gets_no_orders(db: Database, who: People) -> None:
    with acting(db, who.admin) as session:
        user = session.get_one(User, who.technician.user_id)
        people.set_active(
            session, who.admin, user.id, is_active=False, expected_version=user.version
        )
    with pytest.raises(Invalid):
        do(
            db,
            who.admin,
            work.assign,
            LABEL,
            who.technician.user_id,
            expected_version=1,
        )


def test_what_a_role_does_not_allow(db: Database, who: People) -> None:
    for action, extra in (
        (work.take, {}),
        (work.cancel, {"reason": "x"}),
        (work.resolve, {"resolution": "x"}),
        (progress.log_minutes, {"minutes": 5}),
    ):
        with pytest.raises(Forbidden):
            do(db, who.operator, action, LABEL, **extra)
    with pytest.raises(Forbidden):
        do(db, who.storekeeper, work.take, LABEL)
    with pytest.raises(Forbidden):
        do(db, who.technician, work.cancel, LABEL, "Not needed")
    tina = second_technician(db)
    with pytest.raises(Forbidden):
        do(db, tina, work.release, NOISE, "It is not mine")


def test_the_page_offers_what_is_possible(db: Database, who: People) -> None:
    with db.read_session() as session:
        actions = {
            name: orders.get_order(session, getattr(who, name), LABEL).actions
            for name in ("admin", "technician", "operator", "storekeeper")
        }
    assert actions["technician"] == {Action.TAKE, Action.NOTE}
    assert actions["operator"] == {Action.NOTE}
    assert actions["storekeeper"] == {Action.NOTE}
    assert actions["admin"] == {
        Action.TAKE,
        Action.ASSIGN,
        Action.CANCEL,
        Action.NOTE,
    }


def test_a_cancelled_breakdown_starts_the_machine(db: Database, who: People) -> None:
    order = do(db, who.admin, work.cancel, BREAKDOWN, "False alarm")
    assert order.status is WorkStatus.CANCELLED
    with db.read_session() as session:
        machine = session.get_one(Equipment, order.equipment_id)
        assert machine.status is EquipmentStatus.RUNNING


def test_minutes(db: Database, who: People) -> None:
    for minutes in (0, -5, 1441, 2**70):
        with pytest.raises(Invalid):
            do(db, who.technician, progress.log_minutes, NOISE, minutes)
    do(db, who.technician, progress.log_minutes, NOISE, 40, request="k")
    do(db, who.technician, progress.log_minutes, NOISE, 40, request="k")
    do(db, who.technician, progress.log_minutes, NOISE, 1440, note="All day")
    with db.read_session() as session:
        assert orders.get_order(session, who.technician, NOISE).minutes == 1480
        assert progress.minutes_of(session, NOISE) == 1480
        assert progress.minutes_of(session, LABEL) == 0


def test_minutes_sent_ten_times_at_once_count_once(db: Database, who: People) -> None:
    results = at_once(
        [
            lambda: (
                do(db, who.technician, progress.log_minutes, NOISE, 40, request="k").id
            )
        ]
        * 10
    )
    assert len(set(results)) == 1, results
    with db.read_session() as session:
        assert len(session.scalars(select(LaborLog)).all()) == 1


def test_notes_are_for_everybody_who_sees_the_order(db: Database, who: People) -> None:
    do(db, who.operator, progress.add_note, LABEL, "Worse today")
    do(db, who.storekeeper, progress.add_note, LABEL, "Rollers are in A-04")
    with db.read_session() as session:
        log = orders.get_order(session, who.technician, LABEL).log
    assert [line.text for line in log[1:]] == ["Worse today", "Rollers are in A-04"]
    assert [line.author.name for line in log if line.author][1:] == [
        who.operator.name,
        who.storekeeper.name,
    ]


def test_an_order_that_is_not_there(db: Database, who: People) -> None:
    nowhere = uuid.uuid4()
    for action, extra in (
        (work.take, {}),
        (work.resolve, {"resolution": "x"}),
        (progress.add_note, {"note": "x"}),
        (orders.get_order, {}),
    ):
        with pytest.raises(NotThere):
            do(db, who.admin, action, nowhere, **extra)
    with pytest.raises(NotThere):
        do(db, who.technician, progress.set_step, NOISE, nowhere, is_done=True)
