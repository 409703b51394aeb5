"""Every route, every method, whatever is sent: an answer, never a failure of ours.

The routes are read from the application, so a new one is tried without a word here.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from fixit.seed.rows import fixed_id

from .conftest import Browser

VALUES = [
    *("", "0", "-1", "1e400", "9" * 40, "9223372036854775808", "NaN", "null", "on"),
    *("\x00", "a\x00b", "\ud7ff\uffff", "𝕳" * 500, "x" * 20_000, "é\u0301", "\r\nX: y"),
    *("' OR 1=1 --", '"; DROP TABLE users; --', "%", "_", "../../etc/passwd"),
    *("<script>alert(1)</script>", "{{7*7}}", "${7*7}", "2026-02-30", "9999-99-99"),
    *("0001-01-01T00:00:00", "true", "[]", "{}", "=1+1", "://", "//evil.example/"),
]
QUERIES = [
    "",
    "?q=%00",
    "?q=%FF",
    "?after=x&before=y",
    "?page=-1&size=1e9",
    "?" + "a=1&" * 2000,
]
BROKEN_FILE = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="\xff"\r\n\r\nMZ'
)
BODIES = [
    (b"", "application/x-www-form-urlencoded"),
    (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
    (b"csrf_token=%ff&a[]=1&a=2", "application/x-www-form-urlencoded; charset=utf-16"),
    (b"{", "application/json"),
    (b"[" * 10_000, "application/json"),
    (b'{"a": 1e400, "version": 99999999999999999999}', "application/json"),
    (b'"\\ud800"', "application/json"),
    (b"null", "application/json; charset=nonsense"),
    (BROKEN_FILE, "multipart/form-data; boundary=x"),
    (b"nothing", "multipart/form-data"),
    (b"a", "\x80"),
]  # fmt: skip


def routes_of(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    for route in routes:
        if isinstance(route, Mount):
            yield from routes_of(route.routes, prefix + route.path)
        elif isinstance(route, Route):
            for method in sorted(route.methods or {"GET"}):
                yield method, prefix + route.path


KNOWN = [
    *(str(fixed_id(kind, "x")) for kind in ("user", "order")),
    *("CNC-001", "work_orders", "1", "00000000-0000-0000-0000-000000000000"),
]
UNKNOWN = ["%00", "%FF", "..%2f..%2fetc%2fpasswd", "x" * 3000, "%F0%9D%95%B3", "-1"]
FIELDS = {"version", "minutes", "quantity", "note", "q", "problem", "priority"}


def paths(template: str, chance: random.Random) -> list[str]:
    """Fill the template's parameters with what may be there, and what may not."""
    if "{" not in template:
        return [template]
    return [
        re.sub(r"\{[^}]+\}", chance.choice(choices), template)
        for choices in (KNOWN, KNOWN, UNKNOWN, UNKNOWN)
    ]


def check(answer, told: str) -> None:
    assert answer.status_code < 500, f"{told}: {answer.status_code} {answer.text[:500]}"
    assert "Traceback" not in answer.text, told
    assert "sqlalchemy" not in answer.text.lower(), told


def send(client: Browser, chance: random.Random, method: str, path: str) -> None:
    """Send a route what no page of ours sends: forms, files, JSON, anything."""
    told = f"{method} {path[:200]}"
    check(client.http.request(method, path + chance.choice(QUERIES)), told)
    if method in ("GET", "HEAD"):
        return
    form = {name: chance.choice(VALUES) for name in sorted(FIELDS)}
    form |= {"csrf_token": client.csrf, "request_key": chance.choice(VALUES)}
    encoded = {k: v.encode("utf-8", "surrogatepass") for k, v in form.items()}
    check(client.http.request(method, path, data=encoded), told)
    documents = [chance.choice(BODIES), (json.dumps(form).encode(), "application/json")]
    for body, kind in documents:
        headers = {"content-type": kind.encode("latin-1"), "x-csrf-token": client.csrf}
        answer = client.http.request(method, path, content=body, headers=headers)
        check(answer, told)


# Starlette leaves the temporary file of a part that never ends to Python to close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("who", ["", "OP-001", "ADMIN-001"])
def test_no_route_fails_whatever_is_sent(
    app: Starlette, browser: Callable[[str], Browser], who: str
) -> None:
    chance = random.Random(f"fixit {who}")
    client = browser(who)
    client.get("/report/CNC-001")  # a page with a CSRF token
    tried = 0
    for method, template in routes_of(app.routes):
        if "stream" in template or template in ("/logout", "/live", "/events"):
            continue  # one ends the session, the others never end
        for path in paths(template, chance):
            send(client, chance, method, path)
            tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": "session=%00; session=x; =; ;;"},
        {"cookie": b"session=\xff\xfe"},
        {"cookie": "a=" + "x" * 9000},
        {"host": "evil.example"},
        {"host": "a b"},
        {"accept-language": "*" * 500},
        {"last-event-id": "-1"},
        {"last-event-id": b"\x00" + b"9" * 50},
        {"range": "bytes=0-0,-1"},
        {"if-none-match": '"\x80"'.encode("latin-1")},
        {"x-forwarded-for": "' OR 1=1, ::1"},
        {"authorization": b"Bearer \xff"},
        {"authorization": "Basic !!!"},
    ],
)
def test_no_header_makes_a_page_fail(
    browser: Callable[[str], Browser], headers
) -> None:
    for who in ("", "ADMIN-001"):
        client = browser(who)
        for path in (
            "/",
            "/work",
            "/login",
            "/api/v1/work-orders",
            "/health",
            "/static/x",
        ):
            check(client.http.get(path, headers=headers), f"{path} {headers}")
