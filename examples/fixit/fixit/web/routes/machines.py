"""Machines and their QR labels."""

from __future__ import annotations

import segno
from markupsafe import Markup
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fixit.permissions import Identity
from fixit.services import equipment
from fixit.web.forms import query, row_key
from fixit.web.pages import render
from fixit.web.session import page

_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


def listed(session: Session, who: Identity, request: Request) -> Response:
    """List the machines by code."""
    search = query(request, "search", most=100)
    found = equipment.list_equipment(
        session, who, search=search, after=query(request, "after") or None
    )
    return render(session, request, "machines.html", found=found, search=search)


def machine(session: Session, who: Identity, request: Request) -> Response:
    """Show one machine and its label."""
    found = equipment.get_equipment(session, who, row_key(request))
    return render(
        session,
        request,
        "machine.html",
        machine=found,
        places=equipment.location_path(session, found.location_id),
        code=qr_svg(_report_url(request, found.qr_code)),
    )


def labels(session: Session, who: Identity, request: Request) -> Response:
    """Show a sheet of labels to print."""
    found = equipment.list_equipment(
        session, who, after=query(request, "after") or None, size=60
    )
    return render(
        session,
        request,
        "labels.html",
        found=found,
        codes={m.id: qr_svg(_report_url(request, m.qr_code)) for m in found.items},
        address=request.base_url,
        only_here=request.base_url.hostname in _THIS_MACHINE,
    )


def qr_svg(text: str) -> Markup:
    """Return a QR code as an SVG that scales and prints."""
    code = segno.make(text, error="m", micro=False)
    return Markup(  # noqa: S704 - segno draws modules, the text is not in it
        code.svg_inline(border=2, svgclass="qr", lineclass=None, omitsize=True)
    )


def _report_url(request: Request, qr_code: str) -> str:
    return str(request.url.replace(path=f"/report/{qr_code}", query=""))


routes: list[BaseRoute] = [
    Route("/machines", page(listed), methods=["GET"]),
    Route("/machines/labels", page(labels), methods=["GET"]),
    Route("/machines/{id}", page(machine), methods=["GET"]),
]
