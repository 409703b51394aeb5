"""What time it is, as the session's database says, and what day at the site."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import cast

from sqlalchemy.orm import Session

from lockstep.clock import SYSTEM_CLOCK, Clock


def now(session: Session) -> datetime:
    """Return the time in UTC; tests hand the database another clock."""
    return cast("Clock", session.info.get("lockstep.clock", SYSTEM_CLOCK)).now()


def today(session: Session) -> date:
    """Return the date at the site: in the time zone of the machine that serves."""
    return now(session).astimezone().date()


def start_of(day: date) -> datetime:
    """Return when a day begins at the site."""
    return datetime.combine(day, time()).astimezone()
