"""Users and roles, for administrators.

Nobody is deleted: a deactivated user cannot sign in, and what they did stays
theirs. There is always one active administrator left.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from fixit import security
from fixit.errors import Invalid, LastAdministrator, NotThere
from fixit.models import Role, User
from fixit.permissions import ADMINISTRATOR, Identity, require
from fixit.services.auth import end_sessions, forget_attempts
from fixit.services.events import publish
from fixit.services.notifications import people_who_may
from fixit.validation import code, text
from lockstep import Page, Repository

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class NewPin:
    """A PIN to tell somebody once; the database keeps only its hash."""

    user: User
    pin: str = field(repr=False)


def list_users(
    session: Session, who: Identity, *, after: str | None = None
) -> Page[User]:
    """Return a page of users by employee id, with their roles."""
    require(who, "users:manage")
    return Repository(User, session).page(
        order_by=(User.employee_id.asc(),),
        size=PAGE_SIZE,
        after=after,
        load=(User.role,),
    )


def get_user(session: Session, who: Identity, user_id: uuid.UUID) -> User:
    """Return a user with the role.

    Raises:
        NotThere: No such user.
    """
    require(who, "users:manage")
    user = session.scalar(
        select(User).where(User.id == user_id).options(joinedload(User.role))
    )
    if user is None:
        raise NotThere("There is no such user.")
    return user


def list_roles(session: Session) -> list[Role]:
    """Return all roles by title."""
    return list(session.scalars(select(Role).order_by(Role.title)))


def list_workers(session: Session, who: Identity) -> list[User]:
    """Return the active users whom work can be given to, by name."""
    require(who, "work_orders:assign")
    workers = people_who_may(session, "work_orders:work")
    found = select(User).where(User.id.in_(workers)).order_by(User.name, User.id)
    return list(session.scalars(found))


def create_user(
    session: Session,
    who: Identity,
    *,
    employee_id: str,
    name: str,
    role: str,
) -> NewPin:
    """Add a user with a random PIN, which the user must change at first.

    Raises:
        Invalid: The employee id is taken, or a field is wrong.
    """
    require(who, "users:manage")
    pin = security.new_pin()
    user = add_user(session, employee_id, name, role, pin, must_change_pin=True)
    publish(session, "user", "created", user.id)
    return NewPin(user, pin)


def add_user(
    session: Session,
    employee_id: str,
    name: str,
    role: str,
    pin: str,
    *,
    must_change_pin: bool,
) -> User:
    """Add a user without asking who wants it: for the command, not for pages."""
    users = Repository(User, session)
    clean_id = code(employee_id, "employee_id", most=32)
    if users.exists(User.employee_id == clean_id):
        raise Invalid({"employee_id": "This employee id is taken."})
    return users.add(
        User(
            employee_id=clean_id,
            name=text(name, "name", most=120),
            role_id=_role(session, role).id,
            pin_hash=security.hash_pin(pin),
            must_change_pin=must_change_pin,
        )
    )


def reset_pin(session: Session, who: Identity, user_id: uuid.UUID) -> NewPin:
    """Give a user a new random PIN, unlock the account, end all sessions."""
    require(who, "users:manage")
    pin = security.new_pin()
    user = give_pin(session, get_user(session, who, user_id), pin)
    publish(session, "user", "pin reset", user.id)
    return NewPin(user, pin)


def give_pin(session: Session, user: User, pin: str) -> User:
    """Set somebody else's PIN: for ``reset_pin`` and the command."""
    changed = Repository(User, session).update(
        user.id,
        {
            "pin_hash": security.hash_pin(pin),
            "must_change_pin": True,
            "has_demo_pin": False,
        },
        expected_version=user.version,
    )
    end_sessions(session, user.id)
    forget_attempts(session, user.employee_id)
    return changed


def change_user(
    session: Session,
    who: Identity,
    user_id: uuid.UUID,
    *,
    name: str,
    role: str,
    expected_version: int,
) -> User:
    """Rename a user or give another role; a new role ends the old sessions.

    Raises:
        StaleVersion: Somebody else changed the user meanwhile.
        LastAdministrator: Nobody else could administer.
    """
    require(who, "users:manage")
    administrators = _lock_administrators(session)
    user = get_user(session, who, user_id)
    new_role = _role(session, role)
    if new_role.name != ADMINISTRATOR and administrators == {user_id}:
        raise LastAdministrator
    if new_role.id != user.role_id:
        end_sessions(session, user_id)
    changed = Repository(User, session).update(
        user_id,
        {"name": text(name, "name", most=120), "role_id": new_role.id},
        expected_version=expected_version,
    )
    publish(session, "user", "changed", user_id)
    return changed


def set_active(
    session: Session,
    who: Identity,
    user_id: uuid.UUID,
    *,
    is_active: bool,
    expected_version: int,
) -> User:
    """Deactivate a user, which ends all sessions at once, or let them back in.

    Raises:
        StaleVersion: Somebody else changed the user meanwhile.
        LastAdministrator: Nobody else could administer.
    """
    require(who, "users:manage")
    if not is_active and _lock_administrators(session) == {user_id}:
        raise LastAdministrator
    get_user(session, who, user_id)
    changed = Repository(User, session).update(
        user_id, {"is_active": is_active}, expected_version=expected_version
    )
    if not is_active:
        end_sessions(session, user_id)
    publish(session, "user", "activated" if is_active else "deactivated", user_id)
    return changed


def _role(session: Session, name: str) -> Role:
    role = Repository(Role, session).find(Role.name == name)
    if role is None:
        raise Invalid({"role": "There is no such role."})
    return role


def _lock_administrators(session: Session) -> set[uuid.UUID]:
    """Return the active administrators; none can be demoted by others meanwhile."""
    active = (
        select(User.id)
        .join(User.role)
        .where(Role.name == ADMINISTRATOR, User.is_active)
        .with_for_update(of=User, key_share=True)
    )
    return set(session.scalars(active))
