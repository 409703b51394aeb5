"""The factory's day through the pages."""

from __future__ import annotations

import re

import pytest

ROLES = ("ADMIN-001", "TECH-001", "OP-001", "STORE-001")
PAGES = {
    "/report": set(ROLES),
    "/report/IM-001": set(ROLES),
    "/my-reports": set(ROLES),
    "/me": set(ROLES),
    "/work": {"ADMIN-001", "TECH-001", "STORE-001"},
    "/work?show=mine": {"ADMIN-001", "TECH-001", "STORE-001"},
    "/work?show=finished": {"ADMIN-001", "TECH-001", "STORE-001"},
    "/stock": {"ADMIN-001", "TECH-001", "STORE-001"},
    "/machines": set(ROLES),
    "/machines/labels": set(ROLES),
    "/admin": {"ADMIN-001"},
    "/admin/users": {"ADMIN-001"},
    "/admin/audit": {"ADMIN-001"},
    "/export/work_orders.csv": {"ADMIN-001"},
    "/export/equipment.csv": {"ADMIN-001"},
    "/export/stock.csv": {"ADMIN-001", "STORE-001"},
}


@pytest.mark.parametrize("employee_id", ROLES)
def test_every_role_sees_its_pages_and_no_others(browser, employee_id: str) -> None:
    somebody = browser(employee_id)
    for path, allowed in PAGES.items():
        expected = 200 if employee_id in allowed else 403
        assert somebody.get(path).status_code == expected, path


def test_without_a_session_every_page_leads_to_the_form(browser) -> None:
    nobody = browser()
    for path in PAGES:
        answer = nobody.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login?next=%2F") or (
            answer.headers["location"].startswith("/login?next=/")
        )


def test_an_operator_reports_and_a_technician_mends(browser) -> None:
    operator, technician = browser("OP-001"), browser("TECH-001")
    page = operator.get("/report/IM-001")
    assert "Injection Moulder" in page.text
    key = re.search(r'name="request_key" value="([^"]+)"', page.text)[1]
    report = {"problem": "It <b>hums</b>", "priority": "high", "request_key": key}
    first, second = (operator.post("/report/IM-001", **report) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    reported = operator.get(first.headers["location"])
    assert "It &lt;b&gt;hums&lt;/b&gt;" in reported.text

    assert "It &lt;b&gt;hums&lt;/b&gt;" in technician.get("/work").text
    order = "/work/" + first.headers["location"].rsplit("/", 1)[1]
    assert technician.post(f"{order}/take").status_code == 303
    page = technician.get(order)
    part = re.search(r'<option value="([0-9a-f-]{36})"\s*>[^<]*\((\d+) left', page.text)
    refused = technician.post(f"{order}/parts", part_id=part[1], quantity="99999")
    assert refused.status_code == 409
    assert f"only {part[2]} left" in refused.text
    assert 'value="99999"' in refused.text
    taken = technician.post(f"{order}/parts", part_id=part[1], quantity="1")
    assert taken.status_code == 303
    assert technician.post(f"{order}/minutes", minutes="40").status_code == 303
    version = re.search(r'name="version" value="(\d+)"', technician.get(order).text)
    done = technician.post(
        f"{order}/resolve", resolution="New seal", version=version[1]
    )
    assert done.status_code == 303
    assert "New seal" in operator.get(first.headers["location"]).text


def test_two_technicians_and_one_order(browser) -> None:
    first, second = browser("TECH-001"), browser("ADMIN-001")
    order = re.search(r'href="(/work/[0-9a-f-]{36})"', first.get("/work").text)[1]
    assert first.post(f"{order}/take").status_code == 303
    second.get(order)
    refused = second.post(f"{order}/take")
    assert refused.status_code == 409
    assert "already on this" in refused.text
    assert "in progress" in refused.text


def test_a_wrong_field_is_named_and_what_was_typed_stays(browser) -> None:
    operator = browser("OP-001")
    operator.get("/report/IM-001")
    answer = operator.post("/report/IM-001", problem="Smoke", priority="very")
    assert answer.status_code == 422
    assert ">Smoke</textarea>" in answer.text
    assert "Please choose one of" in answer.text


def test_an_administrator_adds_a_user_and_sees_the_trail(browser) -> None:
    admin = browser("ADMIN-001")
    admin.get("/admin/users")
    made = admin.post(
        "/admin/users", employee_id="tech-009", name="Ida", role="technician"
    )
    pin = re.search(r'<p class="big mono">(\d+)</p>', made.text)[1]
    ida = browser()
    assert ida.sign_in("TECH-009", pin).status_code == 303
    assert ida.get("/work").headers["location"] == "/me"
    ida.get("/me")
    changed = ida.post(
        "/me/pin", current_pin=pin, new_pin="837465", new_pin_again="837465"
    )
    assert changed.headers["location"] == "/login"
    assert ida.get("/work").status_code == 303, "the old session has ended"
    assert ida.sign_in("TECH-009", "837465").status_code == 303
    assert ida.get("/work").status_code == 200
    trail = admin.get("/admin/audit?table=users").text
    assert "TECH-009" in trail
    assert "argon2" not in trail


def test_stock_is_received_and_counted(browser) -> None:
    keeper = browser("STORE-001")
    part = re.search(r'href="(/stock/[0-9a-f-]{36})"', keeper.get("/stock").text)[1]
    page = keeper.get(part).text
    place = re.search(r'<option value="([0-9a-f-]{36})"[^>]*selected', page)[1]
    got = keeper.post(
        f"{part}/receive", location_id=place, quantity="7", bin="Z-9", request_key="r1"
    )
    assert got.status_code == 303
    page = keeper.get(part).text
    assert "Z-9" in page
    assert "+7" in page
    level = re.findall(r'<option value="([0-9a-f-]{36})" *>', page)[-1]
    counted = keeper.post(
        f"{part}/count", level_id=level, counted="0", reason="Stocktaking"
    )
    assert counted.status_code == 303


def test_exports_are_files_that_no_spreadsheet_runs(browser) -> None:
    operator, admin = browser("OP-001"), browser("ADMIN-001")
    operator.get("/report/IM-001")
    operator.post("/report/IM-001", problem="=cmd|' /C calc'!A0", priority="low")
    answer = admin.get("/export/work_orders.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "fixit-work_orders.csv" in answer.headers["content-disposition"]
    assert "'=cmd|" in answer.text
    assert ",=cmd|" not in answer.text


def test_health_tells_the_latency_and_no_secret(browser, db) -> None:
    answer = browser().get("/health").json()
    assert answer["status"] == "ok"
    assert answer["database"] == db.engine_name
    assert answer["latency_ms"] >= 0
