"""Browsers that talk to the application, on every engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from fixit.web.app import create_app
from fixit.web.guard import Rates
from lockstep import Database

PINS = {
    "ADMIN-001": "1234",
    "TECH-001": "5678",
    "OP-001": "0000",
    "STORE-001": "2468",
}


class Browser:
    """A client with cookies that fills in a page's CSRF token by itself."""

    def __init__(self, app: Starlette) -> None:
        self.http = TestClient(
            app, raise_server_exceptions=False, follow_redirects=False
        )
        self.csrf = ""

    def get(self, path: str, **options):
        answer = self.http.get(path, **options)
        found = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
        if found:
            self.csrf = found[1]
        return answer

    def post(self, path: str, **fields):
        return self.http.post(path, data={"csrf_token": self.csrf, **fields})

    def sign_in(self, employee_id: str, pin: str | None = None):
        typed = {"employee_id": employee_id, "pin": pin or PINS.get(employee_id, "")}
        answer = self.http.post("/login", data=typed)
        if answer.status_code == 303:
            self.get("/me")
        return answer


@pytest.fixture
def app(db: Database) -> Starlette:
    """The application over the demo factory, without a limit on requests."""
    return create_app(db, rates=Rates(burst=100_000, logins=100_000))


@pytest.fixture
def browser(app: Starlette) -> Iterator[Callable[[str], Browser]]:
    """Return a function that opens a browser, signed in as somebody or nobody."""
    opened: list[Browser] = []

    def open_as(employee_id: str = "") -> Browser:
        made = Browser(app)
        opened.append(made)
        if employee_id:
            assert made.sign_in(employee_id).status_code == 303
        return made

    yield open_as
    for made in opened:
        made.http.close()
