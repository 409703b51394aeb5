"""The register of machines and places."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from acting import People, acting

from fixit.errors import Forbidden, Invalid, NotThere
from fixit.permissions import Identity
from fixit.seed.rows import fixed_id
from fixit.services import equipment, orders, reporting
from lockstep import Database
from lockstep.errors import StaleVersion

HALL = fixed_id("location", "HALL-A")
FORM: dict[str, Any] = {
    "machine_code": "saw-001",
    "name": "Band saw",
    "location_id": HALL,
}


def do(db: Database, who: Identity, action: Callable[..., Any], *args: Any, **kw: Any):
    with acting(db, who) as session:
        return action(session, who, *args, **kw)


def test_a_new_machine_can_be_reported_at_once(db: Database, who: People) -> None:
    made = do(
        db,
        who.admin,
        equipment.add_equipment,
        **FORM,
        criticality="low",
        installed_on=date(2024, 2, 29),
    )
    assert made.code == made.qr_code == "SAW-001"
    found = do(db, who.operator, reporting.find_machine, "saw-001").equipment
    assert found.id == made.id
    assert found.installed_on == date(2024, 2, 29)
    assert found.location.name == "Hall A"


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("machine_code", "IM-001", "code"),
        ("machine_code", "a/b", "code"),
        ("name", "", "name"),
        ("location_id", uuid.UUID(int=1), "location_id"),
        ("criticality", "extreme", "criticality"),
        ("manufacturer", "x" * 121, "manufacturer"),
    ],
)
def test_a_new_machine_is_checked(
    db: Database, who: People, field: str, value: Any, named: str
) -> None:
    with pytest.raises(Invalid) as refused:
        do(db, who.admin, equipment.add_equipment, **{**FORM, field: value})
    assert list(refused.value.fields) == [named]


def test_two_people_change_one_machine(db: Database, who: People) -> None:
    machine = do(db, who.admin, reporting.find_machine, "QS-001").equipment

    def rename(name: str) -> Any:
        return do(
            db,
            who.admin,
            equipment.change_equipment,
            machine.id,
            name=name,
            location_id=HALL,
            criticality="high",
            status="maintenance",
            expected_version=machine.version,
        )

    assert rename("First").name == "First"
    with pytest.raises(StaleVersion):
        rename("Second")


def test_only_some_may_change_machines(db: Database, who: People) -> None:
    for other in (who.technician, who.operator, who.storekeeper):
        with pytest.raises(Forbidden):
            do(db, other, equipment.add_equipment, **FORM)
    with pytest.raises(NotThere):
        do(db, who.admin, equipment.get_equipment, uuid.uuid4())


def test_machines_are_found_and_places_have_a_way(db: Database, who: People) -> None:
    with db.read_session() as session:
        page = equipment.list_equipment(session, who.operator, size=4)
        rest = equipment.list_equipment(
            session, who.operator, after=page.next_cursor, size=4
        )
        assert len(page.items) + len(rest.items) == 6
        for search, found in (
            ("im-", 1),
            ("mILLING centre", 1),
            ("dmg", 1),
            ("%", 0),
            ("", 6),
        ):
            hits = equipment.list_equipment(session, who.operator, search=search)
            assert len(hits.items) == found, search
        way = equipment.location_path(session, fixed_id("location", "LINE-A1"))
        assert [place.code for place in way] == ["MAIN", "HALL-A", "LINE-A1"]
        assert len(equipment.list_locations(session)) == 6


def test_a_new_name_is_found_at_once(db: Database, who: People) -> None:
    machine = do(db, who.admin, reporting.find_machine, "QS-001").equipment
    do(
        db,
        who.admin,
        equipment.change_equipment,
        machine.id,
        name="Prüfstand Ä",
        location_id=HALL,
        criticality="high",
        status="running",
        expected_version=machine.version,
    )
    with db.read_session() as session:
        hits = equipment.list_equipment(session, who.operator, search="PRÜFSTAND ä")
        assert [hit.id for hit in hits.items] == [machine.id]
        wanted = orders.OrderFilter(search="ring PRÜF")
        (order,) = orders.list_orders(session, who.technician, wanted).items
        assert order.equipment_id == machine.id
