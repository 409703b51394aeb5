"""Who changed what: pages of the audit trail that Lockstep writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from fixit.models import AuditEntry
from fixit.permissions import Identity, require
from lockstep import Page, Repository

PAGE_SIZE = 50
# These change because others do.
_FOLLOW = {"search_text", "updated_at", "updated_by", "version"}


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries to show; every field narrows it, empty means all.

    ``actor`` is an employee id, ``since`` is included, ``until`` is not.
    """

    actor: str = ""
    table: str = ""
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None


def list_entries(
    session: Session,
    who: Identity,
    wanted: AuditFilter | None = None,
    *,
    after: str | None = None,
    before: str | None = None,
) -> Page[AuditEntry]:
    """Return a page of the trail, newest first: who, when, before, after."""
    require(who, "audit:view")
    return Repository(AuditEntry, session).page(
        *_conditions(wanted or AuditFilter()),
        order_by=(AuditEntry.at.desc(), AuditEntry.id.desc()),
        size=PAGE_SIZE,
        after=after,
        before=before,
    )


def list_actors(session: Session, who: Identity) -> list[str]:
    """Return everybody who appears in the trail, for a filter's choices."""
    require(who, "audit:view")
    actors = select(AuditEntry.actor).distinct().where(AuditEntry.actor.is_not(None))
    return sorted(actor for actor in session.scalars(actors) if actor)


def changed_fields(entry: AuditEntry) -> list[tuple[str, object, object]]:
    """Return (field, before, after) of every field that somebody changed."""
    before, after = entry.before or {}, entry.after or {}
    return [
        (name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and name not in _FOLLOW
    ]


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if wanted.actor:
        where.append(AuditEntry.actor == wanted.actor)
    if wanted.table:
        where.append(AuditEntry.table_name == wanted.table)
    if wanted.action:
        where.append(AuditEntry.action == wanted.action)
    if wanted.since is not None:
        where.append(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        where.append(AuditEntry.at < wanted.until)
    return where
