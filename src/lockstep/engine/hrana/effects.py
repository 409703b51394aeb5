"""What a conversation asks of whoever runs it, and what it is answered.

Owns the values between the sans-I/O side (``wire``, ``conversation``) and the one that
does I/O (``transport``). They say what is to be done, never how.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request to ``path`` below ``base_url`` (None: the server's own).

    A POST of ``body``, or a GET where that is None.
    """

    path: str
    body: bytes | None = field(repr=False)
    content_type: str
    base_url: str | None
    may_repeat: bool
    baton: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a ``Call``, whatever its status.

    ``retry_after_s`` is how long the server asks to wait, if it does.
    """

    status: int
    body: bytes
    retry_after_s: float | None = None


class Incoming(Protocol):
    """The body of an answer that is still arriving."""

    def read(self, *, goes_on: bool = False) -> bytes:
        """Return the next bytes; none after the last."""
        ...

    def close(self) -> None:
        """Want no more of it; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class TakeTurn:
    """Wait for the turn to write; answered with whether it came in time."""


@dataclass(frozen=True, slots=True)
class Open:
    """Make a call whose answer is read piece by piece.

    Answered with a ``Reply`` where the status is not 200, else with an ``Incoming``.
    """

    call: Call


@dataclass(frozen=True, slots=True)
class Read:
    """Read the next piece; answered with its bytes, none after the last.

    ``goes_on``: the last piece ended no row, so its deadline is this one's too.
    """

    incoming: Incoming
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """Read no more of an answer; the rest need not be sent."""

    incoming: Incoming


Effect: TypeAlias = Call | TakeTurn | Open | Read | Leave
Talk: TypeAlias = Generator[Effect, Any, T]
