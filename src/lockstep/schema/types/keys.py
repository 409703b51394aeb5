"""UUIDs: keys that a device can make without asking anybody.

PostgreSQL stores ``uuid``; SQLite the canonical text, lower case with hyphens,
whose byte order is the UUID's own order.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from lockstep.schema.types.portable import PortableType

_DIGITS = 32
# A UUID refuses assignment; these are the slots that its constructor fills.
_set_int: Any = vars(uuid.UUID)["int"].__set__
_set_is_safe: Any = vars(uuid.UUID)["is_safe"].__set__


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

    def writer(self, dialect_name: str) -> Callable[[Any], Any]:
        """Write a UUID at once."""
        ordinary = super().writer(dialect_name)
        if dialect_name == "postgresql":
            return ordinary

        def write(value: Any) -> Any:
            return str(value) if type(value) is uuid.UUID else ordinary(value)

        return write

    def reader(self, dialect_name: str) -> Callable[[Any], uuid.UUID | None] | None:
        """Read canonical text without the constructor, which takes twice as long."""
        ordinary = super().reader(dialect_name)
        if dialect_name == "postgresql" or ordinary is None:
            return ordinary

        def read(stored: Any) -> uuid.UUID | None:
            try:
                digits = stored.replace("-", "")
                if len(digits) != _DIGITS:
                    return ordinary(stored)
                number = int(digits, 16)
            except (ValueError, TypeError, AttributeError):
                return ordinary(stored)
            value = object.__new__(uuid.UUID)
            _set_int(value, number)
            _set_is_safe(value, uuid.SafeUUID.unknown)
            return value

        return read

    def to_sqlite(self, value: uuid.UUID) -> str:
        """Return the canonical text."""
        return str(value)

    def from_sqlite(self, stored: Any) -> uuid.UUID:
        """Return the UUID of a stored text."""
        try:
            return uuid.UUID(stored)
        except (ValueError, AttributeError, TypeError):
            self.refuse(stored, "the database holds no UUID here")
