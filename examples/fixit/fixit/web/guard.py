"""What every request passes before a page sees it.

    Unbroken         an error nobody expected becomes a page
    SecurityHeaders  what a browser may do with our pages
    KnownHost        the request names a host that can be one
    RateLimit        how often one address may ask
    SameOrigin       a change comes from our own pages
    BodyLimit        how large a body may be, announced or not

Plain ASGI, so that streams pass untouched. Memory is bounded.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fixit.services.attachments import SIZE_MAX_BYTES
from fixit.web.assets import PREFIX as ASSETS
from fixit.web.errors import respond

log = logging.getLogger("fixit")

BODY_BYTES_MAX = 256 * 1024
UPLOAD_BYTES_MAX = SIZE_MAX_BYTES + BODY_BYTES_MAX
ADDRESSES_MAX = 10_000

_SAFE = {"GET", "HEAD", "OPTIONS"}
_UPLOADS = re.compile(r"/report/[^/]+|/work/[^/]+/files")
_HOST = re.compile(r"([\w.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?", re.ASCII)
_LOGINS = {"/login", "/me/pin", "/api/v1/sessions"}
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "geolocation=(), microphone=(), camera=()",
}


@dataclass(frozen=True, slots=True)
class Rates:
    """How often one address may ask.

    Attributes:
        burst: Requests at once.
        per_second: Requests for ever after.
        logins: Refused sign-ins at once; one more every six seconds.
    """

    burst: int = 240
    per_second: float = 20.0
    logins: int = 20


class Unbroken:
    """Answers 500 with a page, and writes down what happened, when all else failed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noticed(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noticed)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            log.exception("%s %s broke", scope["method"], scope["path"])
            await respond(scope, receive, send, 500)


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


class KnownHost:
    """Answers 400 when the Host header cannot be one, as no browser sends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = Headers(scope=scope).getlist("host")
            if len(hosts) > 1 or not all(_HOST.fullmatch(host) for host in hosts):
                # Nothing may read the address of this request any more.
                kept = [h for h in scope["headers"] if h[0].lower() != b"host"]
                await respond(
                    {**scope, "headers": kept}, receive, send, 400, "Which host?"
                )
                return
        await self._app(scope, receive, send)


class BodyLimit:
    """Ends a request with 413 as soon as its body is too large, announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        most = UPLOAD_BYTES_MAX if _may_upload(scope, headers) else BODY_BYTES_MAX
        announced = headers.get("content-length", "0")
        digits = announced.isascii() and announced.isdigit() and len(announced) < 19
        if not digits or int(announced) > most:
            await respond(scope, receive, send, 413)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


def _may_upload(scope: Scope, headers: Headers) -> bool:
    """Return whether this is a form with a file; its parts go to disk, not memory."""
    in_parts = headers.get("content-type", "").lower().startswith("multipart/")
    return in_parts and _UPLOADS.fullmatch(scope["path"]) is not None


class SameOrigin:
    """Answers 403 when another site's page tries to change something here.

    Browsers tell where a request comes from (Sec-Fetch-Site, else Origin); a script
    tells neither and has no cookie to abuse.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        changes = scope["type"] == "http" and scope["method"] not in _SAFE
        if changes and _is_foreign(Headers(scope=scope)):
            await respond(
                scope, receive, send, 403, "This came from another site's page."
            )
            return
        await self._app(scope, receive, send)


def _is_foreign(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:
        return True


class RateLimit:
    """Answers 429 when one address asks too often; sign-ins have a limit of theirs."""

    def __init__(
        self, app: ASGIApp, rates: Rates, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._all = _Buckets(rates.burst, rates.per_second, now)
        self._logins = _Buckets(rates.logins, 1 / 6, now)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(ASSETS + "/"):
            address = _network(scope)
            is_login = scope["method"] == "POST" and scope["path"] in _LOGINS
            wait_s = self._all.take(address)
            if not wait_s and is_login:
                wait_s = self._logins.take(address)
                send = self._refunding(address, send)
            if wait_s:
                await respond(scope, receive, send, 429, retry_after_s=wait_s)
                return
        await self._app(scope, receive, send)

    def _refunding(self, address: str, send: Send) -> Send:
        """Give the token back when the PIN was right: a shift starts at one tablet."""

        async def noticed(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self._logins.give(address)
            await send(message)

        return noticed


def _network(scope: Scope) -> str:
    """Return what counts as one address; of IPv6 the half that one site owns."""
    address = (scope.get("client") or ("?", 0))[0]
    try:
        return ipaddress.IPv6Address(address).packed[:8].hex()
    except ValueError:
        return address


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

    def give(self, address: str) -> None:
        """Put a token back."""
        if address in self._buckets:
            tokens, seen_s = self._buckets[address]
            self._buckets[address] = (min(self._burst, tokens + 1), seen_s)
