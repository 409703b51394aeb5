"""What time it is, as the session's database says."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy.orm import Session

from lockstep.clock import SYSTEM_CLOCK, Clock


def now(session: Session) -> datetime:
    """Return the time in UTC; tests hand the database another clock."""
    return cast("Clock", session.info.get("lockstep.clock", SYSTEM_CLOCK)).now()
