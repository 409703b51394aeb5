"""``/api/v1``: the same services, as JSON."""

from __future__ import annotations

import itertools
import uuid

import pytest
from starlette.testclient import TestClient

from fixit.web.api.operations import OPERATIONS

V1 = "/api/v1"


@pytest.fixture
def api(app):
    """A client and a function that signs somebody in."""
    with TestClient(app, raise_server_exceptions=False) as client:

        def sign_in(employee_id: str, pin: str) -> dict[str, str]:
            given = {"employee_id": employee_id, "pin": pin}
            token = client.post(f"{V1}/sessions", json=given).json()["token"]
            return {"authorization": f"Bearer {token}"}

        client.sign_in = sign_in
        yield client


def test_report_take_resolve_and_a_stale_version(api) -> None:
    operator, technician = (
        api.sign_in("OP-001", "0000"),
        api.sign_in("TECH-001", "5678"),
    )
    report = {
        "machine": "IM-001",
        "problem": "Leaks",
        "priority": "high",
        "request_key": "k",
    }
    made = api.post(f"{V1}/work-orders", json=report, headers=operator)
    assert made.status_code == 201
    again = api.post(f"{V1}/work-orders", json=report, headers=operator)
    assert again.json()["order"]["id"] == made.json()["order"]["id"]
    order = f"{V1}/work-orders/{made.json()['order']['id']}"
    taken = api.post(f"{order}/take", headers=technician).json()
    assert taken["order"]["status"] == "in_progress"
    stale = {"resolution": "Done", "version": 1}
    refused = api.post(f"{order}/resolve", json=stale, headers=technician)
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["current_version"] == taken["order"]["version"]
    right = {"resolution": "Done", "version": taken["order"]["version"]}
    done = api.post(f"{order}/resolve", json=right, headers=technician)
    assert done.json()["order"]["status"] == "resolved"


def test_pages_follow_one_another(api) -> None:
    admin = api.sign_in("ADMIN-001", "1234")
    first = api.get(f"{V1}/audit", headers=admin).json()
    assert first["items"]
    if first["next"]:
        second = api.get(f"{V1}/audit", params={"after": first["next"]}, headers=admin)
        assert second.status_code == 200
        assert second.json()["items"] != first["items"]


def test_nobody_gets_in_without_a_token(api) -> None:
    for operation in OPERATIONS:
        path = V1 + operation.path.format(id=uuid.uuid4(), step=uuid.uuid4())
        answer = api.request(operation.method, path)
        expected = 401 if operation.body is None else 400
        assert answer.status_code == expected, operation.name


def test_no_body_breaks_an_operation(api) -> None:
    admin = api.sign_in("ADMIN-001", "1234")
    headers = {**admin, "content-type": "application/json"}
    deep = b'{"x":' + b"[" * 5000
    bodies = [b"", b"null", b"[]", b'{"a":1}', b"\xff\xfe", deep]
    for operation, body in itertools.product(OPERATIONS, bodies):
        for key in (str(uuid.uuid4()), "x", "%00"):
            path = V1 + operation.path.format(id=key, step=key)
            answer = api.request(operation.method, path, content=body, headers=headers)
            assert answer.status_code < 500, (operation.name, body, answer.text)


def test_a_cookie_alone_changes_nothing(api) -> None:
    api.post("/login", data={"employee_id": "OP-001", "pin": "0000"})
    report = {"machine": "IM-001", "problem": "Leaks", "priority": "high"}
    assert api.post(f"{V1}/work-orders", json=report).status_code == 403
    assert api.get(f"{V1}/equipment").status_code == 200


def test_the_document_names_every_operation(api) -> None:
    document = api.get(f"{V1}/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    for operation in OPERATIONS:
        entry = document["paths"][V1 + operation.path][operation.method.lower()]
        assert entry["operationId"] == operation.name
