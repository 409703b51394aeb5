"""CSV files of any size in constant memory, safe to open in a spreadsheet.

Rows are read in batches from one snapshot and handed on as lines; nothing is ever
whole in memory. A cell that a spreadsheet would run as a formula gets an apostrophe
in front (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from fixit.errors import NotThere
from fixit.models import Equipment, InventoryLevel, Location, SparePart, User, WorkOrder
from fixit.permissions import Identity, require
from lockstep import Database

BATCH_ROWS = 500
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def stream_csv(db: Database, who: Identity, name: str) -> Iterator[bytes]:
    """Return an export as UTF-8 chunks, one snapshot of the database.

    Args:
        db: The database; its read session lives as long as the stream.
        who: Whoever asks; checked at once, before the first chunk is made.
        name: ``work_orders``, ``equipment`` or ``stock``.

    Raises:
        NotThere: There is no such export.
        Forbidden: The role may not export this.
    """
    if name not in _QUERIES:
        raise NotThere("There is no such export.")
    require(who, f"{name}:export")
    return _chunks(db, _QUERIES[name]())


def safe_cell(value: Any) -> str | int | Decimal | None:
    """Return a value as a cell that no spreadsheet takes for a formula."""
    if value is None or isinstance(value, int | Decimal):
        return value
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    cell = str(value)
    return "'" + cell if cell.lstrip(" ").startswith(_FORMULA_STARTS) else cell


def _chunks(db: Database, query: Select[*tuple[Any, ...]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    # The byte-order mark tells spreadsheets that this is UTF-8.
    buffer.write("\ufeff")
    with db.read_session() as session:
        found = session.execute(query, execution_options={"yield_per": BATCH_ROWS})
        writer.writerow(found.keys())
        for rows in found.partitions():
            writer.writerows([safe_cell(value) for value in row] for row in rows)
            yield _drain(buffer)
    yield _drain(buffer)


def _drain(buffer: io.StringIO) -> bytes:
    written = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return written.encode()


def _work_orders() -> Select[*tuple[Any, ...]]:
    reporter, assignee = aliased(User), aliased(User)
    return (
        select(
            WorkOrder.number,
            WorkOrder.kind,
            WorkOrder.title,
            WorkOrder.priority,
            WorkOrder.status,
            Equipment.code.label("machine"),
            reporter.employee_id.label("reporter"),
            assignee.employee_id.label("assignee"),
            WorkOrder.reported_at,
            WorkOrder.due_at,
            WorkOrder.started_at,
            WorkOrder.resolved_at,
            WorkOrder.downtime_minutes,
            WorkOrder.resolution,
        )
        .join(WorkOrder.equipment)
        .outerjoin(reporter, WorkOrder.reporter)
        .outerjoin(assignee, WorkOrder.assignee)
        .order_by(WorkOrder.number)
    )


def _equipment() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Equipment.code,
            Equipment.name,
            Location.name.label("location"),
            Equipment.criticality,
            Equipment.status,
            Equipment.manufacturer,
            Equipment.model,
            Equipment.serial_number,
            Equipment.installed_on,
        )
        .join(Equipment.location)
        .where(Equipment.deleted_at.is_(None))
        .order_by(Equipment.code)
    )


def _stock() -> Select[*tuple[Any, ...]]:
    return (
        select(
            SparePart.sku,
            SparePart.name,
            Location.name.label("location"),
            InventoryLevel.bin,
            InventoryLevel.quantity,
            SparePart.unit,
            SparePart.unit_cost,
            SparePart.reorder_point,
        )
        .join(SparePart.levels)
        .join(InventoryLevel.location)
        .where(SparePart.deleted_at.is_(None))
        .order_by(SparePart.sku, Location.code, InventoryLevel.bin)
    )


_QUERIES = {"work_orders": _work_orders, "equipment": _equipment, "stock": _stock}
EXPORTS = tuple(_QUERIES)
