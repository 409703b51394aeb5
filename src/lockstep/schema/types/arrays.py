"""Arrays of scalars: native on PostgreSQL, a checked JSON array on SQLite.

Owns the type and what a query may ask of an array: membership, length, equality.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, NoReturn, cast

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BindParameter, ColumnElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from lockstep.errors import InvalidValue, NotPortable
from lockstep.schema.types.json_text import canonical_json
from lockstep.schema.types.membership import array_has, array_length
from lockstep.schema.types.portable import PortableType

_EQUALITIES = frozenset({operators.eq, operators.ne, operators.is_, operators.is_not})
_MEMBERSHIPS = frozenset({operators.in_op, operators.not_in_op})
_SCALARS = frozenset({"uuid", "text", "number", "boolean", "moment", "date"})


class ArrayComparator(TypeDecorator.Comparator[Any]):
    """What a query may ask of an array, the same on every engine."""

    def has(self, value: Any) -> ColumnElement[bool]:
        """Tell whether ``value`` is one of the items; NULL for a NULL array."""
        kind = self.type
        assert isinstance(kind, Array)
        if value is None:
            raise InvalidValue("an array holds no NULL", hint="use column.is_(None)")
        if hasattr(value, "__clause_element__"):
            value = value.__clause_element__()
        if isinstance(value, ColumnElement):
            return array_has(self.expr, cast("ColumnElement[Any]", value))
        item = kind.item.beside()
        return array_has(self.expr, BindParameter(None, value, type_=item, unique=True))

    def length(self) -> ColumnElement[int]:
        """Return how many items there are; NULL for a NULL array."""
        return array_length(self.expr)

    def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
        """Build the expression for an operator, or refuse it."""
        if op is operators.contains_op:
            return self.has(other[0])
        if not other or op in _EQUALITIES or op in _MEMBERSHIPS:
            return super().operate(op, *other, **kwargs)
        _refuse(op)

    def reverse_operate(self, op: Any, other: Any, **kwargs: Any) -> Any:
        """Refuse: no operator takes an array on its right side."""
        _refuse(op)


def _refuse(op: Any) -> NoReturn:
    name = getattr(op, "opstring", None) or getattr(op, "__name__", str(op))
    raise NotPortable(
        f"the operator {name} on an array is not the same on every engine",
        hint="ask column.has(value) or column.length()",
    )


class Array(PortableType[list[Any]]):
    """A list of values of one portable scalar type; no None inside.

    Args:
        item: The type of the items, an instance or a class: ``Array(Uuid)``.

    PostgreSQL: ``item[]``. SQLite: ``TEXT`` holding a JSON array, with a CHECK.
    A query asks ``Part.tags.has("spare")``, the same as
    ``Part.tags.contains("spare")``.
    """

    impl = sa.JSON
    family: ClassVar[str] = "array"
    check_kind: ClassVar[str] = "array"
    hashable = False
    comparator_factory = ArrayComparator  # pyright: ignore[reportAssignmentType]

    def __init__(self, item: PortableType[Any] | type[PortableType[Any]]) -> None:
        super().__init__()
        self.item: PortableType[Any] = item() if isinstance(item, type) else item
        if getattr(self.item, "family", None) not in _SCALARS:
            raise TypeError(f"an array holds portable scalars, not {item!r}")

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``item[]``."""
        from sqlalchemy.dialects.postgresql import ARRAY

        item = self.item.postgresql_type()
        if isinstance(item, sa.String):
            # Equality is the same under every collation an array may have.
            item = sa.Text() if item.length is None else sa.String(item.length)
        return ARRAY(item)

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
        try:
            return [self.item.checked(item) for item in items]
        except InvalidValue as error:
            self.refuse(items, error.message)

    def to_sqlite(self, value: list[Any]) -> str:
        """Return the JSON array."""
        return canonical_json([self.item.to_sqlite(item) for item in value])

    def from_sqlite(self, stored: Any) -> list[Any]:
        """Return the items of a stored JSON array."""
        try:
            items = json.loads(stored)
        except (ValueError, TypeError) as error:
            self.refuse(stored, f"the database holds no JSON array here ({error})")
        return [self.item.from_sqlite(item) for item in items]

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
        is_array = f"json_valid({column}) AND json_type({column}) = 'array'"
        # Before SQLite 3.45 json_valid(NULL) is 0 rather than NULL.
        return f"{column} IS NULL OR ({is_array})"

    def postgresql_literal(self, value: list[Any]) -> str:
        """Return ``ARRAY[…]::item[]``."""
        from sqlalchemy.dialects import postgresql

        items = ", ".join(self.item.postgresql_literal(item) for item in value)
        dialect: Dialect = cast("Any", postgresql).dialect()
        return f"ARRAY[{items}]::{self.postgresql_type().compile(dialect)}"

    def from_text(self, text: str) -> list[Any]:
        """Return the items a default's text, a JSON array, means."""
        return self.from_sqlite(text)

    def __repr__(self) -> str:
        return f"Array({self.item!r})"
