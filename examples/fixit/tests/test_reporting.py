"""An operator reports a machine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from acting import People, acting, at_once
from sqlalchemy import select

from fixit.errors import Invalid, NotThere
from fixit.models import Equipment, EquipmentStatus, Priority, WorkOrder, WorkOrderLog
from fixit.services import equipment, notifications, orders, reporting
from lockstep import Database

FORM: dict[str, Any] = {
    "machine": "PKG-001",
    "problem": "Film tears",
    "priority": "high",
}


def report(db: Database, who: People, **changes: Any) -> WorkOrder:
    with acting(db, who.operator) as session:
        return reporting.report(session, who.operator, **{**FORM, **changes})


def test_three_fields_make_an_order(db: Database, who: People) -> None:
    order = report(db, who, problem="  Film tears\nEvery ten minutes.\n")
    assert order.number == 5
    assert order.title == "Film tears"
    assert order.description == "Film tears\nEvery ten minutes."
    assert order.due_at == order.reported_at + timedelta(hours=8)
    assert not order.machine_down
    with db.read_session() as session:
        found = orders.get_order(session, who.operator, order.id)
    assert found.order.equipment.location.name == "Line B1"
    assert [line.action for line in found.log] == ["reported"]


@pytest.mark.parametrize(
    ("priority", "hours"), [("critical", 2), ("high", 8), ("medium", 24), ("low", 72)]
)
def test_how_bad_it_is_decides_when_it_is_due(
    db: Database, who: People, priority: str, hours: int
) -> None:
    order = report(db, who, priority=priority)
    assert order.due_at - order.reported_at == timedelta(hours=hours)
    assert order.machine_down == (order.priority is Priority.CRITICAL)


def test_a_stopped_machine_shows_it(db: Database, who: People) -> None:
    order = report(db, who, priority="low", machine_down=True)
    with db.read_session() as session:
        machine = session.get_one(Equipment, order.equipment_id)
        assert machine.status is EquipmentStatus.DOWN


def test_everybody_who_can_mend_is_told(db: Database, who: People) -> None:
    with db.read_session() as session:
        before = notifications.count_unread(session, who.technician)
    report(db, who)
    with db.write_session() as session:
        assert notifications.count_unread(session, who.technician) == before + 1
        assert notifications.count_unread(session, who.operator) == 0
        page = notifications.list_notifications(session, who.technician)
        assert page.items[0].text == "PKG-001: Film tears"
        assert page.items[0].work_order is not None
        notifications.mark_all_read(session, who.technician)
        assert notifications.count_unread(session, who.technician) == 0


@pytest.mark.parametrize("code", ["pkg-001", " PKG-001 ", "Pkg-001"])
def test_a_machine_is_found_by_its_label(db: Database, who: People, code: str) -> None:
    with db.read_session() as session:
        found = reporting.find_machine(session, who.operator, code)
    assert found.equipment.name == "Packaging Cell"
    assert [order.title for order in found.open_orders] == [
        "Labels are printed crooked"
    ]


@pytest.mark.parametrize(
    "code", ["", "NOPE", "\x00", "%", "'; --", "X" * 5000, "\ud800"]
)
def test_a_label_that_is_none_finds_nothing(
    db: Database, who: People, code: str
) -> None:
    with db.read_session() as session, pytest.raises((NotThere, Invalid)):
        reporting.find_machine(session, who.operator, code)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("problem", ""),
        ("problem", " \x00\n"),
        ("problem", "x" * 4001),
        ("priority", "urgent"),
        ("priority", ""),
        ("request", "x" * 65),
    ],
)
def test_a_wrong_field_is_named(
    db: Database, who: People, field: str, value: str
) -> None:
    with pytest.raises(Invalid) as refused:
        report(db, who, **{field: value})
    assert list(refused.value.fields) == [{"request": "request_key"}.get(field, field)]


def test_hostile_text_is_kept_as_it_is(db: Database, who: People) -> None:
    text = "<script>alert(1)</script> ' \" %s {x} \u202e 🔥 ﷽"
    order = report(db, who, problem=text)
    with db.read_session() as session:
        assert session.get_one(WorkOrder, order.id).description == text


def test_a_form_sent_twice_is_one_order(db: Database, who: People) -> None:
    first, second = report(db, who, request="k1"), report(db, who, request="k1")
    assert first.id == second.id
    assert report(db, who, request="k2").number == first.number + 1
    with acting(db, who.technician) as session:
        other = reporting.report(session, who.technician, **FORM, request="k1")
    assert other.id != first.id


def test_a_form_sent_ten_times_at_once_is_one_order(db: Database, who: People) -> None:
    results = at_once([lambda: report(db, who, request="k1").id] * 10)
    assert len(set(results)) == 1, results
    with db.read_session() as session:
        same = select(WorkOrder.number).where(WorkOrder.request_key == "k1")
        assert len(session.scalars(same).all()) == 1
        lines = select(WorkOrderLog).where(WorkOrderLog.work_order_id == results[0])
        assert len(session.scalars(lines).all()) == 1


def test_numbers_have_no_twins_and_no_gaps(db: Database, who: People) -> None:
    results = at_once([lambda: report(db, who).number] * 10)
    assert sorted(results) == list(range(5, 15))


def test_an_operator_sees_their_own_reports_only(db: Database, who: People) -> None:
    with acting(db, who.technician) as session:
        foreign = reporting.report(session, who.technician, **FORM)
    mine = report(db, who)
    with db.read_session() as session:
        listed = orders.list_orders(session, who.operator).items
        assert mine.id in {order.id for order in listed}
        assert foreign.id not in {order.id for order in listed}
        with pytest.raises(NotThere):
            orders.get_order(session, who.operator, foreign.id)
        with pytest.raises(NotThere):
            orders.find_order_by_number(session, who.operator, foreign.number)
        with pytest.raises(NotThere):
            orders.find_order_by_number(session, who.operator, 2**80)


def test_a_retired_machine_takes_no_reports(db: Database, who: People) -> None:
    with acting(db, who.admin) as session:
        machine = reporting.find_machine(session, who.admin, "QS-001").equipment
        equipment.change_equipment(
            session,
            who.admin,
            machine.id,
            name=machine.name,
            location_id=machine.location_id,
            criticality=machine.criticality,
            status="retired",
            expected_version=machine.version,
        )
    with pytest.raises(NotThere):
        report(db, who, machine="QS-001")
