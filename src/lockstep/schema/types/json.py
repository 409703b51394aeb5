"""JSON documents: JSONB on PostgreSQL, checked canonical text on SQLite."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from lockstep.schema.types.json_text import NotJson, canonical_json
from lockstep.schema.types.portable import PortableType, quoted


class Json(PortableType[Any]):
    """A JSON document. ``None`` is SQL NULL; inside a document it is ``null``.

    PostgreSQL: ``jsonb``. SQLite: ``TEXT`` with a CHECK that it is JSON.
    """

    impl = sa.JSON
    family: ClassVar[str] = "json"
    check_kind: ClassVar[str] = "json"

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``jsonb``."""
        return postgresql.JSONB(none_as_null=True)

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return TEXT."""
        return sa.TEXT()

    def checked(self, value: Any) -> Any:
        """Leave the checking to the writing: one walk over the document."""
        return value

    def to_sqlite(self, value: Any) -> str:
        """Return the canonical text."""
        return self._written(value, expand_floats=False)

    def to_postgresql(self, value: Any) -> str:
        """Return the text that ``jsonb`` reads back exactly."""
        return self._written(value, expand_floats=True)

    def _written(self, value: Any, *, expand_floats: bool) -> str:
        try:
            return canonical_json(value, expand_floats=expand_floats)
        except NotJson as error:
            self.refuse(value, str(error))

    def from_sqlite(self, stored: Any) -> Any:
        """Return the document of a stored text."""
        return json.loads(stored)

    def postgresql_literal(self, value: Any) -> str:
        """Return ``'…'::jsonb``."""
        return f"{quoted(self.to_postgresql(value))}::jsonb"

    def check_sql(self, column: str, dialect_name: str) -> str | None:
        """Check on SQLite that the text is JSON."""
        if dialect_name != "sqlite":
            return None
        # SQLite before 3.42 calls NULL invalid JSON.
        return f"{column} IS NULL OR json_valid({column})"
