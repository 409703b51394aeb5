"""The administrator's pages: numbers, users, the audit trail."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fixit.clock import start_of
from fixit.models import Base
from fixit.permissions import Identity, require
from fixit.services import audit, dashboard, export, people
from fixit.web.forms import Form, query, query_choice, query_date, row_key
from fixit.web.pages import render
from fixit.web.session import action, page, see

ACTIONS = ("insert", "update", "delete", "restore")


def overview(session: Session, who: Identity, request: Request) -> Response:
    """Show how the factory is doing."""
    require(who, "users:manage")
    numbers = dashboard.numbers(session, who)
    return render(
        session, request, "overview.html", numbers=numbers, exports=export.EXPORTS
    )


def users(session: Session, who: Identity, request: Request) -> Response:
    """List the users."""
    found = people.list_users(session, who, after=query(request, "after") or None)
    roles = people.list_roles(session)
    return render(session, request, "users.html", found=found, roles=roles)


def user(session: Session, who: Identity, request: Request) -> Response:
    """Show one user."""
    found = people.get_user(session, who, row_key(request))
    roles = people.list_roles(session)
    return render(session, request, "user.html", user=found, roles=roles)


def create(session: Session, who: Identity, request: Request, form: Form) -> Response:
    """Add a user and tell the PIN, once."""
    made = people.create_user(
        session,
        who,
        employee_id=form.text("employee_id"),
        name=form.text("name"),
        role=form.text("role"),
    )
    return render(session, request, "new_pin.html", user=made.user, pin=made.pin)


def change(session: Session, who: Identity, request: Request, form: Form) -> Response:
    """Rename a user or give another role."""
    key = row_key(request)
    people.change_user(
        session,
        who,
        key,
        name=form.text("name"),
        role=form.text("role"),
        expected_version=form.number("version"),
    )
    return see(f"/admin/users/{key}")


def activate(session: Session, who: Identity, request: Request, form: Form) -> Response:
    """Let a user in, or keep one out."""
    key = row_key(request)
    people.set_active(
        session,
        who,
        key,
        is_active=form.flag("is_active"),
        expected_version=form.number("version"),
    )
    return see(f"/admin/users/{key}")


def reset_pin(
    session: Session, who: Identity, request: Request, form: Form
) -> Response:
    """Give a new PIN and tell it, once."""
    made = people.reset_pin(session, who, row_key(request))
    return render(session, request, "new_pin.html", user=made.user, pin=made.pin)


def trail(session: Session, who: Identity, request: Request) -> Response:
    """Show who changed what."""
    since, until = query_date(request, "since"), query_date(request, "until")
    tables = sorted(Base.metadata.tables)
    wanted = audit.AuditFilter(
        actor=query(request, "actor", most=80),
        table=query_choice(request, "table", tables),
        action=query_choice(request, "action", ACTIONS),
        since=since and start_of(since),
        until=until and start_of(until + timedelta(days=1)),
    )
    found = audit.list_entries(
        session, who, wanted, after=query(request, "after") or None
    )
    return render(
        session,
        request,
        "audit.html",
        found=found,
        changes={entry.id: audit.changed_fields(entry) for entry in found.items},
        actors=audit.list_actors(session, who),
        tables=tables,
        actions=ACTIONS,
        wanted=wanted,
        since=since or "",
        until=until or "",
    )


routes: list[BaseRoute] = [
    Route("/admin", page(overview), methods=["GET"]),
    Route("/admin/users", page(users), methods=["GET"]),
    Route("/admin/users", action(create, shows=users), methods=["POST"]),
    Route("/admin/users/{id}", page(user), methods=["GET"]),
    Route("/admin/users/{id}", action(change, shows=user), methods=["POST"]),
    Route("/admin/users/{id}/active", action(activate, shows=user), methods=["POST"]),
    Route("/admin/users/{id}/pin", action(reset_pin, shows=user), methods=["POST"]),
    Route("/admin/audit", page(trail), methods=["GET"]),
]
