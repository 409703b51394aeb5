"""Enumerations as text with a named CHECK, on every engine.

See docs/decisions/0004.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, get_args

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from lockstep.schema.names import constraint_name
from lockstep.schema.types.portable import PortableType, quoted
from lockstep.schema.types.text import BYTE_ORDER, text_fault

_LENGTH_MIN = 16


class Enum(PortableType[Any]):
    """One of a fixed list of strings, or of a Python enum's members.

    Args:
        values: A Python ``enum.Enum`` class, or the strings themselves. Of a
            Python enum, members whose value is a string are stored by value,
            any other enum by name.
    """

    impl = sa.String
    family: ClassVar[str] = "text"
    check_kind: ClassVar[str] = "values"

    def __init__(self, *values: Any) -> None:
        super().__init__()
        self.values = values
        first = values[0] if len(values) == 1 else None
        self.enum_class: type[enum.Enum] | None = (
            first if isinstance(first, type) and issubclass(first, enum.Enum) else None
        )
        self._member_of: dict[str, Any] = self._stored_members()
        self._stored_of = {member: text for text, member in self._member_of.items()}

    def _stored_members(self) -> dict[str, Any]:
        if self.enum_class is None:
            members: dict[Any, Any] = {text: text for text in self.values}
        else:
            of = list(self.enum_class)
            by_value = all(isinstance(member.value, str) for member in of)
            members = {m.value if by_value else m.name: m for m in of}
        if not members:
            raise ValueError("an enum needs at least one value")
        if self.enum_class is None and len(members) < len(self.values):
            raise ValueError(f"an enum's values repeat: {self.values!r}")
        for text in members:
            if not isinstance(text, str) or text_fault(text) is not None:
                raise ValueError(f"{text!r} cannot be an enum's value")
        return members

    @property
    def stored_values(self) -> tuple[str, ...]:
        """The strings that the database may hold, in the order of definition."""
        return tuple(self._member_of)

    @property
    def length(self) -> int:
        """Characters of the PostgreSQL ``varchar``."""
        return max(_LENGTH_MIN, *(len(text) for text in self._member_of))

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``varchar(n)`` in byte order."""
        return sa.String(self.length, collation=BYTE_ORDER)

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return TEXT."""
        return sa.TEXT()

    def checked(self, value: Any) -> Any:
        """Return the member; a stored string is accepted for its member."""
        if isinstance(value, Hashable) and value in self._stored_of:
            return value
        if isinstance(value, str) and value in self._member_of:
            return self._member_of[value]
        self.refuse(value, f"not one of {', '.join(self._member_of)}")

    def to_sqlite(self, value: Any) -> str:
        """Return the stored string."""
        return self._stored_of[value]

    to_postgresql = to_sqlite

    def from_sqlite(self, stored: Any) -> Any:
        """Return the member, or refuse a string that is none."""
        try:
            return self._member_of[stored]
        except (KeyError, TypeError):
            self.refuse(stored, f"not one of {', '.join(self._member_of)}")

    from_postgresql = from_sqlite

    def from_text(self, text: str) -> Any:
        """Return the member a default's text means."""
        return self.checked(text)

    def check_sql(self, column: str, dialect_name: str) -> str:
        """Return ``column IN (…)``."""
        return enum_check_sql(column, self.stored_values)

    def __repr__(self) -> str:
        return f"Enum({', '.join(repr(text) for text in self.stored_values)})"


class EnumOfAnnotation(PortableType[Any]):
    """Stands in an annotation map for ``Mapped[SomeEnum]`` and ``Mapped[Literal]``."""

    impl = sa.String
    family: ClassVar[str] = "text"

    def _resolve_for_python_type(
        self, python_type: Any, matched_on: Any, matched_on_flattened: Any
    ) -> Enum:
        # SQLAlchemy asks the type it finds for enum.Enum or Literal for the type
        # of this very annotation; its own Enum answers in the same way.
        values = get_args(getattr(python_type, "__value__", python_type))
        return Enum(*(values or (python_type,)))

    def postgresql_type(self) -> TypeEngine[Any]:
        """Refuse: no column has this type."""
        raise TypeError("annotate a column with an enum class or a Literal")

    sqlite_type = postgresql_type

    def checked(self, value: Any) -> Any:
        """Refuse: no column has this type."""
        self.refuse(value, "no column has this type")


def enum_check_name(table: str, column: str) -> str:
    """Return the name of the CHECK that guards an ``Enum`` column."""
    return constraint_name("ck", table, column, Enum.check_kind)


def enum_check_sql(column: str, values: Sequence[str]) -> str:
    """Return the condition of an ``Enum``'s CHECK.

    Args:
        column: The column's name, quoted where it must be.
        values: The strings the column may hold.
    """
    return f"{column} IN ({', '.join(quoted(value) for value in values)})"
