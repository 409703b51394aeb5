"""The base of every portable type: one value, two storages, one meaning.

Owns how a column type says what it stores on each engine and how values cross
that border. It must not know any particular type.

Invariant: a value either comes back equal on every engine, or is refused with
``InvalidValue`` before it reaches a driver. Nothing is rounded, cut or guessed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from lockstep.errors import InvalidValue

T = TypeVar("T")

_SHOWN_CHARACTERS_MAX = 80


def shown(value: object) -> str:
    """Return ``repr(value)``, shortened for an error message."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return f"a very large {type(value).__name__}"
    if len(text) <= _SHOWN_CHARACTERS_MAX:
        return text
    return text[: _SHOWN_CHARACTERS_MAX - 1] + "…"


class PortableType(TypeDecorator[T]):
    """A column type that means the same on SQLite and on PostgreSQL.

    A subclass names its two storages, checks a value once for both, and
    translates between Python and SQLite. PostgreSQL's driver usually takes and
    gives the Python value itself.
    """

    impl = sa.Text
    cache_ok = True
    family: ClassVar[str]
    """Values of one family may be compared with each other."""

    def __init_subclass__(cls, **kw: Any) -> None:
        super().__init_subclass__(**kw)
        # SQLAlchemy looks for this in each class by itself. The arguments of a
        # portable type are hashable attributes of the same names.
        cls.cache_ok = True

    def __init__(self) -> None:
        super().__init__()

    @abstractmethod
    def postgresql_type(self) -> TypeEngine[Any]:
        """Return the type that PostgreSQL stores."""

    @abstractmethod
    def sqlite_type(self) -> TypeEngine[Any]:
        """Return INTEGER, REAL, TEXT or BLOB: what a STRICT table stores."""

    @abstractmethod
    def checked(self, value: Any) -> T:
        """Return the value to store, or raise ``InvalidValue``."""

    def to_sqlite(self, value: T) -> Any:
        """Return what SQLite stores for a checked value."""
        return value

    def from_sqlite(self, stored: Any) -> T:
        """Return the value for what SQLite stored."""
        return stored

    def to_postgresql(self, value: T) -> Any:
        """Return what PostgreSQL's driver is given for a checked value."""
        return value

    def from_postgresql(self, stored: Any) -> T:
        """Return the value for what PostgreSQL's driver gave."""
        return stored

    def check_sql(self, column: str, dialect_name: str) -> str | None:
        """Return the CHECK that guards the storage, or None.

        Args:
            column: The column's name, quoted for the dialect.
            dialect_name: ``sqlite`` or ``postgresql``.
        """
        return None

    check_kind: ClassVar[str] = ""
    """Last part of the CHECK's name: ``ck_<table>_<column>_<kind>``."""

    def refuse(self, value: object, reason: str) -> NoReturn:
        """Raise ``InvalidValue`` for a value this type cannot store exactly."""
        raise InvalidValue(
            f"{shown(value)} does not fit {self!r}: {reason}",
            detail={"type": repr(self), "value_type": type(value).__name__},
        )

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the storage for a dialect."""
        if dialect.name == "postgresql":
            return self.postgresql_type()
        return self.sqlite_type()

    def bind_processor(self, dialect: Dialect) -> Any:
        """Check and translate values on their way to the driver."""
        return self.writer(dialect.name)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Translate values on their way from the driver."""
        return self.reader(dialect.name)

    def writer(self, dialect_name: str) -> Callable[[Any], Any]:
        """Return what checks and translates one value, or None, for the driver.

        A type may override it with a shorter way for the values it usually gets.
        Whatever such a way does not take goes to ``checked``, which refuses.
        """
        checked = self.checked
        if dialect_name == "postgresql":
            store, is_same = self.to_postgresql, self._is_own("to_postgresql")
        else:
            store, is_same = self.to_sqlite, self._is_own("to_sqlite")
        if is_same:
            return lambda value: None if value is None else checked(value)
        return lambda value: None if value is None else store(checked(value))

    def reader(self, dialect_name: str) -> Callable[[Any], T | None] | None:
        """Return what translates what the driver gave; None if it is the value.

        See ``writer`` for overriding it.
        """
        if dialect_name == "postgresql":
            load, is_same = self.from_postgresql, self._is_own("from_postgresql")
        else:
            load, is_same = self.from_sqlite, self._is_own("from_sqlite")
        if is_same:
            return None
        return lambda stored: None if stored is None else load(stored)

    def _is_own(self, name: str) -> bool:
        """Return whether a translation is this class's, which does nothing."""
        return getattr(type(self), name) is getattr(PortableType, name)

    def literal_processor(self, dialect: Dialect) -> Any:
        """Write values into the statement itself (DDL, partial indexes)."""
        postgresql = dialect.name == "postgresql"
        write = self.postgresql_literal if postgresql else self.sqlite_literal
        checked = self.checked

        def process(value: Any) -> str:
            if value is None:
                return "NULL"
            return for_driver(write(checked(value)), dialect)

        return process

    def sqlite_literal(self, value: T) -> str:
        """Return the SQL literal SQLite stores for a checked value."""
        stored = self.to_sqlite(value)
        return quoted(stored) if isinstance(stored, str) else repr(stored)

    def postgresql_literal(self, value: T) -> str:
        """Return the SQL literal PostgreSQL stores for a checked value."""
        return self.sqlite_literal(value)

    def compare_values(self, x: Any, y: Any) -> bool:
        """Tell the ORM whether an attribute really changed."""
        return bool(x == y)

    def beside(self) -> PortableType[Any]:
        """Return the type of a bound value that may stand for a column's."""
        return self

    def from_text(self, text: str) -> T:
        """Return the value that a ``server_default="text"`` means.

        Raises:
            ValueError: The text is no value of this type.
        """
        raise ValueError(f"{self!r} has no defaults written as text")

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """Give a Python value in an expression this type's own checks."""
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def for_driver(sql: str, dialect: Dialect) -> str:
    """Return SQL whose percent signs the driver does not take for placeholders."""
    doubled = cast("Any", dialect.identifier_preparer)._double_percents
    return sql.replace("%", "%%") if doubled else sql


def quoted(text: str) -> str:
    """Return ``text`` as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
