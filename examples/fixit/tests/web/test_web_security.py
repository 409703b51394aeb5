"""What the pages refuse, whatever is sent."""

from __future__ import annotations

import itertools
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from fixit.web.app import create_app
from fixit.web.guard import BODY_BYTES_MAX, Rates
from lockstep import Database

NASTY = [
    "\0",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "x" * 5000,
    "-1",
    "NaN",
    "1e309",
    "9" * 40,
    "' OR 1=1 --",
    "{{7*7}}${7*7}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "٣",
    "",
]
FORMS = [
    "/login",
    "/report/IM-001",
    "/me/pin",
    "/admin/users",
    "/work/{id}/take",
    "/work/{id}/parts",
    "/work/{id}/minutes",
    "/work/{id}/resolve",
    "/work/{id}/assign",
    "/work/{id}/step",
    "/stock/{id}/receive",
    "/stock/{id}/count",
]
FIELDS = (
    "employee_id pin problem priority request_key part_id quantity minutes note "
    "resolution version downtime_minutes user_id step_id done level_id counted "
    "location_id bin name role current_pin new_pin new_pin_again reason next"
).split()


@pytest.fixture
def admin(browser):
    return browser("ADMIN-001")


def test_no_form_breaks_on_nasty_values(admin) -> None:
    for path, value in itertools.product(FORMS, NASTY):
        for key in (str(uuid.uuid4()), value.replace("/", "") or "x"):
            where = path.replace("{id}", key.replace("\0", "%00"))
            answer = admin.post(where, **dict.fromkeys(FIELDS, value))
            assert answer.status_code < 500, (where, value, answer.text)


def test_no_list_breaks_on_nasty_parameters(admin) -> None:
    lists = "/work /stock /report /machines /admin/users /admin/audit".split()
    for path, value in itertools.product(lists, NASTY):
        for name in ("after", "search", "show", "actor", "since", "until"):
            answer = admin.get(path, params={name: value})
            assert answer.status_code < 500, (path, name, value)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=st.binary(max_size=300), path=st.sampled_from(FORMS))
def test_no_body_breaks_a_form(admin, body: bytes, path: str) -> None:
    for media in ("application/x-www-form-urlencoded", "multipart/form-data; x", "a"):
        answer = admin.http.post(
            path.replace("{id}", str(uuid.uuid4())),
            content=body,
            headers={"content-type": media},
        )
        assert 400 <= answer.status_code < 500 or answer.status_code == 303


def test_a_change_needs_the_sessions_token(browser) -> None:
    operator = browser("OP-001")
    operator.csrf = "somebody-else's"
    answer = operator.post("/report/IM-001", problem="x", priority="low")
    assert answer.status_code == 403
    assert "another sign-in" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_another_site_cannot_change_anything(browser, headers) -> None:
    operator = browser("OP-001")
    form = {"csrf_token": operator.csrf, "problem": "x", "priority": "low"}
    answer = operator.http.post("/report/IM-001", data=form, headers=headers)
    assert answer.status_code == 403


def test_the_login_leads_to_our_own_pages_only(browser) -> None:
    for wanted in ("//evil.example", "https://evil.example", "/\\evil", "java\nscript"):
        nobody = browser()
        form = {"employee_id": "OP-001", "pin": "0000", "next": wanted}
        answer = nobody.http.post("/login", data=form)
        assert answer.headers["location"] == "/"


def test_five_wrong_pins_lock_the_account_for_fifteen_minutes(browser, clock) -> None:
    for attempt in range(5):
        expected = 401 if attempt < 4 else 429
        assert browser().sign_in("TECH-001", "0001").status_code == expected
    clock.advance(4 * 60)
    locked = browser().sign_in("TECH-001")
    assert locked.status_code == 429
    assert "Wait 11 minutes" in locked.text
    assert locked.headers["retry-after"] == "660"
    clock.advance(11 * 60 + 1)
    assert browser().sign_in("TECH-001").status_code == 303


def test_the_cookie_cannot_be_read_by_scripts(browser) -> None:
    answer = browser().sign_in("OP-001")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_headers_forbid_what_we_do_not_use(browser) -> None:
    answer = browser().get("/login")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_body_that_is_too_large_is_refused_announced_or_not(browser) -> None:
    operator = browser("OP-001")
    large = b"problem=" + b"x" * BODY_BYTES_MAX
    media = {"content-type": "application/x-www-form-urlencoded"}
    announced = operator.http.post("/report/IM-001", content=large, headers=media)
    assert announced.status_code == 413
    pieces = (large[i : i + 65536] for i in range(0, len(large), 65536))
    chunked = operator.http.post("/report/IM-001", content=pieces, headers=media)
    assert chunked.status_code == 413


def test_too_many_requests_are_asked_to_wait(db: Database) -> None:
    app = create_app(db, rates=Rates(burst=10, per_second=0.01))
    with TestClient(app) as client:
        answers = [client.get("/login") for _ in range(11)]
    assert [a.status_code for a in answers] == [200] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


def test_unknown_addresses_and_methods_have_pages_of_their_own(browser) -> None:
    somebody = browser("OP-001")
    assert somebody.get("/nowhere").status_code == 404
    assert somebody.http.put("/report").status_code == 405
    assert somebody.get("/static/../../web/app.py").status_code == 404
    assert somebody.get("/reported/not-a-key").status_code == 404
