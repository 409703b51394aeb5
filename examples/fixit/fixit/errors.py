"""What FixIt refuses, in words a person on the factory floor understands.

Every message is meant for the page. The web layer maps each class to a status and
knows nothing else about them; errors of the database are Lockstep's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime


class FixitError(Exception):
    """The base of everything FixIt refuses; ``str(error)`` is for the user."""


class Invalid(FixitError):
    """A form was filled in wrongly.

    Attributes:
        fields: Field name to what is wrong with it.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = dict(fields)


class Forbidden(FixitError):
    """The user's role does not allow this.

    Attributes:
        permission: What would be needed, as in ``"work_orders:resolve"``.
    """

    def __init__(self, permission: str) -> None:
        super().__init__("Your role does not allow this.")
        self.permission = permission


class PinChangeRequired(FixitError):
    """The PIN was given by somebody else; nothing works before it is changed."""

    def __init__(self) -> None:
        super().__init__("Choose a PIN of your own first.")


class NotThere(FixitError):
    """Nothing has this code, number or key (or the user may not see it)."""


class LoginRefused(FixitError):
    """Wrong employee id or PIN, or too many attempts.

    The text is the same whether or not the employee id exists.

    Attributes:
        locked_until: When the next attempt is allowed; None when not locked.
    """

    def __init__(self, locked_until: datetime | None = None) -> None:
        super().__init__(
            "Employee id or PIN is wrong."
            if locked_until is None
            else "Too many wrong PINs. Wait 15 minutes or ask an administrator."
        )
        self.locked_until = locked_until


class WeakPin(Invalid):
    """The new PIN is too short, too simple, or not made of digits."""

    def __init__(self, reason: str) -> None:
        super().__init__({"new_pin": reason})


class AlreadyTaken(FixitError):
    """Somebody else is on this work order.

    Attributes:
        name: The name of whoever has it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is already on this.")
        self.name = name


class NotPossibleNow(FixitError):
    """The work order's status does not allow this step."""


class StepsMissing(FixitError):
    """Required steps of the checklist are not done.

    Attributes:
        steps: The texts of the missing steps.
    """

    def __init__(self, steps: Sequence[str]) -> None:
        super().__init__("Not done yet: " + "; ".join(steps))
        self.steps = list(steps)


class LastAdministrator(FixitError):
    """Nobody would be left who can administer the system."""

    def __init__(self) -> None:
        super().__init__("This is the last active administrator.")
