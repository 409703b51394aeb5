"""Lists of work orders: filters, search, pages."""

from __future__ import annotations

import pytest
from acting import People, acting, order_id

from fixit.models import Priority, WorkOrder, WorkStatus
from fixit.services import orders, reporting, work
from fixit.services.orders import OrderFilter
from lockstep import Database
from lockstep.errors import InvalidCursor


def titles(db: Database, who: People, wanted: OrderFilter | None = None) -> list[str]:
    with db.read_session() as session:
        page = orders.list_orders(session, who.technician, wanted)
        assert orders.count_orders(session, who.technician, wanted) == len(page.items)
    return [order.title.split()[0] for order in page.items]


def test_the_most_urgent_comes_first(db: Database, who: People) -> None:
    assert titles(db, who) == ["Machine", "Squeaking", "Ring", "Labels"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (OrderFilter(scope="mine"), ["Squeaking"]),
        (OrderFilter(scope="unassigned"), ["Machine", "Ring", "Labels"]),
        (OrderFilter(scope="reported"), []),
        (OrderFilter(priority=Priority.HIGH), ["Ring"]),
        (OrderFilter(statuses=(WorkStatus.CLOSED,)), []),
        (OrderFilter(statuses=()), ["Machine", "Squeaking", "Ring", "Labels"]),
        (OrderFilter(overdue=True), []),
        (OrderFilter(search="alarm E-204"), ["Machine"]),
        (OrderFilter(search="#2"), ["Labels"]),
        (OrderFilter(search="conv-001"), ["Squeaking"]),
        (OrderFilter(search="100%"), []),
        (OrderFilter(search="_"), []),
        (OrderFilter(search="\\"), []),
        (OrderFilter(search="a " * 500), ["Machine", "Squeaking", "Ring", "Labels"]),
        (OrderFilter(newest_first=True), ["Machine", "Ring", "Labels", "Squeaking"]),
    ],
)
def test_filters(
    db: Database, who: People, wanted: OrderFilter, found: list[str]
) -> None:
    assert titles(db, who, wanted) == found


def test_search_does_not_care_about_case_of_any_alphabet(
    db: Database, who: People
) -> None:
    with acting(db, who.operator) as session:
        reporting.report(
            session,
            who.operator,
            machine="QS-001",
            problem="ÖLSTAND zu niedrig, José",
            priority="low",
        )
    for words in ("ölstand", "JOSÉ", "Niedrig ÖL"):
        assert titles(db, who, OrderFilter(search=words)) == ["ÖLSTAND"]


def test_what_is_over_is_overdue_until_resolved(db: Database, who: People) -> None:
    with db.write_session() as session:
        order = session.get_one(WorkOrder, order_id("noise"))
        order.due_at = order.reported_at
    assert titles(db, who, OrderFilter(overdue=True)) == ["Squeaking"]
    with acting(db, who.technician) as session:
        work.resolve(session, who.technician, order.id, resolution="Oiled")
    assert titles(db, who, OrderFilter(overdue=True)) == []


def test_pages_hold_still_while_reports_come_in(db: Database, who: People) -> None:
    seen: list[int] = []
    cursor: str | None = None
    wanted = OrderFilter(newest_first=True)
    for _ in range(3):
        with db.read_session() as session:
            page = orders.list_orders(
                session, who.technician, wanted, after=cursor, size=2
            )
        seen += [order.number for order in page.items]
        cursor = page.next_cursor
        with acting(db, who.operator) as session:
            reporting.report(
                session,
                who.operator,
                machine="QS-001",
                problem="Another",
                priority="critical",
            )
        if cursor is None:
            break
    assert seen == [4, 3, 2, 1]


def test_pages_go_back(db: Database, who: People) -> None:
    with db.read_session() as session:
        first = orders.list_orders(session, who.technician, size=2)
        second = orders.list_orders(
            session, who.technician, after=first.next_cursor, size=2
        )
        again = orders.list_orders(
            session, who.technician, before=second.previous_cursor, size=2
        )
    assert [order.id for order in again.items] == [order.id for order in first.items]
    assert not first.has_previous
    assert not second.has_next


@pytest.mark.parametrize("cursor", ["", "x", "\x00", "e30", "\ud800", "A" * 9000])
def test_a_broken_cursor_is_refused(db: Database, who: People, cursor: str) -> None:
    with db.read_session() as session, pytest.raises(InvalidCursor):
        orders.list_orders(session, who.technician, after=cursor)


def test_a_listed_order_can_be_shown_after_the_session(
    db: Database, who: People
) -> None:
    with db.read_session() as session:
        page = orders.list_orders(session, who.technician)
    assert page.items[0].equipment.code == "IM-001"
    assert page.items[0].assignee is None
    assert page.items[1].assignee is not None
    assert page.items[1].assignee.name == "Tomas Weber"
