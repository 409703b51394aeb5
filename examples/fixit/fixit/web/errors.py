"""What a person, or a program, sees when something was refused or went wrong.

Owns the status of every refusal and the words around it. A browser gets a page, the
API and whoever asks for JSON a problem (RFC 9457). Never a traceback, never a secret.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from fixit.errors import (
    FixitError,
    Forbidden,
    Invalid,
    LoginRefused,
    NotThere,
    PinChangeRequired,
)
from fixit.web.forms import BadForm
from lockstep.errors import (
    DataError,
    InvalidCursor,
    InvalidValue,
    LockstepError,
    NotEnough,
    NotFound,
    StaleVersion,
)

RETRY_AFTER_S = 2.0

WORDS: dict[int, tuple[str, str]] = {
    400: ("That did not make sense", "The address or the form cannot be read."),
    401: ("Sign in first", "This needs an employee id and a PIN."),
    403: ("Not allowed", "Your role does not allow this."),
    404: ("Nothing here", "There is nothing at this address."),
    405: ("Not possible here", "This address does not do that."),
    409: ("Somebody was faster", "It has changed since you opened the page."),
    412: ("Somebody was faster", "It has changed since you read it."),
    413: ("Too large", "What you sent is larger than this server takes."),
    422: ("Please check", "Something in the form is not right."),
    429: (
        "One moment, please",
        "Too many requests came from here. Wait and try again.",
    ),
    431: ("Too large", "The headers of this request are larger than we take."),
    500: ("Something broke", "It is our fault and it is written down. Try again."),
    503: ("The database is busy", "Nothing was changed. Try again in a moment."),
}


class SignInFirst(Exception):
    """Nobody is signed in; the page that was wanted comes after."""


class CsrfMismatch(FixitError):
    """The form was made for another session, or by another site."""

    def __init__(self) -> None:
        super().__init__(
            "This page belongs to another sign-in. Open it again, then repeat this."
        )


_STATUS: list[tuple[type[Exception], int]] = [
    (SignInFirst, 401),
    (BadForm, 400),
    (Invalid, 422),
    (Forbidden, 403),
    (CsrfMismatch, 403),
    (PinChangeRequired, 403),
    (NotThere, 404),
    (FixitError, 409),
    (InvalidCursor, 400),
    (InvalidValue, 422),
    (NotFound, 404),
    (DataError, 409),
    (LockstepError, 503),
]


def status_of(error: Exception) -> int:
    """Return the HTTP status of a refusal."""
    if isinstance(error, LoginRefused):
        return 401 if error.locked_until is None else 429
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def words_of(error: Exception, time: datetime | None = None) -> str:
    """Return what to tell the user about a refusal.

    Args:
        error: The refusal.
        time: Now, to say how long a lock lasts.
    """
    if isinstance(error, LoginRefused) and error.locked_until is not None and time:
        left_s = (error.locked_until - time).total_seconds()
        minutes = max(1, math.ceil(left_s / 60))
        wait = f"{minutes} minute{'s' if minutes > 1 else ''}"
        return f"Too many wrong PINs. Wait {wait}, or ask an administrator."
    if isinstance(error, FixitError | BadForm):
        return str(error)
    if isinstance(error, NotEnough):
        return f"There are only {error.available} left."
    if isinstance(error, StaleVersion):
        return WORDS[409][1]
    if isinstance(error, DataError):
        return error.message
    return WORDS[status_of(error)][1]


def error_response(
    request: Request, status: int, detail: str = "", retry_after_s: float = 0
) -> Response:
    """Return the page, or the problem, for a status."""
    from fixit.web.pages import render_error

    title, text = WORDS.get(status, WORDS[400 if status < 500 else 500])
    if status == 503:
        retry_after_s = retry_after_s or RETRY_AFTER_S
    if _wants_json(request):
        body = {"title": title, "status": status, "detail": detail or text}
        response: Response = JSONResponse(
            body, status_code=status, media_type="application/problem+json"
        )
    else:
        response = render_error(request, status, title, detail or text)
    response.headers["cache-control"] = "no-store"
    if retry_after_s:
        response.headers["retry-after"] = str(math.ceil(retry_after_s))
    return response


async def respond(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    detail: str = "",
    retry_after_s: float = 0,
) -> None:
    """Answer from a middleware, before there is a route."""
    request = Request(scope, receive)
    response = error_response(request, status, detail, retry_after_s)
    await response(scope, receive, send)


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    asks = "json" in accept and "text/html" not in accept
    return request.scope["path"].startswith("/api/") or asks


async def _refused(request: Request, error: Exception) -> Response:
    return error_response(request, status_of(error), words_of(error))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for this class"
    response = error_response(request, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _sign_in_first(request: Request, error: Exception) -> Response:
    if _wants_json(request) or request.headers.get("hx-request"):
        return error_response(request, 401, "You are not signed in any more.")
    wanted = request.scope["path"]
    if request.method not in ("GET", "HEAD") or wanted == "/":
        return RedirectResponse("/login", status_code=303)
    return RedirectResponse(f"/login?next={quote(wanted)}", status_code=303)


async def _own_pin_first(request: Request, error: Exception) -> Response:
    if _wants_json(request):
        return error_response(request, 403, words_of(error))
    return RedirectResponse("/me", status_code=303)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


def handlers() -> dict[Any, Any]:
    """Return the application's exception handlers."""
    return {
        SignInFirst: _sign_in_first,
        PinChangeRequired: _own_pin_first,
        FixitError: _refused,
        BadForm: _refused,
        LockstepError: _refused,
        HTTPException: _http,
        ClientDisconnect: _gone,
    }
