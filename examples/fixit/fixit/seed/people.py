"""The demo's four logins. Their PINs are public; the login page shows a warning."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fixit.models import User
from fixit.permissions import ADMINISTRATOR, OPERATOR, STOREKEEPER, TECHNICIAN
from fixit.security import hash_pin
from fixit.seed.rows import fixed_id, missing_ids
from lockstep.migrations import upsert_seed

DEMO_LOGINS = [
    ("ADMIN-001", "1234", "Ada Brandt", ADMINISTRATOR),
    ("TECH-001", "5678", "Tomas Weber", TECHNICIAN),
    ("OP-001", "0000", "Olga Petrov", OPERATOR),
    ("STORE-001", "2468", "Stefan Roth", STOREKEEPER),
]
"""Employee id, PIN, name, role."""


DEMO_USER_IDS = [fixed_id("user", login[0]) for login in DEMO_LOGINS]


class DemoLogin(NamedTuple):
    """A login that everybody knows."""

    employee_id: str
    pin: str
    name: str
    role: str


def published_logins(session: Session) -> list[DemoLogin]:
    """Return the demo logins whose published PIN still works."""
    known = select(User.employee_id).where(User.has_demo_pin, User.is_active)
    still = set(session.scalars(known))
    return [DemoLogin(*login) for login in DEMO_LOGINS if login[0] in still]


def add(session: Session) -> None:
    """Add the demo users that are missing; a changed PIN stays changed."""
    missing = missing_ids(session, User, DEMO_USER_IDS)
    upsert_seed(
        session,
        User,
        [
            {
                "id": fixed_id("user", employee_id),
                "employee_id": employee_id,
                "name": name,
                "role_id": fixed_id("role", role),
                "pin_hash": hash_pin(pin),
                "has_demo_pin": True,
            }
            for employee_id, pin, name, role in DEMO_LOGINS
            if fixed_id("user", employee_id) in missing
        ],
    )
