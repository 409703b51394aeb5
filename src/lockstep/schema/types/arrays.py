"""Arrays of scalars: native on PostgreSQL, a checked JSON array on SQLite."""

from __future__ import annotations

import json
from typing import Any, ClassVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from lockstep.schema.types.json_text import canonical_json
from lockstep.schema.types.portable import PortableType


class Array(PortableType[list[Any]]):
    """A list of values of one portable scalar type; no nulls inside.

    Args:
        item: The type of the items, an instance or a class.

    PostgreSQL: ``item[]``. SQLite: ``TEXT`` holding a JSON array.
    """

    impl = sa.JSON
    family: ClassVar[str] = "array"
    check_kind: ClassVar[str] = "array"

    def __init__(self, item: PortableType[Any] | type[PortableType[Any]]) -> None:
        super().__init__()
        self.item: PortableType[Any] = item() if isinstance(item, type) else item

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``item[]``."""
        return postgresql.ARRAY(self.item.postgresql_type())

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return TEXT."""
        return sa.TEXT()

    def checked(self, value: Any) -> list[Any]:
        """Check every item; a string is not a list of characters."""
        if not isinstance(value, list | tuple):
            self.refuse(value, "not a list")
        items = cast("list[Any] | tuple[Any, ...]", value)
        if any(item is None for item in items):
            self.refuse(items, "an item is None")
        return [self.item.checked(item) for item in items]

    def to_sqlite(self, value: list[Any]) -> str:
        """Return the JSON array."""
        return canonical_json([self.item.to_sqlite(item) for item in value])

    def from_sqlite(self, stored: Any) -> list[Any]:
        """Return the items of a stored JSON array."""
        return [self.item.from_sqlite(item) for item in json.loads(stored)]

    def to_postgresql(self, value: list[Any]) -> list[Any]:
        """Return a list of what the driver takes for an item."""
        return [self.item.to_postgresql(item) for item in value]

    def from_postgresql(self, stored: Any) -> list[Any]:
        """Return the items the driver gave."""
        return [self.item.from_postgresql(item) for item in stored]

    def check_sql(self, column: str, dialect_name: str) -> str | None:
        """Check on SQLite that the text is a JSON array."""
        if dialect_name != "sqlite":
            return None
        # SQLite before 3.42 calls NULL invalid JSON.
        return (
            f"{column} IS NULL OR "
            f"(json_valid({column}) AND json_type({column}) = 'array')"
        )

    def postgresql_literal(self, value: list[Any]) -> str:
        """Return ``ARRAY[…]::item[]``."""
        items = ", ".join(self.item.postgresql_literal(item) for item in value)
        dialect = cast("Dialect", postgresql.dialect())  # type: ignore[no-untyped-call]
        return f"ARRAY[{items}]::{self.postgresql_type().compile(dialect)}"

    def __repr__(self) -> str:
        return f"Array({self.item!r})"
