"""Sign in, sign out, one's own PIN."""

from __future__ import annotations

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fixit.errors import FixitError, LoginRefused, WeakPin
from fixit.permissions import Identity
from fixit.seed import has_demo_pins
from fixit.services import auth, notifications
from fixit.web import errors
from fixit.web.forms import Form, query, read_form
from fixit.web.pages import render, render_public
from fixit.web.session import (
    CSRF_FIELD,
    CsrfMismatch,
    action,
    drop_cookie,
    page,
    see,
    set_cookie,
    signed_in,
)
from lockstep import Database

DEMO = [
    ("ADMIN-001", "1234", "Administrator"),
    ("TECH-001", "5678", "Technician"),
    ("OP-001", "0000", "Operator"),
    ("STORE-001", "2468", "Storekeeper"),
]


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
    return render(session, request, "me.html", messages=messages.items, refused="")


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
        raise CsrfMismatch
    try:
        _refuse_different(form.text("new_pin"), form.text("new_pin_again"))
        auth.change_pin(db, who, form.text("current_pin"), form.text("new_pin"))
    except FixitError as refusal:
        with db.read_session() as session:
            messages = notifications.list_notifications(session, who)
            return render(
                session,
                request,
                "me.html",
                status=errors.status_of(refusal),
                messages=messages.items,
                refused=str(refusal),
            )
    response = see("/login")
    drop_cookie(response)
    return response


def _refuse_different(new_pin: str, again: str) -> None:
    if new_pin != again:
        raise WeakPin("The two new PINs differ.")


def _login_form(
    request: Request,
    wanted: str,
    refusal: LoginRefused | None = None,
    form: Form | None = None,
) -> Response:
    with request.app.state.db.read_session() as session:
        demo = DEMO if has_demo_pins(session) else []
    return render_public(
        request,
        "login.html",
        status=200 if refusal is None else 401,
        refused="" if refusal is None else str(refusal),
        employee_id="" if form is None else form.text("employee_id")[:40],
        wanted=wanted,
        demo=demo,
    )


routes: list[BaseRoute] = [
    Route("/", page(home), methods=["GET"]),
    Route("/login", login_page, methods=["GET"]),
    Route("/login", login, methods=["POST"]),
    Route("/logout", action(logout), methods=["POST"]),
    Route("/me", page(me), methods=["GET"]),
    Route("/me/messages", action(read_messages), methods=["POST"]),
    Route("/me/pin", change_pin, methods=["POST"]),
]
