"""What the API can do: each function calls a service, as the pages do."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from sqlalchemy.orm import Session

from fixit.models import Priority, WorkStatus
from fixit.permissions import Identity
from fixit.services import (
    audit,
    dashboard,
    equipment,
    orders,
    parts,
    progress,
    reporting,
    stock,
    work,
)
from fixit.web.api.operation import Call, Operation, PageQuery
from fixit.web.api.schemas import (
    AuditOut,
    CountIn,
    MachineOut,
    MinutesIn,
    NoteIn,
    NumbersOut,
    OrderDetailOut,
    OrderOut,
    PageOf,
    PartOut,
    PartsIn,
    PriorityName,
    ReasonIn,
    ReceiveIn,
    ReportIn,
    ResolveIn,
    StatusName,
    StepIn,
)
from lockstep import Page


class OrderQuery(PageQuery):
    """Which work orders; without ``status`` the unfinished ones."""

    scope: Literal["all", "mine", "unassigned", "reported"] = "all"
    status: StatusName | None = None
    priority: PriorityName | None = None
    search: str = ""


class SearchQuery(PageQuery):
    """Words to look for."""

    search: str = ""


class AuditQuery(PageQuery):
    """Whose changes, to which table."""

    actor: str = ""
    table: str = ""


def list_work_orders(session: Session, who: Identity, call: Call) -> PageOf[OrderOut]:
    query: OrderQuery = call.query
    statuses = (WorkStatus(query.status),) if query.status else orders.UNFINISHED
    wanted = orders.OrderFilter(
        scope=query.scope,
        statuses=statuses,
        priority=Priority(query.priority) if query.priority else None,
        search=query.search,
    )
    page = orders.list_orders(
        session, who, wanted, after=query.after, before=query.before
    )
    return _page(
        page,
        [
            OrderOut.of(o, o.equipment.code, o.assignee.name if o.assignee else None)
            for o in page.items
        ],
    )


def get_work_order(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    return OrderDetailOut.of(orders.get_order(session, who, call.id))


def report_machine(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    body: ReportIn = call.body
    order = reporting.report(
        session,
        who,
        machine=body.machine,
        problem=body.problem,
        priority=body.priority,
        machine_down=body.machine_down,
        request=body.request_key,
    )
    return _detail(session, who, order.id)


def take_work_order(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    work.take(session, who, call.id)
    return _detail(session, who, call.id)


def release_work_order(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    work.release(session, who, call.id, call.body.reason)
    return _detail(session, who, call.id)


def resolve_work_order(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    body: ResolveIn = call.body
    work.resolve(
        session,
        who,
        call.id,
        resolution=body.resolution,
        downtime_minutes=body.downtime_minutes,
        expected_version=body.version,
    )
    return _detail(session, who, call.id)


def close_work_order(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    work.close(session, who, call.id)
    return _detail(session, who, call.id)


def reopen_work_order(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    work.reopen(session, who, call.id, call.body.reason)
    return _detail(session, who, call.id)


def cancel_work_order(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    work.cancel(session, who, call.id, call.body.reason)
    return _detail(session, who, call.id)


def set_step(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    progress.set_step(session, who, call.id, call.path["step"], is_done=call.body.done)
    return _detail(session, who, call.id)


def take_parts(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    body: PartsIn = call.body
    parts.take_parts(
        session, who, call.id, body.part_id, body.quantity, request=body.request_key
    )
    return _detail(session, who, call.id)


def return_parts(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    body: PartsIn = call.body
    parts.return_parts(
        session, who, call.id, body.part_id, body.quantity, request=body.request_key
    )
    return _detail(session, who, call.id)


def log_minutes(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    body: MinutesIn = call.body
    progress.log_minutes(
        session, who, call.id, body.minutes, note=body.note, request=body.request_key
    )
    return _detail(session, who, call.id)


def add_note(session: Session, who: Identity, call: Call) -> OrderDetailOut:
    progress.add_note(session, who, call.id, call.body.note)
    return _detail(session, who, call.id)


def list_machines(session: Session, who: Identity, call: Call) -> PageOf[MachineOut]:
    query: SearchQuery = call.query
    page = equipment.list_equipment(
        session, who, search=query.search, after=query.after
    )
    return _page(page, [MachineOut.of(machine) for machine in page.items])


def list_parts(session: Session, who: Identity, call: Call) -> PageOf[PartOut]:
    query: SearchQuery = call.query
    page = stock.list_parts(
        session, who, search=query.search, after=query.after, before=query.before
    )
    return _page(page, [PartOut.of(part) for part in page.items])


def get_part(session: Session, who: Identity, call: Call) -> PartOut:
    return PartOut.of(stock.get_part(session, who, call.id))


def receive_parts(session: Session, who: Identity, call: Call) -> PartOut:
    body: ReceiveIn = call.body
    stock.receive(
        session,
        who,
        call.id,
        body.location_id,
        body.quantity,
        bin_label=body.bin,
        reason=body.reason,
        request=body.request_key,
    )
    session.expire_all()
    return PartOut.of(stock.get_part(session, who, call.id))


def count_part(session: Session, who: Identity, call: Call) -> None:
    body: CountIn = call.body
    stock.count(session, who, body.level_id, body.counted, reason=body.reason)


def get_numbers(session: Session, who: Identity, call: Call) -> NumbersOut:
    found = dashboard.numbers(session, who)
    return NumbersOut(
        found.unassigned,
        found.in_progress,
        found.overdue,
        found.machines_down,
        found.low_parts,
    )


def list_audit(session: Session, who: Identity, call: Call) -> PageOf[AuditOut]:
    query: AuditQuery = call.query
    wanted = audit.AuditFilter(actor=query.actor, table=query.table)
    page = audit.list_entries(
        session, who, wanted, after=query.after, before=query.before
    )
    return _page(
        page,
        [
            AuditOut(
                entry.at,
                entry.actor,
                entry.action,
                entry.table_name,
                _raw(entry.row_key),
                _raw(entry.before),
                _raw(entry.after),
            )
            for entry in page.items
        ],
    )


OPERATIONS: list[Operation] = [
    Operation("GET", "/work-orders", "List work orders", list_work_orders,
              PageOf[OrderOut], query=OrderQuery),
    Operation("POST", "/work-orders", "Report a broken machine", report_machine,
              OrderDetailOut, ReportIn, status=201),
    Operation("GET", "/work-orders/{id}", "Read a work order", get_work_order,
              OrderDetailOut),
    Operation("POST", "/work-orders/{id}/take", "Take it", take_work_order,
              OrderDetailOut),
    Operation("POST", "/work-orders/{id}/release", "Give it back", release_work_order,
              OrderDetailOut, ReasonIn),
    Operation("POST", "/work-orders/{id}/resolve", "Finish the work",
              resolve_work_order, OrderDetailOut, ResolveIn),
    Operation("POST", "/work-orders/{id}/close", "Confirm it", close_work_order,
              OrderDetailOut),
    Operation("POST", "/work-orders/{id}/reopen", "Put it back on the list",
              reopen_work_order, OrderDetailOut, ReasonIn),
    Operation("POST", "/work-orders/{id}/cancel", "Drop it", cancel_work_order,
              OrderDetailOut, ReasonIn),
    Operation("POST", "/work-orders/{id}/steps/{step}", "Tick a step", set_step,
              OrderDetailOut, StepIn),
    Operation("POST", "/work-orders/{id}/parts", "Take parts for it", take_parts,
              OrderDetailOut, PartsIn),
    Operation("POST", "/work-orders/{id}/parts/return", "Bring parts back",
              return_parts, OrderDetailOut, PartsIn),
    Operation("POST", "/work-orders/{id}/minutes", "Log time", log_minutes,
              OrderDetailOut, MinutesIn),
    Operation("POST", "/work-orders/{id}/notes", "Add a note", add_note,
              OrderDetailOut, NoteIn),
    Operation("GET", "/equipment", "List machines", list_machines,
              PageOf[MachineOut], query=SearchQuery),
    Operation("GET", "/parts", "List spare parts", list_parts,
              PageOf[PartOut], query=SearchQuery),
    Operation("GET", "/parts/{id}", "Read a spare part", get_part, PartOut),
    Operation("POST", "/parts/{id}/receive", "Put delivered parts away",
              receive_parts, PartOut, ReceiveIn),
    Operation("POST", "/stock-counts", "Correct a bin to what was counted",
              count_part, None, CountIn, status=204),
    Operation("GET", "/numbers", "The dashboard's numbers", get_numbers, NumbersOut),
    Operation("GET", "/audit", "Who changed what", list_audit,
              PageOf[AuditOut], query=AuditQuery),
]  # fmt: skip


def _detail(session: Session, who: Identity, order_id: Any) -> OrderDetailOut:
    session.flush()
    session.expire_all()
    return OrderDetailOut.of(orders.get_order(session, who, order_id))


def _page(page: Page[Any], items: list[Any]) -> PageOf[Any]:
    return PageOf(items, page.next_cursor, page.previous_cursor)


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
