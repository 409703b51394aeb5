"""The technician's pages: the list, and one work order with all that is done to it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fixit.errors import Invalid
from fixit.models import WorkStatus
from fixit.permissions import Identity, require
from fixit.services import attachments, orders, parts, people, progress, stock, work
from fixit.web.forms import Form, query, query_choice, row_key
from fixit.web.pages import render
from fixit.web.session import action, page, received, see, upload

TABS = {"mine": "Mine", "unassigned": "Free", "all": "All", "finished": "Finished"}
_FINISHED = (WorkStatus.RESOLVED, WorkStatus.CLOSED, WorkStatus.CANCELLED)


def listed(session: Session, who: Identity, request: Request) -> Response:
    """List work orders, the most urgent first."""
    require(who, "work_orders:view")
    tab = query_choice(request, "show", TABS) or "all"
    search = query(request, "search", most=100)
    wanted = orders.OrderFilter(
        scope=cast("Any", "all" if tab == "finished" else tab),
        statuses=_FINISHED if tab == "finished" else orders.UNFINISHED,
        search=search,
        newest_first=tab == "finished",
    )
    after = query(request, "after") or None
    return render(
        session,
        request,
        "work.html",
        found=orders.list_orders(session, who, wanted, after=after),
        tab=tab,
        tabs=TABS,
        search=search,
    )


def order(session: Session, who: Identity, request: Request) -> Response:
    """Show one work order and what this user may do with it now."""
    detail = orders.get_order(session, who, row_key(request))
    may_take = "work" in detail.actions and who.may("stock:take")
    return render(
        session,
        request,
        "order.html",
        detail=detail,
        order=detail.order,
        stock=stock.list_parts(session, who, size=200).items if may_take else [],
        workers=people.list_workers(session, who) if "assign" in detail.actions else [],
        request_key=secrets.token_urlsafe(16),
    )


def attach(session: Session, who: Identity, request: Request, form: Form) -> Response:
    """Add a photo or a PDF."""
    key = row_key(request)
    sent = received(request)
    if sent is None:
        raise Invalid({"file": "Please choose a file."})
    attachments.attach(session, who, key, sent.name, sent.stored)
    return see(f"/work/{key}")


Step = Callable[[Session, Identity, Any, Form], Any]


def _step(name: str, step: Step) -> Route:
    """Return the route of one thing that can be done to a work order."""

    def run(session: Session, who: Identity, request: Request, form: Form) -> Response:
        key = row_key(request)
        step(session, who, key, form)
        return see(f"/work/{key}")

    run.__name__ = name
    return Route(f"/work/{{id}}/{name}", action(run, shows=order), methods=["POST"])


_STEPS: dict[str, Step] = {
    "take": lambda s, who, key, form: work.take(s, who, key),
    "release": lambda s, who, key, form: work.release(s, who, key, form.text("reason")),
    "close": lambda s, who, key, form: work.close(s, who, key),
    "reopen": lambda s, who, key, form: work.reopen(s, who, key, form.text("reason")),
    "cancel": lambda s, who, key, form: work.cancel(s, who, key, form.text("reason")),
    "note": lambda s, who, key, form: progress.add_note(s, who, key, form.text("note")),
    "assign": lambda s, who, key, form: work.assign(
        s, who, key, form.key("user_id"), expected_version=form.number("version")
    ),
    "resolve": lambda s, who, key, form: work.resolve(
        s,
        who,
        key,
        resolution=form.text("resolution"),
        downtime_minutes=form.optional_number("downtime_minutes"),
        expected_version=form.optional_number("version"),
    ),
    "step": lambda s, who, key, form: progress.set_step(
        s, who, key, form.key("step_id"), is_done=form.flag("done")
    ),
    "parts": lambda s, who, key, form: parts.take_parts(
        s,
        who,
        key,
        form.key("part_id"),
        form.number("quantity"),
        request=form.text("request_key"),
    ),
    "return": lambda s, who, key, form: parts.return_parts(
        s,
        who,
        key,
        form.key("part_id"),
        form.number("quantity"),
        request=form.text("request_key"),
    ),
    "minutes": lambda s, who, key, form: progress.log_minutes(
        s,
        who,
        key,
        form.number("minutes"),
        note=form.text("note"),
        request=form.text("request_key"),
    ),
}

routes: list[BaseRoute] = [
    Route("/work", page(listed), methods=["GET"]),
    Route("/work/{id}", page(order), methods=["GET"]),
    Route("/work/{id}/files", upload(attach, shows=order), methods=["POST"]),
    *(_step(name, step) for name, step in _STEPS.items()),
]
