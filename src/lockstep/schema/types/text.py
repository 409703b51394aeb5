"""Text that sorts, compares and measures alike on every engine.

PostgreSQL sorts by the database's locale, SQLite by bytes. Portable text is
declared ``COLLATE "C"`` on PostgreSQL, which is byte order in UTF-8, hence code
point order, hence what SQLite and Python's ``sorted`` do.

Invariant: what PostgreSQL cannot hold (NUL, lone surrogates) is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from lockstep.schema.types.columns import are_all, with_short_way
from lockstep.schema.types.portable import PortableType

BYTE_ORDER = "C"


def text_fault(value: str) -> str | None:
    """Say why a string cannot be stored on every engine, or return None."""
    if "\x00" in value:
        return "PostgreSQL cannot store the NUL character"
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return "a lone surrogate is not a character"
    return None


class Text(PortableType[str]):
    """Unicode text, optionally limited in characters.

    Args:
        length: The most characters (code points) a value may have; None for no
            limit.
        collation: A PostgreSQL collation to use instead of byte order. A way
            out, not portable: SQLite keeps byte order.

    PostgreSQL: ``text`` or ``varchar(n)``, ``COLLATE "C"``. SQLite: ``TEXT``
    with a CHECK of the length.
    """

    impl = sa.Text
    family: ClassVar[str] = "text"
    check_kind: ClassVar[str] = "length"

    def __init__(
        self, length: int | None = None, *, collation: str | None = None
    ) -> None:
        super().__init__()
        if length is not None and length < 1:
            raise ValueError("a text column holds at least one character")
        self.length = length
        self.collation = collation

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``text`` or ``varchar(n)`` with its collation."""
        collation = self.collation or BYTE_ORDER
        if self.length is None:
            return sa.Text(collation=collation)
        return sa.String(self.length, collation=collation)

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return TEXT."""
        return sa.TEXT()

    def checked(self, value: Any) -> str:
        """Refuse what is no string, too long, or not storable everywhere."""
        if not isinstance(value, str):
            self.refuse(value, "not a str")
        if not value.isascii() or "\x00" in value:
            fault = text_fault(value)
            if fault is not None:
                self.refuse(value, fault)
        if self.length is not None and len(value) > self.length:
            self.refuse(value, f"{len(value)} characters, at most {self.length}")
        return str(value)

    def writer(self, dialect_name: str) -> Callable[[Any], Any]:
        """Check all texts of a column as if they were one."""
        write = super().writer(dialect_name)
        if type(self).checked is not Text.checked:
            return write  # a subclass knows more about its texts
        length = self.length

        def write_column(values: Sequence[Any]) -> Sequence[str] | None:
            if not are_all(str, values):
                return None
            joined = "".join(values)
            if (not joined.isascii() or "\x00" in joined) and text_fault(joined):
                return None
            is_fitting = length is None or max(map(len, values)) <= length
            return values if is_fitting else None

        return with_short_way(write, write_column)

    def check_sql(self, column: str, dialect_name: str) -> str | None:
        """Check the length on SQLite, where ``varchar(n)`` means nothing."""
        if self.length is None or dialect_name != "sqlite":
            return None
        return f"length({column}) <= {self.length}"

    def beside(self) -> Text:
        """Return the type without its limit; only storing a longer text fails."""
        return Text(collation=self.collation)

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """Let a longer text be compared."""
        return self.beside()

    def from_text(self, text: str) -> str:
        """Return the text itself."""
        return text

    def __repr__(self) -> str:
        parts = [] if self.length is None else [str(self.length)]
        if self.collation is not None:
            parts.append(f"collation={self.collation!r}")
        return f"Text({', '.join(parts)})"
