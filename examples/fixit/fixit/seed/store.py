"""The demo's spare parts and what lies on the shelves at first."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from fixit.clock import now
from fixit.models import InventoryLevel, InventoryTransaction, Movement, SparePart
from fixit.seed.rows import Row, add_missing, fixed_id

PARTS = [
    ("BRG-6204", "Ball bearing 6204-2RS", "pcs", "6.40", 24, 10, "A-01"),
    ("BELT-A68", "V-belt A68", "pcs", "11.90", 5, 4, "A-02"),
    ("MTR-075", "Gear motor 0.75 kW", "pcs", "389.00", 2, 1, "A-03"),
    ("SENS-M12", "Proximity sensor M12", "pcs", "27.50", 9, 5, "B-01"),
    ("CBL-M12-5", "Sensor cable M12, 5 m", "pcs", "14.20", 3, 4, "B-02"),
    ("HTR-240", "Heater band 240 V", "pcs", "58.00", 6, 2, "B-03"),
    ("TC-K", "Thermocouple type K", "pcs", "19.80", 7, 3, "B-04"),
    ("SEAL-40", "Hydraulic seal kit 40 mm", "set", "33.60", 4, 2, "C-01"),
    ("OIL-46", "Hydraulic oil HLP 46", "l", "4.15", 60, 40, "C-02"),
    ("GRS-400", "Grease cartridge 400 g", "pcs", "7.30", 12, 6, "C-03"),
    ("FLT-AIR", "Compressor intake filter", "pcs", "22.00", 1, 2, "C-04"),
    ("FUSE-10", "Fuse 10 A slow", "pcs", "0.85", 40, 20, "D-01"),
]
"""SKU, name, unit, cost of one, quantity, reorder point, bin."""


def add(session: Session) -> None:
    """Add the parts that are missing, each with its bin and first ledger line."""
    add_missing(session, SparePart, _parts())
    add_missing(session, InventoryLevel, _levels())
    long_ago = now(session) - timedelta(days=30)
    add_missing(session, InventoryTransaction, _first_lines(long_ago))


def _parts() -> list[Row]:
    return [
        {
            "id": fixed_id("part", sku),
            "sku": sku,
            "name": name,
            "unit": unit,
            "unit_cost": Decimal(cost),
            "reorder_point": reorder_point,
        }
        for sku, name, unit, cost, _, reorder_point, _ in PARTS
    ]


def _levels() -> list[Row]:
    return [
        {
            "id": fixed_id("level", sku),
            "part_id": fixed_id("part", sku),
            "location_id": fixed_id("location", "STORE"),
            "bin": shelf,
            "quantity": quantity,
        }
        for sku, _, _, _, quantity, _, shelf in PARTS
    ]


def _first_lines(time: datetime) -> list[Row]:
    return [
        {
            "id": fixed_id("line", sku),
            "at": time,
            "level_id": fixed_id("level", sku),
            "part_id": fixed_id("part", sku),
            "movement": Movement.RECEIVE,
            "delta": quantity,
            "balance": quantity,
            "reason": "demo stock",
        }
        for sku, _, _, _, quantity, _, _ in PARTS
    ]
