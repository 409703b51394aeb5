"""UUIDs: keys that a device can make without asking anybody.

PostgreSQL stores ``uuid``; SQLite the canonical text, lower case with hyphens,
whose byte order is the UUID's own order.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from lockstep.schema.types.portable import PortableType


class Uuid(PortableType[uuid.UUID]):
    """A UUID; Python's ``uuid.UUID``.

    PostgreSQL: ``uuid``. SQLite: ``TEXT``, canonical, so that raw SQL reads and
    writes what people see.
    """

    impl = sa.Uuid
    family: ClassVar[str] = "uuid"

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``uuid``."""
        return sa.Uuid()

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return TEXT."""
        return sa.TEXT()

    def checked(self, value: Any) -> uuid.UUID:
        """Refuse what is no ``uuid.UUID``; a string is not parsed silently."""
        if not isinstance(value, uuid.UUID):
            self.refuse(value, "not a uuid.UUID; write uuid.UUID(text)")
        return value

    def from_text(self, text: str) -> uuid.UUID:
        """Return the UUID a default's text means."""
        return uuid.UUID(text)

    def to_sqlite(self, value: uuid.UUID) -> str:
        """Return the canonical text."""
        return str(value)

    def from_sqlite(self, stored: Any) -> uuid.UUID:
        """Return the UUID of a stored text."""
        try:
            return uuid.UUID(stored)
        except (ValueError, AttributeError, TypeError):
            self.refuse(stored, "the database holds no UUID here")
