"""Who asks, and one transaction for each request.

Owns the cookie and the ways a function becomes an endpoint:

    page      GET:  one read session; the page is rendered inside it
    action    POST: one write session, the form's CSRF token checked in it; a refusal
              takes everything back and shows the page again with what was typed
    upload    an action whose form may bring a file

The token is looked up inside the request's own transaction, so a session that was
ended a moment ago changes nothing any more. All of it runs in a thread.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fixit.errors import FixitError, PinChangeRequired
from fixit.permissions import Identity
from fixit.services import attachments, auth
from fixit.web.errors import CsrfMismatch, SignInFirst
from fixit.web.forms import Form, Upload, read_form, read_upload
from lockstep import Database
from lockstep.errors import DataError

SESSION_COOKIE = "fixit_session"
CSRF_FIELD = "csrf_token"
PIN_PAGES = ("/me", "/me/pin", "/logout")

Page = Callable[[Session, Identity, Request], Response]
Action = Callable[[Session, Identity, Request, Form], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Received:
    """A file that came with a form and lies on disk."""

    name: str
    stored: attachments.StoredFile


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
        act = functools.partial(_act, function, request, form)
        return await _or_show_again(act, shows, request, form)

    return functools.update_wrapper(endpoint, function)


def upload(function: Action, *, shows: Page) -> Endpoint:
    """Make the POST endpoint of a form that may bring one file.

    Whoever sends it is known before the first byte of the file is read. The
    function finds the file in ``received``.
    """

    async def endpoint(request: Request) -> Response:
        await run_in_threadpool(signed_in, request)
        async with read_upload(request) as (form, sent):

            def act() -> Response:
                _check_csrf(request, form)
                request.state.received = _keep(request, sent)
                return _act(function, request, form)

            return await _or_show_again(act, shows, request, form)

    return functools.update_wrapper(endpoint, function)


def received(request: Request) -> Received | None:
    """Return the file that came with the form."""
    return request.state.received


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
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="lax",
    )


def drop_cookie(response: Response) -> None:
    """Take the browser's session away."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")


def see(path: str) -> Response:
    """Send the browser on to ``path`` after something was done."""
    return RedirectResponse(path, status_code=303)


async def _or_show_again(
    act: Callable[[], Response], shows: Page | None, request: Request, form: Form
) -> Response:
    """Act; when that is refused, show the page with what was typed."""
    try:
        return await run_in_threadpool(act)
    except (FixitError, DataError) as refusal:
        if shows is None or isinstance(refusal, CsrfMismatch | PinChangeRequired):
            raise
        request.state.refusal = refusal
        request.state.typed = form
        return await run_in_threadpool(_show, shows, request)


def _show(function: Page, request: Request) -> Response:
    with _db(request).read_session() as session:
        active = _resume(session, request)
        return function(session, active.who, request)


def _act(function: Action, request: Request, form: Form) -> Response:
    with _db(request).write_session() as session:
        active = _resume(session, request)
        _check_csrf(request, form)
        session.info["lockstep.actor"] = active.who.employee_id
        return function(session, active.who, request, form)


def _check_csrf(request: Request, form: Form) -> None:
    if not request.state.active.accepts(form.text(CSRF_FIELD)):
        raise CsrfMismatch


def _keep(request: Request, sent: Upload | None) -> Received | None:
    if sent is None:
        return None
    folder = request.app.state.files_directory()
    return Received(sent.name, attachments.store_file(folder, sent.chunks()))


def _resume(session: Session, request: Request) -> auth.ActiveSession:
    token = request.cookies.get(SESSION_COOKIE)
    active = auth.resume(session, token) if token else None
    if active is None:
        raise SignInFirst
    request.state.active = active
    if active.who.must_change_pin and request.scope["path"] not in PIN_PAGES:
        raise PinChangeRequired
    return active


def _touch(db: Database, active: auth.ActiveSession) -> None:
    with db.write_session(actor=active.who.employee_id) as session:
        auth.touch(session, active.id)


def _db(request: Request) -> Database:
    return request.app.state.db
