"""A day in the factory, told line by line as PASS or FAIL.

    python story.py                              on a throw-away SQLite file
    python story.py --engine postgresql          on a throw-away PostgreSQL database
    python story.py --url postgresql://…/empty   on an empty database of yours

Each step is one promise FixIt makes to the people who use it. The steps build on
each other, as a day does; the exit code is 1 when one fails.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fixit.errors import AlreadyTaken, LoginRefused, StepsMissing, WeakPin
from fixit.models import (
    AuditEntry,
    Equipment,
    EquipmentStatus,
    InventoryLevel,
    InventoryTransaction,
    Notification,
    User,
    WorkOrder,
    WorkStatus,
)
from fixit.permissions import Identity
from fixit.project import prepare
from fixit.seed.people import DEMO_LOGINS
from fixit.seed.rows import fixed_id
from fixit.services import (
    audit,
    auth,
    events,
    export,
    notifications,
    orders,
    parts,
    people,
    progress,
    reporting,
    schedules,
    work,
)
from lockstep import Database
from lockstep.clock import ManualClock
from lockstep.engine.scratch import scratch_database
from lockstep.errors import NotEnough

ErrorT = TypeVar("ErrorT", bound=Exception)
BELT = fixed_id("part", "BELT-A68")
PINS = {employee_id: pin for employee_id, pin, _, _ in DEMO_LOGINS}
REPORT = "Belt slips under load\nSmells of rubber."


@dataclass
class Day:
    """What the steps hand on to each other."""

    db: Database
    clock: ManualClock
    who: dict[str, Identity] = field(default_factory=dict[str, Identity])
    order_id: UUID = field(default_factory=lambda: UUID(int=0))
    marker: int = 0

    @contextmanager
    def acting(self, employee_id: str) -> Generator[tuple[Session, Identity]]:
        """Open a write session for somebody."""
        with self.db.write_session(actor=employee_id) as session:
            yield session, self.who[employee_id]

    def at_once(self, *actions: Callable[[], Any]) -> list[Any]:
        """Run actions in threads that start together; return results or errors."""
        results: list[Any] = [None] * len(actions)
        start = threading.Barrier(len(actions))

        def run(place: int, action: Callable[[], Any]) -> None:
            start.wait()
            try:
                results[place] = action()
            except Exception as error:
                results[place] = error

        threads = [
            threading.Thread(target=run, args=pair) for pair in enumerate(actions)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


@contextmanager
def refused(kind: type[ErrorT]) -> Generator[list[ErrorT]]:
    """Expect what is inside to be refused with ``kind``; yields the error."""
    caught: list[ErrorT] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
        return
    raise AssertionError(f"{kind.__name__} was expected")


def the_demo_factory_is_there_once(day: Day) -> None:
    """Setting up twice makes one factory: 6 machines, 4 orders, 12 parts."""
    for _ in range(2):
        prepare(day.db, demo=True)
    with day.db.read_session() as session:
        for model, expected in ((Equipment, 6), (WorkOrder, 4), (InventoryLevel, 12)):
            found = session.scalar(select(func.count()).select_from(model))
            assert found == expected, f"{found} {model.__tablename__}"


def everybody_signs_in(day: Day) -> None:
    """Four people sign in with employee id and PIN."""
    for employee_id, pin in PINS.items():
        day.who[employee_id] = auth.login(day.db, employee_id.lower(), pin).who
    with day.db.read_session() as session:
        day.marker = events.latest_event_marker(session)


def a_report_is_three_fields(day: Day) -> None:
    """An operator reports by QR code; the form sent twice makes one order."""
    made: set[UUID] = set()
    for _ in range(2):
        with day.acting("OP-001") as (session, who):
            order = reporting.report(
                session,
                who,
                machine="conv-001",
                problem=REPORT,
                priority="critical",
                request="form-1",
            )
            made.add(order.id)
            hours = (order.due_at - order.reported_at).total_seconds() / 3600
            assert hours == 2, f"due in {hours} hours"
    (day.order_id,) = made


def the_technician_sees_it(day: Day) -> None:
    """The technician's list, messages and live feed show it at once."""
    who = day.who["TECH-001"]
    with day.db.read_session() as session:
        news = events.events_since(session, day.marker)
        assert [event.subject_id for event in news] == [day.order_id]
        unassigned = orders.OrderFilter(scope="unassigned")
        listed = orders.list_orders(session, who, unassigned).items
        assert day.order_id in [order.id for order in listed]
        assert notifications.count_unread(session, who) >= 1


def one_of_two_technicians_takes_it(day: Day) -> None:
    """Two technicians take it at the same moment: one has it, one is told who."""
    with day.acting("ADMIN-001") as (session, who):
        new = people.create_user(
            session, who, employee_id="TECH-002", name="Tina", role="technician"
        )
    second = auth.login(day.db, "TECH-002", new.pin).who
    auth.change_pin(day.db, second, new.pin, "804215")
    day.who["TECH-002"] = auth.login(day.db, "TECH-002", "804215").who

    def take(employee_id: str) -> WorkStatus:
        with day.acting(employee_id) as (session, who):
            return work.take(session, who, day.order_id).status

    results = day.at_once(lambda: take("TECH-001"), lambda: take("TECH-002"))
    assert results.count(WorkStatus.IN_PROGRESS) == 1, results
    assert sum(isinstance(result, AlreadyTaken) for result in results) == 1, results


def the_stock_never_goes_below_zero(day: Day) -> None:
    """Five belts, two people take four at once: four are gone, one is left."""

    def take() -> int:
        with day.acting("TECH-001") as (session, who):
            return parts.take_parts(session, who, day.order_id, BELT, 4).balance

    results = day.at_once(take, take)
    refused = [result for result in results if isinstance(result, NotEnough)]
    assert results.count(1) == 1, results
    assert [error.available for error in refused] == [1], results
    _ledger_agrees(day, expected=1)


def unused_parts_go_back(day: Day) -> None:
    """Three of the four go back; five are refused; the ledger adds up."""
    with day.acting("TECH-001") as (session, who):
        parts.return_parts(session, who, day.order_id, BELT, 3)
    with refused(NotEnough) as errors, day.acting("TECH-001") as (session, who):
        parts.return_parts(session, who, day.order_id, BELT, 5)
    assert errors[0].available == 1
    _ledger_agrees(day, expected=4)


def minutes_count_once(day: Day) -> None:
    """Forty minutes, sent twice by a slow network, are forty minutes."""
    for _ in range(2):
        with day.acting("TECH-001") as (session, who):
            progress.log_minutes(session, who, day.order_id, 40, request="form-2")
    with day.db.read_session() as session:
        detail = orders.get_order(session, day.who["TECH-001"], day.order_id)
        assert detail.minutes == 40


def resolving_starts_the_machine(day: Day) -> None:
    """Resolved: downtime is counted, the machine runs, the reporter is told."""
    day.clock.advance(75 * 60)
    with day.acting("TECH-001") as (session, who):
        order = work.resolve(session, who, day.order_id, resolution="New belt")
        assert order.downtime_minutes == 75
        machine = session.get_one(Equipment, order.equipment_id)
        assert machine.status is EquipmentStatus.RUNNING
    with day.acting("OP-001") as (session, who):
        assert notifications.count_unread(session, who) == 1
        assert work.close(session, who, day.order_id).status is WorkStatus.CLOSED


def a_due_date_makes_one_order(day: Day) -> None:
    """Two schedulers run twice at once: one maintenance order per schedule."""
    day.clock.advance(2 * 86400)

    def run() -> int:
        with day.db.write_session(actor="scheduler") as session:
            return len(schedules.run_due(session))

    first, second = day.at_once(run, run), day.at_once(run, run)
    assert sorted([*first, *second]) == [0, 0, 0, 2], (first, second)


def required_steps_come_first(day: Day) -> None:
    """A checklist's required steps must be ticked before the order is resolved."""
    with day.acting("TECH-001") as (session, who):
        found = orders.OrderFilter(search="grease the conveyor")
        (order,) = orders.list_orders(session, who, found).items
        work.take(session, who, order.id)
    with refused(StepsMissing) as errors, day.acting("TECH-001") as (session, who):
        work.resolve(session, who, order.id, resolution="Greased")
    assert len(errors[0].steps) == 3
    with day.acting("TECH-001") as (session, who):
        for step in orders.get_order(session, who, order.id).steps:
            progress.set_step(session, who, order.id, step.id, is_done=True)
        work.resolve(session, who, order.id, resolution="Greased")


def twenty_guesses_are_five(day: Day) -> None:
    """Twenty wrong PINs at once lock the account, for 15 minutes, in the database."""

    def guess() -> None:
        auth.login(day.db, "OP-001", "9999")

    results = day.at_once(*[guess] * 20)
    assert all(isinstance(result, LoginRefused) for result in results), results
    _cannot_sign_in(day, "OP-001", "0000")
    day.clock.advance(14 * 60)
    _cannot_sign_in(day, "OP-001", "0000")
    day.clock.advance(61)
    auth.login(day.db, "OP-001", "0000")


def a_new_pin_ends_all_sessions(day: Day) -> None:
    """Changing a PIN signs out every device; simple PINs are refused."""
    phone = auth.login(day.db, "OP-001", "0000")
    for simple in ("0000", "111111", "123456", "12ab56"):
        with refused(WeakPin):
            auth.change_pin(day.db, phone.who, "0000", simple)
    auth.change_pin(day.db, phone.who, "0000", "718293")
    with day.db.read_session() as session:
        assert auth.resume(session, phone.token) is None
    _cannot_sign_in(day, "OP-001", "0000")
    auth.login(day.db, "OP-001", "718293")


def the_trail_shows_who_changed_what(day: Day) -> None:
    """The audit trail has who, before and after; no PIN hash is in it."""
    with day.db.read_session() as session:
        wanted = audit.AuditFilter(actor="TECH-001", table="work_orders")
        entries = audit.list_entries(session, day.who["ADMIN-001"], wanted).items
        changes = [
            change for entry in entries for change in audit.changed_fields(entry)
        ]
        assert ("status", "in_progress", "resolved") in changes, changes
        hashes = session.scalars(select(User.pin_hash)).all()
        for entry in session.scalars(select(AuditEntry)):
            assert not any(h in f"{entry.before}{entry.after}" for h in hashes)


def exports_are_safe_to_open(day: Day) -> None:
    """A CSV export has every order, and no cell that a spreadsheet would run."""
    with day.acting("OP-001") as (session, who):
        reporting.report(session, who, machine="QS-001", problem="=1+1", priority="low")
    lines = b"".join(export.stream_csv(day.db, day.who["ADMIN-001"], "work_orders"))
    with day.db.read_session() as session:
        expected = session.scalar(select(func.count()).select_from(WorkOrder))
    assert lines.count(b"\r\n") == 1 + (expected or 0)
    assert b",'=1+1," in lines
    assert b",=1+1," not in lines


def setting_up_again_undoes_nothing(day: Day) -> None:
    """Setting up again keeps changed PINs, taken parts and resolved orders."""
    prepare(day.db, demo=True)
    _cannot_sign_in(day, "OP-001", "0000")
    auth.login(day.db, "OP-001", "718293")
    _ledger_agrees(day, expected=4)
    with day.db.read_session() as session:
        assert session.scalar(select(func.count()).select_from(Notification))


STEPS: list[Callable[[Day], None]] = [
    the_demo_factory_is_there_once,
    everybody_signs_in,
    a_report_is_three_fields,
    the_technician_sees_it,
    one_of_two_technicians_takes_it,
    the_stock_never_goes_below_zero,
    unused_parts_go_back,
    minutes_count_once,
    resolving_starts_the_machine,
    a_due_date_makes_one_order,
    required_steps_come_first,
    twenty_guesses_are_five,
    a_new_pin_ends_all_sessions,
    the_trail_shows_who_changed_what,
    exports_are_safe_to_open,
    setting_up_again_undoes_nothing,
]


def tell(url: str) -> Iterator[tuple[str, Exception | None]]:
    """Live the day on an empty database; yield each promise and what broke it."""
    clock = ManualClock(datetime(2026, 11, 20, 6, 0, tzinfo=UTC))
    with Database(url, clock=clock) as db:
        day = Day(db, clock)
        for step in STEPS:
            promise = (step.__doc__ or step.__name__).strip()
            try:
                step(day)
            except Exception as error:
                yield promise, error
            else:
                yield promise, None


def main() -> int:
    """Print the day; return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description="A day in the factory.")
    parser.add_argument(
        "--engine", default="sqlite", choices=("sqlite", "libsql", "postgresql")
    )
    parser.add_argument("--url", help="an empty database; default: a throw-away one")
    options = parser.parse_args()
    if options.url:
        return _print(options.url)
    with scratch_database(options.engine) as url:
        return _print(url)


def _print(url: str) -> int:
    broken = 0
    for promise, error in tell(url):
        broken += error is not None
        print("FAIL" if error else "PASS", promise, flush=True)
        if error:
            print(f"     {type(error).__name__}: {error}")
    return 1 if broken else 0


def _cannot_sign_in(day: Day, employee_id: str, pin: str) -> None:
    with refused(LoginRefused):
        auth.login(day.db, employee_id, pin)


def _ledger_agrees(day: Day, *, expected: int) -> None:
    with day.db.read_session() as session:
        line = InventoryTransaction
        total = select(func.sum(line.delta)).where(line.part_id == BELT)
        on_hand = select(func.sum(InventoryLevel.quantity)).where(
            InventoryLevel.part_id == BELT
        )
        assert session.scalar(total) == session.scalar(on_hand) == expected


if __name__ == "__main__":
    sys.exit(main())
