"""Bytes, stored as they are on every engine."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from lockstep.schema.types.portable import PortableType


class Blob(PortableType[bytes]):
    """Bytes; sorted and compared byte by byte.

    PostgreSQL: ``bytea``. SQLite: ``BLOB``.
    """

    impl = sa.LargeBinary
    family: ClassVar[str] = "blob"

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``bytea``."""
        return sa.LargeBinary()

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return BLOB."""
        return sa.BLOB()

    def checked(self, value: Any) -> bytes:
        """Refuse what is not bytes-like; a str has no bytes of its own."""
        if not isinstance(value, bytes | bytearray | memoryview):
            self.refuse(value, "not bytes")
        return bytes(cast("bytes", value))

    def from_postgresql(self, stored: Any) -> bytes:
        """Return bytes for whatever buffer the driver gave."""
        return bytes(stored)

    def sqlite_literal(self, value: bytes) -> str:
        """Return ``X'…'``."""
        return f"X'{value.hex()}'"

    def postgresql_literal(self, value: bytes) -> str:
        r"""Return ``'\x…'::bytea``."""
        return f"'\\x{value.hex()}'::bytea"
