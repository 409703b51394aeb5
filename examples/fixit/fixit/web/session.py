"""Who asks, and one transaction for each request.

Owns the cookie and the two ways a function becomes an endpoint:

    page      GET:  one read session; the page is rendered inside it
    action    POST: one write session, the form's CSRF token checked in it; a refusal
              takes everything back and shows the page again with what was typed

The token is looked up inside the request's own transaction, so a session that was
ended a moment ago changes nothing any more. All of it runs in a thread.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fixit.errors import FixitError, PinChangeRequired
from fixit.permissions import Identity
from fixit.services import auth
from fixit.web.forms import Form, read_form
from lockstep import Database
from lockstep.errors import DataError

SESSION_COOKIE = "fixit_session"
CSRF_FIELD = "csrf_token"
PIN_PAGE = "/me"

Page = Callable[[Session, Identity, Request], Response]
Action = Callable[[Session, Identity, Request, Form], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


class SignInFirst(Exception):
    """Nobody is signed in; the page that was wanted comes after."""


class CsrfMismatch(FixitError):
    """The form was made for another session, or by another site."""

    def __init__(self) -> None:
        super().__init__("This page was open too long. Please try again.")


def page(function: Page) -> Endpoint:
    """Make the GET endpoint of a page."""

    async def endpoint(request: Request) -> Response:
        response = await run_in_threadpool(_show, function, request)
        active: auth.ActiveSession = request.state.active
        if active.needs_touch:
            await run_in_threadpool(_touch, request.app.state.db, active)
        return response

    return functools.update_wrapper(endpoint, function)


def action(function: Action, *, shows: Page | None = None) -> Endpoint:
    """Make the POST endpoint of something that can be done.

    Args:
        function: What to do; returns where to go next.
        shows: The page to show again when it is refused; the error page if None.
    """

    async def endpoint(request: Request) -> Response:
        form = await read_form(request)
        try:
            return await run_in_threadpool(_act, function, request, form)
        except (FixitError, DataError) as refusal:
            if shows is None or isinstance(refusal, CsrfMismatch | PinChangeRequired):
                raise
            request.state.refusal = refusal
            request.state.typed = form
            return await run_in_threadpool(_show, shows, request)

    return functools.update_wrapper(endpoint, function)


def signed_in(request: Request) -> Identity:
    """Return who asks, in a read session of its own.

    Raises:
        SignInFirst: Nobody.
    """
    with _db(request).read_session() as session:
        return _resume(session, request).who


def set_cookie(response: Response, request: Request, opened: auth.SignIn) -> None:
    """Give the browser its session."""
    response.set_cookie(
        SESSION_COOKIE,
        opened.token,
        # Relative, so a device whose clock is wrong keeps it as long.
        max_age=int(auth.SESSION_LIFETIME.total_seconds()),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def drop_cookie(response: Response) -> None:
    """Take the browser's session away."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")


def see(path: str) -> Response:
    """Send the browser on to ``path`` after something was done."""
    return RedirectResponse(path, status_code=303)


def _show(function: Page, request: Request) -> Response:
    with _db(request).read_session() as session:
        active = _resume(session, request)
        return function(session, active.who, request)


def _act(function: Action, request: Request, form: Form) -> Response:
    with _db(request).write_session() as session:
        active = _resume(session, request)
        if not active.accepts(form.text(CSRF_FIELD)):
            raise CsrfMismatch
        session.info["lockstep.actor"] = active.who.employee_id
        return function(session, active.who, request, form)


def _resume(session: Session, request: Request) -> auth.ActiveSession:
    token = request.cookies.get(SESSION_COOKIE)
    active = auth.resume(session, token) if token else None
    if active is None:
        raise SignInFirst
    request.state.active = active
    if active.who.must_change_pin and not request.url.path.startswith(PIN_PAGE):
        raise PinChangeRequired
    return active


def _touch(db: Database, active: auth.ActiveSession) -> None:
    with db.write_session(actor=active.who.employee_id) as session:
        auth.touch(session, active.id)


def _db(request: Request) -> Database:
    return request.app.state.db
