"""Which Python type a column's values have, as far as that can be known.

Owns the one answer to that question: portable types and SQLAlchemy's own say it,
a custom decorator may do anything with a value, so it is never judged.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from lockstep.schema import Enum, PortableType


def python_type_of(kind: sa.types.TypeEngine[Any]) -> type[Any] | None:
    """Return the type of the values, or None where anything is possible."""
    if isinstance(kind, Enum):
        return kind.enum_class or str
    if isinstance(kind, PortableType):
        kind = kind.impl_instance
    elif isinstance(kind, sa.TypeDecorator):
        return None
    try:
        return kind.python_type
    except NotImplementedError:
        return None


def is_integer(kind: sa.types.TypeEngine[Any]) -> bool:
    """Return whether a column of this type holds whole numbers."""
    return python_type_of(kind) is int
