"""Machines and locations: the register behind the QR labels."""

from __future__ import annotations

import uuid
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from fixit.errors import Invalid, NotThere
from fixit.models import Criticality, Equipment, EquipmentStatus, Location
from fixit.permissions import Identity, require
from fixit.services.events import publish
from fixit.validation import choice, code, text
from lockstep import Page, Repository

PAGE_SIZE = 50
DEPTH_MAX = 20


def list_equipment(
    session: Session,
    who: Identity,
    *,
    search: str = "",
    after: str | None = None,
    size: int = PAGE_SIZE,
) -> Page[Equipment]:
    """Return a page of machines by code, with where they stand.

    ``search`` is words of code, name, manufacturer or model, in any case.
    """
    require(who, "equipment:view")
    return Repository(Equipment, session).page(
        *Equipment.matching(search),
        order_by=(Equipment.code.asc(),),
        size=size,
        after=after,
        load=(Equipment.location,),
    )


def get_equipment(
    session: Session, who: Identity, equipment_id: uuid.UUID
) -> Equipment:
    """Return a machine with its location.

    Raises:
        NotThere: No such machine.
    """
    require(who, "equipment:view")
    equipment = session.scalar(
        select(Equipment)
        .where(Equipment.id == equipment_id, Equipment.deleted_at.is_(None))
        .options(joinedload(Equipment.location))
    )
    if equipment is None:
        raise NotThere("There is no such machine.")
    return equipment


def add_equipment(
    session: Session,
    who: Identity,
    *,
    machine_code: str,
    name: str,
    location_id: uuid.UUID,
    criticality: str = "medium",
    manufacturer: str = "",
    model: str = "",
    serial_number: str = "",
    installed_on: date | None = None,
) -> Equipment:
    """Add a machine; its code is printed on the QR label.

    Raises:
        Invalid: The code is taken, or a field is wrong.
    """
    require(who, "equipment:manage")
    machines = Repository(Equipment, session)
    clean_code = code(machine_code, "code")
    taken = (Equipment.code == clean_code) | (Equipment.qr_code == clean_code)
    if machines.exists(taken, with_deleted=True):
        raise Invalid({"code": "This code is taken."})
    _location(session, location_id)
    equipment = machines.add(
        Equipment(
            code=clean_code,
            qr_code=clean_code,
            name=text(name, "name", most=120),
            location_id=location_id,
            criticality=choice(Criticality, criticality, "criticality"),
            manufacturer=text(manufacturer, "manufacturer", most=120, least=0),
            model=text(model, "model", most=120, least=0),
            serial_number=text(serial_number, "serial_number", most=120, least=0),
            installed_on=installed_on,
        )
    )
    publish(session, "equipment", "added", equipment.id)
    return equipment


def change_equipment(
    session: Session,
    who: Identity,
    equipment_id: uuid.UUID,
    *,
    name: str,
    location_id: uuid.UUID,
    criticality: str,
    status: str,
    expected_version: int,
) -> Equipment:
    """Change a machine; the label stays valid.

    Raises:
        StaleVersion: Somebody else changed it meanwhile.
    """
    require(who, "equipment:manage")
    get_equipment(session, who, equipment_id)
    _location(session, location_id)
    changed = Repository(Equipment, session).update(
        equipment_id,
        {
            "name": text(name, "name", most=120),
            "location_id": location_id,
            "criticality": choice(Criticality, criticality, "criticality"),
            "status": choice(EquipmentStatus, status, "status"),
        },
        expected_version=expected_version,
    )
    publish(session, "equipment", "changed", equipment_id)
    return changed


def list_locations(session: Session) -> list[Location]:
    """Return every location by code."""
    return Repository(Location, session).list(order_by=(Location.code.asc(),))


def location_path(session: Session, location_id: uuid.UUID) -> list[Location]:
    """Return a location with all it lies in, the outermost first."""
    by_id = {place.id: place for place in list_locations(session)}
    path: list[Location] = []
    place = by_id.get(location_id)
    while place is not None and len(path) < DEPTH_MAX:
        path.insert(0, place)
        place = by_id.get(place.parent_id) if place.parent_id else None
    return path


def _location(session: Session, location_id: uuid.UUID) -> Location:
    location = Repository(Location, session).find(Location.id == location_id)
    if location is None:
        raise Invalid({"location_id": "There is no such place."})
    return location
