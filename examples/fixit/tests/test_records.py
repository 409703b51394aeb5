"""Exports, the audit trail, the dashboard, files."""

from __future__ import annotations

import csv
import hashlib
import io
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from acting import People, acting, order_id
from sqlalchemy import insert, select

from fixit.errors import Forbidden, Invalid, NotThere
from fixit.models import AuditEntry, Priority, User, WorkOrder
from fixit.seed.rows import fixed_id
from fixit.services import (
    attachments,
    audit,
    auth,
    dashboard,
    export,
    people,
    reporting,
    work,
)
from lockstep import Database

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "|calc", "%0A=1"]
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 100


def exported(db: Database, who: People, name: str) -> list[dict[str, str]]:
    whole = b"".join(export.stream_csv(db, who.admin, name)).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(whole, newline="")))


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_is_a_formula(formula: str) -> None:
    assert export.safe_cell(formula) == "'" + formula


@pytest.mark.parametrize("value", [None, 5, -5, Decimal("-1.50"), "E-204", "a=b"])
def test_what_is_no_formula_stays(value: Any) -> None:
    assert export.safe_cell(value) == value


def test_orders_are_exported(db: Database, who: People) -> None:
    with acting(db, who.operator) as session:
        reporting.report(
            session,
            who.operator,
            machine="QS-001",
            problem='=HYPERLINK("http://x"),"y"\nsecond line',
            priority="low",
        )
    rows = exported(db, who, "work_orders")
    assert [row["number"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[4]["title"] == '\'=HYPERLINK("http://x"),"y"'
    assert rows[0]["assignee"] == "TECH-001"
    assert rows[0]["reported_at"].endswith("+00:00")
    assert rows[1]["assignee"] == ""


def test_machines_and_stock_are_exported(db: Database, who: People) -> None:
    machines = exported(db, who, "equipment")
    assert (machines[0]["code"], machines[0]["location"]) == ("CNC-001", "Hall B")
    stock = exported(db, who, "stock")
    assert len(stock) == 12
    assert stock[0]["unit_cost"] == "11.90"


def test_an_export_asks_for_its_permission_at_once(db: Database, who: People) -> None:
    with pytest.raises(Forbidden):
        export.stream_csv(db, who.technician, "work_orders")
    with pytest.raises(NotThere):
        export.stream_csv(db, who.admin, "users")
    assert list(export.stream_csv(db, who.storekeeper, "stock"))


def many_orders(count: int) -> Iterator[dict[str, Any]]:
    first = {
        "priority": Priority.LOW,
        "equipment_id": fixed_id("equipment", "QS-001"),
        "search_text": "",
        "description": "x" * 500,
    }
    for number in range(1000, 1000 + count):
        yield {**first, "number": number, "title": f"Order {number}"}


@pytest.mark.engines("sqlite", "postgresql")  # libSQL's answers come whole
def test_an_export_needs_the_same_memory_for_many_rows(
    db: Database, who: People
) -> None:
    peaks: list[int] = []
    total = 0
    for count in (2_000, 20_000):
        with db.write_session() as session:
            time = session.scalar(select(WorkOrder.reported_at).limit(1))
            session.execute(
                insert(WorkOrder),
                [
                    {**row, "number": row["number"] + total, "reported_at": time}
                    | {"due_at": time}
                    for row in many_orders(count - total)
                ],
            )
        total = count
        tracemalloc.start()
        lines = sum(
            chunk.count(b"\r\n")
            for chunk in export.stream_csv(db, who.admin, "work_orders")
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert lines == count + 4 + 1
    assert peaks[1] < 2 * peaks[0], peaks


def test_a_reader_who_leaves_frees_the_connection(db: Database, who: People) -> None:
    for _ in range(30):
        next(iter(export.stream_csv(db, who.admin, "work_orders")))
    with db.read_session() as session:
        assert session.scalar(select(WorkOrder.number).limit(1))


def test_the_trail_names_who_before_and_after(db: Database, who: People) -> None:
    with acting(db, who.technician) as session:
        work.resolve(session, who.technician, order_id("noise"), resolution="Oiled")
    with db.read_session() as session:
        wanted = audit.AuditFilter(actor="TECH-001", table="work_orders")
        (entry,) = audit.list_entries(session, who.admin, wanted).items
        assert audit.list_actors(session, who.admin) == ["TECH-001", "setup"]
        with pytest.raises(Forbidden):
            audit.list_entries(session, who.technician)
    assert entry.action == "update"
    changed = {name: (old, new) for name, old, new in audit.changed_fields(entry)}
    assert changed["status"] == ("in_progress", "resolved")
    assert changed["resolution"] == ("", "Oiled")
    assert "title" not in changed


def test_the_trail_pages_through_everything_once(db: Database, who: People) -> None:
    with db.read_session() as session:
        expected = session.scalars(select(AuditEntry.id)).all()
        seen: list[Any] = []
        cursor: str | None = None
        while True:
            page = audit.list_entries(session, who.admin, after=cursor)
            seen += [entry.id for entry in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert sorted(seen) == sorted(expected)
    assert len(seen) > 20


def test_no_secret_is_in_the_trail(db: Database, who: People) -> None:
    with db.read_session() as session:
        secrets = list(session.scalars(select(User.pin_hash)))
    with acting(db, who.admin) as session:
        new = people.reset_pin(session, who.admin, who.operator.user_id)
    token = auth.login(db, "OP-001", new.pin).token
    auth.change_pin(db, who.operator, new.pin, "804215")
    with db.read_session() as session:
        secrets += list(session.scalars(select(User.pin_hash)))
        trail = " ".join(
            f"{entry.before} {entry.after}"
            for entry in session.scalars(select(AuditEntry))
        )
    for secret in (*secrets, token, new.pin, "$argon2"):
        assert secret not in trail


def test_a_changed_pin_is_in_the_trail_without_its_value(
    db: Database, who: People
) -> None:
    auth.change_pin(db, who.technician, "5678", "804215")
    with db.read_session() as session:
        wanted = audit.AuditFilter(actor="TECH-001", table="users", action="update")
        (entry,) = audit.list_entries(session, who.admin, wanted).items
    assert ("has_demo_pin", True, False) in audit.changed_fields(entry)


def test_the_dashboard_counts(db: Database, who: People) -> None:
    with acting(db, who.technician) as session:
        work.take(session, who.technician, order_id("breakdown"))
        work.resolve(
            session,
            who.technician,
            order_id("breakdown"),
            resolution="Heater",
            downtime_minutes=55,
        )
    with db.read_session() as session:
        now = dashboard.numbers(session, who.technician)
        with pytest.raises(Forbidden):
            dashboard.numbers(session, who.operator)
    assert now.unfinished_by_priority == {
        Priority.CRITICAL: 0,
        Priority.HIGH: 1,
        Priority.MEDIUM: 1,
        Priority.LOW: 1,
    }
    assert (now.unfinished, now.in_progress, now.unassigned) == (3, 1, 2)
    assert (now.machines_down, now.low_parts) == (0, 2)
    assert (now.resolved, now.downtime_minutes, now.overdue) == (1, 55, 0)


def test_a_file_is_kept_under_its_hash(
    db: Database, who: People, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    stored = attachments.store_file(folder, [PNG[:5], PNG[5:]])
    with acting(db, who.operator) as session:
        row = attachments.attach(
            session, who.operator, order_id("label"), "..\\..\\photo.png", stored
        )
    assert (row.file_name, row.content_type) == ("photo.png", "image/png")
    path = attachments.file_path(folder, row.sha256)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == row.sha256
    assert [p for p in folder.rglob("*") if p.is_file()] == [path]
    with db.read_session() as session:
        found = attachments.get_attachment(session, who.storekeeper, row.id)
        assert found.size_bytes == len(PNG)


@pytest.mark.parametrize(
    "chunks",
    [[], [b"<svg onload=alert(1)>"], [b"MZ"], [PNG] + [b"\x00" * 2**20] * 10],
)
def test_other_files_are_refused_and_not_kept(
    tmp_path: Path, chunks: list[bytes]
) -> None:
    with pytest.raises(Invalid):
        attachments.store_file(tmp_path, chunks)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_file_of_somebody_elses_order_is_not_there(
    db: Database, who: People, tmp_path: Path
) -> None:
    stored = attachments.store_file(tmp_path, [PNG])
    with acting(db, who.technician) as session:
        order = reporting.report(
            session,
            who.technician,
            machine="QS-001",
            problem="Secret",
            priority="low",
        )
        row = attachments.attach(session, who.technician, order.id, "photo.png", stored)
    with db.read_session() as session, pytest.raises(NotThere):
        attachments.get_attachment(session, who.operator, row.id)
