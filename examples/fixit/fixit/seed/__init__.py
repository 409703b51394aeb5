"""Rows to begin with: what every installation needs, and a demo factory.

``install`` adds the roles and counters that FixIt cannot work without. ``seed`` adds
a small factory with demo logins to try things out; only there do PINs exist that
everybody knows, and the login page says so.

Both may run at every start. Keys are derived from names, so a row is recognised
whatever became of it, and nothing that is there is ever changed: not a PIN, not a
quantity, not a name that somebody corrected.
"""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from fixit.models import Counter, Role, User
from fixit.permissions import ROLES
from fixit.seed import factory, people, store, work
from fixit.seed.rows import add_missing, fixed_id
from lockstep.config import load_settings
from lockstep.errors import ConfigError
from lockstep.migrations import upsert_seed

COUNTERS = ("events", "work_orders")

__all__ = ["has_demo_pins", "install", "seed"]


def install(session: Session) -> None:
    """Add the roles and counters that are missing."""
    roles = [
        {
            "id": fixed_id("role", name),
            "name": name,
            "title": name.capitalize(),
            "permissions": permissions,
        }
        for name, permissions in ROLES.items()
    ]
    add_missing(session, Role, roles)
    known = set(session.scalars(select(Counter.name)))
    counters = [{"name": name, "value": 0} for name in COUNTERS if name not in known]
    upsert_seed(session, Counter, counters)


def seed(session: Session) -> None:
    """Add the demo factory, or what is missing of it; ``lockstep seed`` calls this.

    Raises:
        ConfigError: In production, or beside users who are not the demo's own: PINs
            that everybody knows have no business there.
    """
    if load_settings().app_env == "production":
        raise ConfigError(
            "the demo data has PINs that everybody knows, and this is production",
            hint="fixit create-admin makes the first user",
        )
    users = set(session.scalars(select(User.id)))
    if users and users.isdisjoint(people.DEMO_USER_IDS):
        raise ConfigError("this database has users of its own; it gets no demo data")
    install(session)
    people.add(session)
    factory.add(session)
    store.add(session)
    work.add(session)


def has_demo_pins(session: Session) -> bool:
    """Return whether somebody can still sign in with a PIN everybody knows."""
    known = exists().where(User.has_demo_pin, User.is_active)
    return bool(session.scalar(select(known)))
