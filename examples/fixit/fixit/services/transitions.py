"""Which way a work order may go, and for whom.

    open ──take──► in_progress ──resolve──► resolved ──close──► closed
      ▲               │  │                      │                  │
      └───release─────┘  └──cancel──► cancelled │                  │
      └────────────────────reopen──────┴────────┴──────────────────┘

Owns the rules as values; ``work`` carries them out.
"""

from __future__ import annotations

from enum import StrEnum

from fixit.errors import Forbidden, NotPossibleNow
from fixit.models import WorkOrder, WorkStatus
from fixit.permissions import Identity, require


class Action(StrEnum):
    """What somebody can do with a work order."""

    TAKE = "take"
    RELEASE = "release"
    ASSIGN = "assign"
    RESOLVE = "resolve"
    CLOSE = "close"
    REOPEN = "reopen"
    CANCEL = "cancel"
    WORK = "work"
    """Tick steps, take parts, log minutes."""
    NOTE = "note"


_OPEN, _IN_PROGRESS = WorkStatus.OPEN, WorkStatus.IN_PROGRESS
_RESOLVED, _CLOSED = WorkStatus.RESOLVED, WorkStatus.CLOSED
_CANCELLED = WorkStatus.CANCELLED

_STATUSES: dict[Action, set[WorkStatus]] = {
    Action.TAKE: {_OPEN},
    Action.RELEASE: {_IN_PROGRESS},
    Action.ASSIGN: {_OPEN, _IN_PROGRESS},
    Action.RESOLVE: {_IN_PROGRESS},
    Action.CLOSE: {_RESOLVED},
    Action.REOPEN: {_RESOLVED, _CLOSED, _CANCELLED},
    Action.CANCEL: {_OPEN, _IN_PROGRESS},
    Action.WORK: {_IN_PROGRESS},
    Action.NOTE: set(WorkStatus),
}
_PERMISSIONS: dict[Action, str] = {
    Action.TAKE: "work_orders:work",
    Action.RELEASE: "work_orders:work",
    Action.ASSIGN: "work_orders:assign",
    Action.RESOLVE: "work_orders:resolve",
    Action.CLOSE: "work_orders:close",
    Action.REOPEN: "work_orders:close",
    Action.CANCEL: "work_orders:close",
    Action.WORK: "work_orders:work",
    Action.NOTE: "work_orders:view",
}
# Whoever reported it knows best whether it is mended.
_REPORTER_MAY = {Action.CLOSE, Action.REOPEN, Action.NOTE}


def possible_actions(who: Identity, order: WorkOrder) -> frozenset[Action]:
    """Return what this user may do with the order as it is now."""
    return frozenset(
        action
        for action in Action
        if order.status in _STATUSES[action] and _may(who, action, order)
    )


def check(who: Identity, action: Action, order: WorkOrder) -> None:
    """Raise unless this user may do this with the order as it is now.

    Raises:
        Forbidden: The role does not allow it.
        NotPossibleNow: The order's status does not.
    """
    if not _may(who, action, order):
        require(who, _PERMISSIONS[action])
        raise Forbidden(_PERMISSIONS[action])
    if order.status not in _STATUSES[action]:
        status = order.status.replace("_", " ")
        raise NotPossibleNow(f"Work order {order.number} is {status}.")


def _may(who: Identity, action: Action, order: WorkOrder) -> bool:
    if who.must_change_pin:
        return False
    if action in _REPORTER_MAY and order.reporter_id == who.user_id:
        return True
    return who.may(_PERMISSIONS[action])
