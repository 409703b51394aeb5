"""What every request passes before a page sees it.

Owns four limits: the headers a browser gets, the size of a body (also when no length
is announced), how often one address may ask, and that a change comes from our own
pages. Plain ASGI, so that streams pass untouched. Memory is bounded.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fixit.web.errors import respond

BODY_BYTES_MAX = 256 * 1024
ADDRESSES_MAX = 10_000

_SAFE = {"GET", "HEAD", "OPTIONS"}
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "geolocation=(), microphone=(), camera=()",
}


@dataclass(frozen=True, slots=True)
class Rates:
    """How often one address may ask.

    Attributes:
        burst: Requests at once.
        per_second: Requests for ever after.
        logins: Sign-ins at once; one more every six seconds.
    """

    burst: int = 240
    per_second: float = 20.0
    logins: int = 20


class SecurityHeaders:
    """Sets the headers that keep a browser from doing more than we asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class BodyLimit:
    """Answers 413 as soon as a body is too large, announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdigit() or int(announced) > BODY_BYTES_MAX:
            await respond(scope, receive, send, 413)
            return
        body: list[bytes] = []
        size = 0
        more = scope["method"] not in _SAFE
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body.append(message.get("body", b""))
            size += len(body[-1])
            more = message.get("more_body", False)
            if size > BODY_BYTES_MAX:
                await respond(scope, receive, send, 413)
                return
        await self._app(scope, _replay(b"".join(body), receive), send)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


class SameOrigin:
    """Answers 403 when another site's page tries to change something here.

    Browsers tell where a request comes from (Sec-Fetch-Site, else Origin); a script
    tells neither and has no cookie to abuse.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE:
            headers = Headers(scope=scope)
            site = headers.get("sec-fetch-site")
            origin = headers.get("origin")
            foreign = site not in (None, "same-origin", "none")
            if origin is not None and site is None:
                foreign = urlsplit(origin).netloc != headers.get("host", "")
            if foreign:
                await respond(scope, receive, send, 403)
                return
        await self._app(scope, receive, send)


class RateLimit:
    """Answers 429 when one address asks too often; sign-ins have a limit of theirs."""

    def __init__(
        self, app: ASGIApp, rates: Rates, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._all = _Buckets(rates.burst, rates.per_second, now)
        self._logins = _Buckets(rates.logins, 1 / 6, now)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/static/"):
            address = (scope.get("client") or ("?", 0))[0]
            wait_s = self._all.take(address)
            if not wait_s and _is_login(scope):
                wait_s = self._logins.take(address)
            if wait_s:
                await respond(scope, receive, send, 429, retry_after_s=wait_s)
                return
        await self._app(scope, receive, send)


def _is_login(scope: Scope) -> bool:
    paths = {"/login", "/me/pin", "/api/v1/sessions"}
    return scope["method"] == "POST" and Request(scope).url.path in paths


class _Buckets:
    """A token bucket for each address; the longest silent are forgotten."""

    def __init__(self, burst: int, per_second: float, now: Callable[[], float]) -> None:
        self._burst, self._per_second, self._now = burst, per_second, now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        time_s = self._now()
        tokens, seen_s = self._buckets.pop(address, (float(self._burst), time_s))
        tokens = min(self._burst, tokens + (time_s - seen_s) * self._per_second)
        enough = tokens >= 1
        self._buckets[address] = (tokens - 1 if enough else tokens, time_s)
        if len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)
        return 0.0 if enough else (1 - tokens) / self._per_second
