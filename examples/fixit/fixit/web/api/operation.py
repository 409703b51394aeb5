"""One table of operations; routes and the OpenAPI document are both made from it.

An operation is a function of ``(session, who, call)`` that returns a struct. It runs
in one transaction: a write session for methods that change something, a read session
for GET. Everything HTTP is in ``endpoint``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from fixit.permissions import Identity


class PageQuery(msgspec.Struct, forbid_unknown_fields=True):
    """The query of a list."""

    after: str | None = None
    before: str | None = None


class NoQuery(msgspec.Struct, forbid_unknown_fields=True):
    """An operation without query parameters."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for, checked by the operation's types."""

    path: dict[str, uuid.UUID]
    query: Any
    body: Any

    @property
    def id(self) -> uuid.UUID:
        """The key in the path."""
        return self.path["id"]


Handler = Callable[[Session, Identity, Call], msgspec.Struct | None]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path.

    Attributes:
        method: ``GET`` or ``POST``.
        path: Below ``/api/v1``; ``{id}`` and ``{step}`` are UUIDs.
        summary: One line for the document.
        handler: What it does.
        answer: The type of the answer; None for 204.
        body: The type of the request's body, if it has one.
        query: The type of the query.
        status: The status of success.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    answer: Any = None
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] = field(default=NoQuery)
    status: int = 200

    @property
    def name(self) -> str:
        """The operation's id in the document."""
        return self.handler.__name__
