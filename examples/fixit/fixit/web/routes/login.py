"""Sign in, sign out, one's own PIN."""

from __future__ import annotations

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fixit.clock import now
from fixit.errors import FixitError, Invalid, LoginRefused, WeakPin
from fixit.permissions import Identity
from fixit.seed.people import published_logins
from fixit.services import auth, notifications
from fixit.web import errors
from fixit.web.forms import Form, query, read_form
from fixit.web.pages import render, render_public
from fixit.web.session import (
    CSRF_FIELD,
    action,
    drop_cookie,
    page,
    see,
    set_cookie,
    signed_in,
)
from lockstep import Database


def home(session: Session, who: Identity, request: Request) -> Response:
    """Lead everybody to the page they work with."""
    if who.may("work_orders:work"):
        return see("/work")
    return see("/stock" if who.may("stock:manage") else "/report")


async def login_page(request: Request) -> Response:
    """Show the form."""
    wanted = safe_path(query(request, "next"))
    return await run_in_threadpool(_login_form, request, wanted)


async def login(request: Request) -> Response:
    """Sign somebody in and lead on to the page that was wanted."""
    form = await read_form(request)
    wanted = safe_path(form.text("next"))
    try:
        opened = await run_in_threadpool(
            auth.login,
            request.app.state.db,
            form.text("employee_id"),
            form.text("pin"),
            user_agent=request.headers.get("user-agent", "")[:200],
        )
    except LoginRefused as refusal:
        return await run_in_threadpool(_login_form, request, wanted, refusal, form)
    response = see(wanted or "/")
    set_cookie(response, request, opened)
    return response


def logout(session: Session, who: Identity, request: Request, form: Form) -> Response:
    """End this session."""
    auth.logout(session, request.state.active.id)
    response = see("/login")
    drop_cookie(response)
    return response


def me(session: Session, who: Identity, request: Request) -> Response:
    """Show who one is, one's messages, and the form for a new PIN."""
    messages = notifications.list_notifications(session, who)
    return render(session, request, "me.html", messages=messages.items)


def read_messages(
    session: Session, who: Identity, request: Request, form: Form
) -> Response:
    """Note that the messages were read."""
    notifications.mark_all_read(session, who)
    return see("/me")


async def change_pin(request: Request) -> Response:
    """Replace one's own PIN; every device has to sign in again."""
    form = await read_form(request)
    return await run_in_threadpool(_change_pin, request, form)


def safe_path(wanted: str) -> str:
    """Return ``wanted`` if it is a path of this site, else nothing."""
    plain = wanted.isprintable() and wanted.isascii()
    if not plain or not wanted.startswith("/") or wanted.startswith(("//", "/\\")):
        return ""
    return wanted


def _change_pin(request: Request, form: Form) -> Response:
    db: Database = request.app.state.db
    who = signed_in(request)
    if not request.state.active.accepts(form.text(CSRF_FIELD)):
        raise errors.CsrfMismatch
    try:
        if form.text("new_pin") != form.text("new_pin_again"):
            raise WeakPin("The two new PINs differ.")
        auth.change_pin(db, who, form.text("current_pin"), form.text("new_pin"))
    except FixitError as refusal:
        wrong_pin = isinstance(refusal, LoginRefused) and refusal.locked_until is None
        request.state.refusal = (
            Invalid({"current_pin": "That is not your PIN."}) if wrong_pin else refusal
        )
        # A PIN is not sent back to the page.
        request.state.typed = Form({})
        with db.read_session() as session:
            return me(session, who, request)
    response = see("/login")
    drop_cookie(response)
    return response


def _login_form(
    request: Request,
    wanted: str,
    refusal: LoginRefused | None = None,
    form: Form | None = None,
) -> Response:
    with request.app.state.db.read_session() as session:
        demo, time = published_logins(session), now(session)
    response = render_public(
        request,
        "login.html",
        status=200 if refusal is None else errors.status_of(refusal),
        refused="" if refusal is None else errors.words_of(refusal, time),
        employee_id="" if form is None else form.text("employee_id")[:40],
        wanted=wanted,
        demo=demo,
    )
    if refusal is not None and refusal.locked_until is not None:
        left_s = (refusal.locked_until - time).total_seconds()
        response.headers["retry-after"] = str(max(1, round(left_s)))
    return response


routes: list[BaseRoute] = [
    Route("/", page(home), methods=["GET"]),
    Route("/login", login_page, methods=["GET"]),
    Route("/login", login, methods=["POST"]),
    Route("/logout", action(logout), methods=["POST"]),
    Route("/me", page(me), methods=["GET"]),
    Route("/me/messages", action(read_messages), methods=["POST"]),
    Route("/me/pin", change_pin, methods=["POST"]),
]
