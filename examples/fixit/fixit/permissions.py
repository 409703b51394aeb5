"""Who may do what.

A permission is ``resource:action``; a role holds a list of them, where
``resource:*`` and ``*`` stand for all. Services ask ``require`` first, so a page,
the API and a script are bound by the same rules.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from fixit.errors import Forbidden, PinChangeRequired

ADMINISTRATOR = "administrator"
TECHNICIAN = "technician"
OPERATOR = "operator"
STOREKEEPER = "storekeeper"

ROLES: dict[str, list[str]] = {
    ADMINISTRATOR: ["*"],
    TECHNICIAN: [
        "work_orders:report",
        "work_orders:view",
        "work_orders:work",
        "work_orders:resolve",
        "stock:view",
        "stock:take",
        "equipment:view",
    ],
    OPERATOR: ["work_orders:report", "equipment:view"],
    STOREKEEPER: [
        "work_orders:report",
        "work_orders:view",
        "stock:view",
        "stock:take",
        "stock:manage",
        "stock:export",
        "equipment:view",
    ],
}
"""The roles every installation starts with, and what they may do.

All permissions in use: ``work_orders:`` report, view (without it: own reports
only), work, resolve, assign, close, export · ``stock:`` view, take, manage, export
· ``equipment:`` view, manage, export · ``users:manage`` · ``audit:view``
· ``schedules:manage``.
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """The signed-in user, as services and pages need to know them."""

    user_id: uuid.UUID
    employee_id: str
    name: str
    role: str
    permissions: frozenset[str]
    must_change_pin: bool = False
    has_demo_pin: bool = False

    def may(self, permission: str) -> bool:
        """Return whether this user may do ``resource:action`` now."""
        return not self.must_change_pin and allows(self.permissions, permission)


def allows(granted: Iterable[str], permission: str) -> bool:
    """Return whether the granted permissions cover ``resource:action``."""
    resource, _, _ = permission.partition(":")
    return not {permission, f"{resource}:*", "*"}.isdisjoint(granted)


def require(who: Identity, permission: str) -> None:
    """Raise ``Forbidden`` unless ``who`` may do this.

    Raises:
        PinChangeRequired: An administrator gave the PIN; the user's own comes first.
    """
    if who.must_change_pin:
        raise PinChangeRequired
    if not who.may(permission):
        raise Forbidden(permission)
