"""The operator's pages: scan or pick a machine, say what is wrong, see the number."""

from __future__ import annotations

import secrets

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fixit.errors import Invalid, NotThere
from fixit.permissions import Identity
from fixit.services import attachments, equipment, orders, reporting
from fixit.validation import code
from fixit.web.forms import Form, query, row_key
from fixit.web.pages import render
from fixit.web.session import page, received, see, upload

PRIORITIES = [
    ("critical", "Stands still", "Production stops, or somebody may get hurt"),
    ("high", "Runs badly", "It works, but it will stop soon"),
    ("medium", "Not as usual", "Noise, heat, a leak"),
    ("low", "When there is time", "A wish, a small thing"),
]


def pick(session: Session, who: Identity, request: Request) -> Response:
    """List the machines."""
    search = query(request, "search", most=100)
    found = equipment.list_equipment(
        session, who, search=search, after=query(request, "after") or None
    )
    return render(session, request, "report_pick.html", found=found, search=search)


def form(session: Session, who: Identity, request: Request) -> Response:
    """Show the three fields, and what is known about the machine already."""
    machine = reporting.find_machine(session, who, _machine_code(request))
    return render(
        session,
        request,
        "report.html",
        machine=machine,
        priorities=PRIORITIES,
        request_key=secrets.token_urlsafe(16),
    )


def report(session: Session, who: Identity, request: Request, form: Form) -> Response:
    """Make the work order; the same form sent twice makes one."""
    order = reporting.report(
        session,
        who,
        machine=_machine_code(request),
        problem=form.text("problem"),
        priority=form.text("priority"),
        machine_down=form.flag("machine_down") or form.text("priority") == "critical",
        request=form.text("request_key"),
    )
    if (photo := received(request)) is not None:
        attachments.attach(session, who, order.id, photo.name, photo.stored)
    return see(f"/reported/{order.id}")


def reported(session: Session, who: Identity, request: Request) -> Response:
    """Say the number."""
    detail = orders.get_order(session, who, row_key(request))
    return render(session, request, "reported.html", detail=detail)


def my_reports(session: Session, who: Identity, request: Request) -> Response:
    """List what one has reported, newest first."""
    wanted = orders.OrderFilter(scope="reported", statuses=(), newest_first=True)
    found = orders.list_orders(
        session, who, wanted, after=query(request, "after") or None
    )
    return render(session, request, "my_reports.html", found=found)


def _machine_code(request: Request) -> str:
    try:
        return code(str(request.path_params["code"]), "machine", most=64)
    except Invalid:
        raise NotThere("No machine has this code.") from None


routes: list[BaseRoute] = [
    Route("/report", page(pick), methods=["GET"]),
    Route("/report/{code}", page(form), methods=["GET"]),
    Route("/report/{code}", upload(report, shows=form), methods=["POST"]),
    Route("/reported/{id}", page(reported), methods=["GET"]),
    Route("/my-reports", page(my_reports), methods=["GET"]),
]
