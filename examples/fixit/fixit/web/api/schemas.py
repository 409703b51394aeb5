"""What the API sends and takes, as types; the OpenAPI document is made from them."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from fixit.models import Equipment, SparePart, WorkOrder
from fixit.services.orders import OrderDetail

ItemT = TypeVar("ItemT")

Short = Annotated[str, Meta(max_length=200)]
Long = Annotated[str, Meta(max_length=4000)]
Key = Annotated[str, Meta(max_length=64)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
PriorityName = Literal["critical", "high", "medium", "low"]
StatusName = Literal["open", "in_progress", "resolved", "closed", "cancelled"]


class Input(msgspec.Struct, forbid_unknown_fields=True):
    """A request body: a field that is not known is an error."""


class Output(msgspec.Struct, frozen=True):
    """A response body."""


class PageOf(Output, Generic[ItemT], frozen=True):
    """One page; ``next`` and ``previous`` are cursors for ``after`` and ``before``."""

    items: list[ItemT]
    next: str | None
    previous: str | None


class Credentials(Input):
    """An employee id and its PIN."""

    employee_id: Short
    pin: Annotated[str, Meta(max_length=32)]


class Token(Output, frozen=True):
    """Send it as ``Authorization: Bearer``."""

    token: str
    expires_at: datetime


class MachineOut(Output, frozen=True):
    """A machine and where it stands."""

    id: uuid.UUID
    version: int
    code: str
    qr_code: str
    name: str
    status: str
    criticality: str
    location: str

    @classmethod
    def of(cls, machine: Equipment) -> MachineOut:
        """Make it from a machine whose location is loaded."""
        return cls(
            machine.id,
            machine.version,
            machine.code,
            machine.qr_code,
            machine.name,
            machine.status,
            machine.criticality,
            machine.location.name,
        )


class OrderOut(Output, frozen=True):
    """A work order as lists show it."""

    id: uuid.UUID
    version: int
    number: int
    title: str
    description: str
    priority: str
    status: str
    machine: str
    assignee: str | None
    machine_down: bool
    reported_at: datetime
    due_at: datetime
    resolved_at: datetime | None
    resolution: str

    @classmethod
    def of(cls, order: WorkOrder, machine: str, assignee: str | None) -> OrderOut:
        """Make it from an order, its machine's code and its assignee's name."""
        return cls(
            order.id,
            order.version,
            order.number,
            order.title,
            order.description,
            order.priority,
            order.status,
            machine,
            assignee,
            order.machine_down,
            order.reported_at,
            order.due_at,
            order.resolved_at,
            order.resolution,
        )


class StepOut(Output, frozen=True):
    """A step of an order's checklist."""

    id: uuid.UUID
    text: str
    done: bool


class UsedPart(Output, frozen=True):
    """Parts on an order."""

    part_id: uuid.UUID
    sku: str
    name: str
    quantity: int
    unit_cost: Decimal


class LogLine(Output, frozen=True):
    """A line of an order's log."""

    at: datetime
    action: str
    author: str | None
    text: str


class OrderDetailOut(Output, frozen=True):
    """A work order with all that belongs to it, and what may be done now."""

    order: OrderOut
    steps: list[StepOut]
    parts: list[UsedPart]
    log: list[LogLine]
    minutes: int
    actions: list[str]

    @classmethod
    def of(cls, detail: OrderDetail) -> OrderDetailOut:
        """Make it from what the service returns."""
        order = detail.order
        assignee = order.assignee.name if order.assignee else None
        return cls(
            OrderOut.of(order, order.equipment.code, assignee),
            [StepOut(s.id, s.text, s.is_done) for s in detail.steps],
            [
                UsedPart(p.part_id, p.part.sku, p.part.name, p.quantity, p.unit_cost)
                for p in detail.parts
            ],
            [
                LogLine(n.at, n.action, n.author.name if n.author else None, n.text)
                for n in detail.log
            ],
            detail.minutes,
            sorted(detail.actions),
        )


class ReportIn(Input):
    """A broken machine. ``request_key``: sent again, it makes no second order."""

    machine: Short
    problem: Long
    priority: PriorityName
    machine_down: bool | None = None
    request_key: Key | None = None


class ResolveIn(Input):
    """What was done. ``version`` is the order's, as it was read."""

    resolution: Long
    version: int
    downtime_minutes: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class ReasonIn(Input):
    """Why."""

    reason: Annotated[str, Meta(max_length=1000)] = ""


class StepIn(Input):
    """Whether the step is done."""

    done: bool


class PartsIn(Input):
    """How many of which part."""

    part_id: uuid.UUID
    quantity: Count
    request_key: Key | None = None


class MinutesIn(Input):
    """Time worked."""

    minutes: Annotated[int, Meta(ge=1, le=1440)]
    note: Annotated[str, Meta(max_length=1000)] = ""
    request_key: Key | None = None


class NoteIn(Input):
    """A remark."""

    note: Annotated[str, Meta(max_length=4000)]


class BinOut(Output, frozen=True):
    """How many lie in one bin."""

    id: uuid.UUID
    bin: str
    quantity: int


class PartOut(Output, frozen=True):
    """A spare part and its stock."""

    id: uuid.UUID
    version: int
    sku: str
    name: str
    unit: str
    unit_cost: Decimal
    on_hand: int
    reorder_point: int
    low: bool
    bins: list[BinOut]

    @classmethod
    def of(cls, part: SparePart) -> PartOut:
        """Make it from a part whose levels are loaded."""
        return cls(
            part.id,
            part.version,
            part.sku,
            part.name,
            part.unit,
            part.unit_cost,
            part.on_hand,
            part.reorder_point,
            part.is_low,
            [BinOut(level.id, level.bin, level.quantity) for level in part.levels],
        )


class ReceiveIn(Input):
    """Delivered parts and the place they go to."""

    location_id: uuid.UUID
    quantity: Count
    bin: Annotated[str, Meta(max_length=40)] = ""
    reason: Annotated[str, Meta(max_length=200)] = ""
    request_key: Key | None = None


class CountIn(Input):
    """What was counted in one bin."""

    level_id: uuid.UUID
    counted: Annotated[int, Meta(ge=0, le=1_000_000)]
    reason: Short


class NumbersOut(Output, frozen=True):
    """The dashboard's numbers."""

    unassigned: int
    in_progress: int
    overdue: int
    machines_down: int
    low_parts: int


class AuditOut(Output, frozen=True):
    """Who changed what."""

    at: datetime
    actor: str | None
    action: str
    table: str
    key: msgspec.Raw
    before: msgspec.Raw
    after: msgspec.Raw


class Problem(Output, frozen=True, omit_defaults=True):
    """What went wrong (RFC 9457)."""

    title: str
    status: int
    detail: str = ""
    fields: dict[str, str] = {}
    current_version: int | None = None
