"""The store's pages: what is low, what lies where, receive and count."""

from __future__ import annotations

import secrets

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fixit.permissions import Identity
from fixit.services import stock
from fixit.web.forms import Form, query, row_key
from fixit.web.pages import render
from fixit.web.session import action, page, see


def listed(session: Session, who: Identity, request: Request) -> Response:
    """List the parts; those to order come first."""
    search = query(request, "search", most=100)
    after = query(request, "after") or None
    found = stock.list_parts(session, who, search=search, after=after)
    low = [] if search or after else stock.low_parts(session, who)
    return render(session, request, "stock.html", found=found, low=low, search=search)


def part(session: Session, who: Identity, request: Request) -> Response:
    """Show one part, its bins and every movement."""
    found = stock.get_part(session, who, row_key(request))
    return render(
        session,
        request,
        "part.html",
        part=found,
        ledger=stock.ledger(
            session, who, found.id, after=query(request, "after") or None
        ),
        stores=stock.stores(session) if who.may("stock:manage") else [],
        bins=[(at.id, f"{at.location.name} {at.bin}") for at in found.levels],
        request_key=secrets.token_urlsafe(16),
    )


def receive(session: Session, who: Identity, request: Request, form: Form) -> Response:
    """Put delivered parts into a bin."""
    key = row_key(request)
    stock.receive(
        session,
        who,
        key,
        form.key("location_id"),
        form.number("quantity"),
        bin_label=form.text("bin"),
        reason=form.text("reason"),
        request=form.text("request_key"),
    )
    return see(f"/stock/{key}")


def count(session: Session, who: Identity, request: Request, form: Form) -> Response:
    """Correct a bin to what was counted."""
    stock.count(
        session,
        who,
        form.key("level_id"),
        form.number("counted"),
        reason=form.text("reason"),
    )
    return see(f"/stock/{row_key(request)}")


routes: list[BaseRoute] = [
    Route("/stock", page(listed), methods=["GET"]),
    Route("/stock/{id}", page(part), methods=["GET"]),
    Route("/stock/{id}/receive", action(receive, shows=part), methods=["POST"]),
    Route("/stock/{id}/count", action(count, shows=part), methods=["POST"]),
]
