"""The demo's places, machines, checklists and schedules."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy.orm import Session

from fixit.clock import today
from fixit.models import (
    Checklist,
    Criticality,
    Equipment,
    Location,
    Priority,
    Schedule,
)
from fixit.seed.rows import Row, add_missing, fixed_id

LOCATIONS = [
    ("MAIN", "Main Building", None),
    ("HALL-A", "Hall A", "MAIN"),
    ("HALL-B", "Hall B", "MAIN"),
    ("LINE-A1", "Line A1", "HALL-A"),
    ("LINE-B1", "Line B1", "HALL-B"),
    ("STORE", "Spare Parts Store", "MAIN"),
]
"""Code, name, code of the place it lies in."""

MACHINES = [
    ("IM-001", "Injection Moulder 1", "LINE-A1", Criticality.CRITICAL, "Arburg"),
    ("CONV-001", "Main Conveyor", "HALL-A", Criticality.HIGH, "Interroll"),
    ("PKG-001", "Packaging Cell", "LINE-B1", Criticality.HIGH, "Bosch"),
    ("CNC-001", "Milling Centre 1", "HALL-B", Criticality.CRITICAL, "DMG Mori"),
    ("QS-001", "Quality Station", "LINE-B1", Criticality.MEDIUM, "Keyence"),
    ("COMP-001", "Air Compressor", "MAIN", Criticality.HIGH, "Kaeser"),
]
"""Code (also on the QR label), name, place, criticality, manufacturer."""

CHECKLISTS = {
    "Weekly greasing": [
        ("Lock out the power and hang the tag", True),
        ("Wipe the old grease off the guides", True),
        ("Grease all four nipples, two strokes each", True),
        ("Listen to one dry cycle", False),
    ],
    "Monthly compressor service": [
        ("Drain the condensate", True),
        ("Clean or change the intake filter", True),
        ("Check the oil level in the sight glass", True),
        ("Write down the operating hours", False),
    ],
}
"""Name to steps: text, and whether it must be done."""

SCHEDULES = [
    ("Grease the conveyor", "CONV-001", "Weekly greasing", Priority.MEDIUM, 7),
    ("Compressor service", "COMP-001", "Monthly compressor service", Priority.LOW, 30),
]
"""Name, machine, checklist, priority, days between."""


def add(session: Session) -> None:
    """Add what is missing; the schedules fall due tomorrow."""
    add_missing(session, Location, _locations())
    add_missing(session, Equipment, _machines())
    add_missing(session, Checklist, _checklists())
    add_missing(session, Schedule, _schedules(today(session) + timedelta(days=1)))


def _locations() -> list[Row]:
    return [
        {
            "id": fixed_id("location", code),
            "code": code,
            "name": name,
            "parent_id": fixed_id("location", parent) if parent else None,
        }
        for code, name, parent in LOCATIONS
    ]


def _machines() -> list[Row]:
    return [
        {
            "id": fixed_id("equipment", code),
            "code": code,
            "qr_code": code,
            "name": name,
            "location_id": fixed_id("location", place),
            "criticality": criticality,
            "manufacturer": manufacturer,
        }
        for code, name, place, criticality, manufacturer in MACHINES
    ]


def _checklists() -> list[Row]:
    return [
        {
            "id": fixed_id("checklist", name),
            "name": name,
            "steps": [{"text": text, "required": required} for text, required in steps],
        }
        for name, steps in CHECKLISTS.items()
    ]


def _schedules(first_due_on: date) -> list[Row]:
    return [
        {
            "id": fixed_id("schedule", name),
            "name": name,
            "equipment_id": fixed_id("equipment", machine),
            "checklist_id": fixed_id("checklist", checklist),
            "priority": priority,
            "interval_days": days,
            "next_due_on": first_due_on,
        }
        for name, machine, checklist, priority, days in SCHEDULES
    ]
