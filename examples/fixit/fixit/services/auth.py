"""Signing in and out, sessions and PINs.

An attempt is counted before the PIN is looked at, in a transaction of its own: a
hundred guesses sent at once are five, and a crash in between forgets none. The
count belongs to what was typed, known or not, so an answer never tells which
employee ids exist.

    count the attempt, commit ── locked? ──► refused
         │
    argon2, in no transaction ── wrong? ──► refused
         │
    forget the count, open the session, commit
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from fixit import security
from fixit.clock import now
from fixit.errors import Invalid, LoginRefused
from fixit.models import LoginAttempt, LoginSession, User
from fixit.permissions import Identity
from fixit.validation import text
from lockstep import Database, Repository

ATTEMPTS_MAX = 5
LOCKED_FOR = timedelta(minutes=15)
SESSION_LIFETIME = timedelta(hours=12)
IDLE_MAX = timedelta(hours=2)
SEEN_EVERY = timedelta(minutes=1)
ATTEMPTS_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A fresh login. The token goes into the cookie and is kept nowhere."""

    who: Identity
    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """The session a cookie belongs to."""

    id: uuid.UUID
    who: Identity
    csrf_token: str = field(repr=False)
    expires_at: datetime
    needs_touch: bool

    def accepts(self, csrf_token: str | None) -> bool:
        """Return whether a form carries this session's CSRF token."""
        return security.is_same(self.csrf_token, csrf_token or "")


def login(db: Database, employee_id: str, pin: str, *, user_agent: str = "") -> SignIn:
    """Sign somebody in; takes some 50 ms, so call it in a thread.

    Args:
        db: The database; three short transactions are opened on it.
        employee_id: As typed; spaces around it and case do not matter.
        pin: As typed.
        user_agent: The browser, for the user's list of sessions.

    Raises:
        LoginRefused: Wrong id or PIN, deactivated, or locked after five failures.
    """
    checked = _check_pin(db, employee_id, pin)
    with db.write_session(actor=checked.employee_id) as session:
        user = _still_the_same(session, checked)
        forget_attempts(session, employee_id)
        return _open_session(session, user, user_agent)


def resume(session: Session, token: str) -> ActiveSession | None:
    """Return the session a cookie belongs to; None when it is over. Only reads."""
    found = session.scalar(
        select(LoginSession)
        .where(LoginSession.token_hash == security.hash_token(token))
        .options(joinedload(LoginSession.user).joinedload(User.role))
    )
    time = now(session)
    if (
        found is None
        or time >= found.expires_at
        or time >= found.last_seen_at + IDLE_MAX
        or not found.user.is_active
    ):
        return None
    return ActiveSession(
        id=found.id,
        who=identity_of(found.user),
        csrf_token=security.csrf_token(token),
        expires_at=found.expires_at,
        needs_touch=time >= found.last_seen_at + SEEN_EVERY,
    )


def touch(session: Session, session_id: uuid.UUID) -> None:
    """Note that the session is in use; ask ``needs_touch`` first, it writes."""
    session.execute(
        update(LoginSession)
        .where(LoginSession.id == session_id)
        .values(last_seen_at=now(session))
    )


def logout(session: Session, session_id: uuid.UUID) -> None:
    """End one session."""
    session.execute(delete(LoginSession).where(LoginSession.id == session_id))


def end_sessions(session: Session, user_id: uuid.UUID) -> None:
    """End all sessions of a user, on every device."""
    session.execute(delete(LoginSession).where(LoginSession.user_id == user_id))


def change_pin(db: Database, who: Identity, current_pin: str, new_pin: str) -> None:
    """Replace one's own PIN and end all of one's sessions, this one too.

    Takes some 100 ms, so call it in a thread. Wrong current PINs count as failed
    logins do, so a stolen session cannot guess.

    Raises:
        LoginRefused: The current PIN is wrong, or the account is locked.
        WeakPin: The new one is too simple.
        Invalid: The new one is the old one.
    """
    security.check_new_pin(new_pin, employee_id=who.employee_id)
    if security.is_same(current_pin, new_pin):
        raise Invalid({"new_pin": "That is the PIN you have now."})
    checked = _check_pin(db, who.employee_id, current_pin)
    new_hash = security.hash_pin(new_pin)
    with db.write_session(actor=who.employee_id) as session:
        user = _still_the_same(session, checked)
        Repository(User, session).update(
            user.id,
            {"pin_hash": new_hash, "must_change_pin": False, "has_demo_pin": False},
            expected_version=user.version,
        )
        end_sessions(session, user.id)
        forget_attempts(session, who.employee_id)


def forget_attempts(session: Session, employee_id: str) -> None:
    """Unlock an employee id."""
    key = _attempt_key(employee_id)
    session.execute(delete(LoginAttempt).where(LoginAttempt.employee_id_hash == key))


def sweep(session: Session) -> None:
    """Remove sessions that are over, and counts from more than a day ago."""
    time = now(session)
    session.execute(delete(LoginSession).where(LoginSession.expires_at <= time))
    session.execute(
        delete(LoginAttempt).where(LoginAttempt.last_at < time - ATTEMPTS_KEPT)
    )


def identity_of(user: User) -> Identity:
    """Return who a user is to the services (``role`` must be loaded)."""
    return Identity(
        user_id=user.id,
        employee_id=user.employee_id,
        name=user.name,
        role=user.role.name,
        permissions=frozenset(user.role.permissions),
        must_change_pin=user.must_change_pin,
        has_demo_pin=user.has_demo_pin,
    )


def _check_pin(db: Database, employee_id: str, pin: str) -> User:
    """Return the active user whose PIN this is, or count a failure."""
    with db.write_session() as session:
        locked_until = _count_attempt(session, _attempt_key(employee_id))
        user = _find_active_user(session, employee_id)
    # An unknown id is compared with a hash too, so that both take as long.
    pin_hash = user.pin_hash if user else security.nobodys_hash()
    if not security.pin_matches(pin_hash, pin) or user is None:
        raise LoginRefused(locked_until)
    return user


def _typed(employee_id: str) -> str:
    """Return an employee id as it is stored, from whatever somebody typed."""
    printable = (char for char in employee_id[:64] if char.isprintable())
    return "".join(printable).strip().upper()


def _attempt_key(employee_id: str) -> str:
    return security.hash_token(_typed(employee_id))


def _count_attempt(session: Session, key: str) -> datetime | None:
    """Count one attempt; return the end of the lock if this was the last one."""
    time = now(session)
    attempt = session.get(LoginAttempt, key, with_for_update=True)
    if attempt is None:
        try:
            with session.begin_nested():
                session.add(
                    LoginAttempt(employee_id_hash=key, failures=0, last_at=time)
                )
        except IntegrityError:
            # PostgreSQL: somebody else's first attempt came in between.
            pass
        attempt = session.get_one(LoginAttempt, key, with_for_update=True)
    if attempt.locked_until is not None:
        if time < attempt.locked_until:
            raise LoginRefused(attempt.locked_until)
        attempt.failures, attempt.locked_until = 0, None
    attempt.failures += 1
    attempt.last_at = time
    if attempt.failures >= ATTEMPTS_MAX:
        attempt.locked_until = time + LOCKED_FOR
    return attempt.locked_until


def _find_active_user(session: Session, employee_id: str) -> User | None:
    return session.scalar(
        select(User)
        .where(User.employee_id == _typed(employee_id), User.is_active)
        .options(joinedload(User.role))
    )


def _still_the_same(session: Session, checked: User) -> User:
    """Return the user again, unless the PIN was changed while it was checked."""
    user = _find_active_user(session, checked.employee_id)
    if user is None or user.pin_hash != checked.pin_hash:
        raise LoginRefused
    return user


def _open_session(session: Session, user: User, user_agent: str) -> SignIn:
    token, time = security.new_token(), now(session)
    session.add(
        LoginSession(
            user_id=user.id,
            token_hash=security.hash_token(token),
            created_at=time,
            last_seen_at=time,
            expires_at=time + SESSION_LIFETIME,
            user_agent=text(user_agent[:200], "user_agent", least=0, most=200),
        )
    )
    return SignIn(identity_of(user), token, time + SESSION_LIFETIME)
