"""Which clock and which actor a write goes by.

Owns the keys under which a session carries them. A session of
``Database.write_session()`` carries both in ``session.info``; a statement that
runs without such a session goes by the system's clock and names nobody.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session, object_session

from lockstep.clock import SYSTEM_CLOCK

CLOCK = "lockstep.clock"
ACTOR = "lockstep.actor"


def _info(target: object) -> dict[Any, Any]:
    session: Session | None = object_session(target)
    return {} if session is None else session.info


def now_for(target: object) -> datetime:
    """Return the time of the session that holds a mapped object."""
    return _info(target).get(CLOCK, SYSTEM_CLOCK).now()


def actor_for(target: object) -> str | None:
    """Return who acts in the session that holds a mapped object."""
    return _info(target).get(ACTOR)


def now_of_statement(context: Any) -> datetime:
    """Return the time for a statement; a column default's callable.

    An execution option ``lockstep.clock`` overrides the system's clock.
    """
    return context.execution_options.get(CLOCK, SYSTEM_CLOCK).now()
