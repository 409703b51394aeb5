"""Whole numbers of 64 bits, floats that are numbers, and booleans.

SQLite silently turns an overflowing integer into a float, and a STRICT column
still converts '42' to 42. Both are refused here, on the way in and out.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import sqlalchemy as sa
from sqlalchemy.sql import operators
from sqlalchemy.types import TypeDecorator, TypeEngine

from lockstep.schema.affinity import INTEGER_MAX, INTEGER_MIN
from lockstep.schema.types.columns import are_all, with_same, with_short_way
from lockstep.schema.types.decimals import (
    SCALED_DIGITS_MAX,
    Decimal,
    places_of,
)
from lockstep.schema.types.portable import PortableType

_ARITHMETIC = frozenset(
    {
        operators.add,
        operators.sub,
        operators.mul,
        operators.floordiv,
        operators.mod,
    }
)


class NumberComparator(TypeDecorator.Comparator[Any]):
    """Types the result of an operator on a whole number or a float."""

    def _adapt_expression(
        self, op: Any, other_comparator: Any
    ) -> tuple[Any, TypeEngine[Any]]:
        mine = self.type
        other = cast("TypeEngine[Any]", other_comparator.type)
        if isinstance(mine, Float) or isinstance(other, Float | sa.Float):
            return op, Float()
        if isinstance(other, Decimal) and op in _ARITHMETIC:
            return op, other.result(mine, other.scale)
        if op in _ARITHMETIC and isinstance(other, BigInteger | sa.Integer):
            return op, BigInteger()
        if op is operators.truediv:
            return op, sa.Numeric()
        return super()._adapt_expression(op, other_comparator)


class BigInteger(PortableType[int]):
    """A signed integer of 64 bits, on every engine.

    PostgreSQL: ``bigint``. SQLite: ``INTEGER``; as a single primary key it is
    the rowid and numbers itself, as ``bigserial`` does.
    """

    impl = sa.BigInteger
    family: ClassVar[str] = "number"
    comparator_factory = NumberComparator  # pyright: ignore[reportAssignmentType]

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``bigint``."""
        return sa.BigInteger()

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return INTEGER."""
        return sa.INTEGER()

    def checked(self, value: Any) -> int:
        """Refuse booleans, strings, floats and what needs more than 64 bits."""
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(value, "not an int")
        if not INTEGER_MIN <= value <= INTEGER_MAX:
            self.refuse(value, "needs more than 64 bits")
        return int(value)

    def writer(self, dialect_name: str) -> Callable[[Any], Any]:
        """Write an int that fits at once."""
        ordinary = super().writer(dialect_name)

        def write(value: Any) -> Any:
            if type(value) is int and INTEGER_MIN <= value <= INTEGER_MAX:
                return value
            return ordinary(value)

        return with_short_way(write, _fitting)

    def reader(self, dialect_name: str) -> Callable[[Any], int | None] | None:
        """Read an int at once: an integer column gives none that does not fit."""
        ordinary = super().reader(dialect_name)
        assert ordinary is not None, "integers are checked on every engine"

        def read(stored: Any) -> int | None:
            return stored if type(stored) is int else ordinary(stored)

        return with_same(read, int)

    def from_text(self, text: str) -> int:
        """Return the integer a default's text means."""
        return int(text)

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """Let an integer meet a float or a decimal; a bool or a str stays refused."""
        if isinstance(value, float):
            return Float()
        if isinstance(value, decimal.Decimal):
            return Decimal(SCALED_DIGITS_MAX, min(places_of(value), SCALED_DIGITS_MAX))
        return self

    def from_sqlite(self, stored: Any) -> int:
        """Refuse the float that SQLite makes of an overflow."""
        if not isinstance(stored, int):
            self.refuse(stored, "the result is no integer of 64 bits")
        return stored

    def from_postgresql(self, stored: Any) -> int:
        """Return an int for the numeric that ``sum(bigint)`` gives."""
        if isinstance(stored, decimal.Decimal):
            stored = int(stored)
        if not INTEGER_MIN <= stored <= INTEGER_MAX:
            self.refuse(stored, "the result needs more than 64 bits")
        return stored


def _fitting(values: Sequence[Any]) -> Sequence[int] | None:
    """Return integers of 64 bits as they are."""
    if not are_all(int, values):
        return None
    is_fitting = min(values) >= INTEGER_MIN and max(values) <= INTEGER_MAX
    return values if is_fitting else None


class Float(PortableType[float]):
    """A double: 8 bytes on every engine. NaN is refused, -0.0 is stored as 0.0.

    PostgreSQL: ``double precision``. SQLite: ``REAL``. Not for money.
    """

    impl = sa.Double
    family: ClassVar[str] = "number"
    comparator_factory = NumberComparator  # pyright: ignore[reportAssignmentType]

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``double precision``."""
        return sa.DOUBLE_PRECISION()

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return REAL."""
        return sa.REAL()

    def checked(self, value: Any) -> float:
        """Refuse NaN, which SQLite stores as NULL, and ints beyond 2**53."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(value, "not a float")
        try:
            number = float(value)
        except OverflowError:
            self.refuse(value, "beyond the range of a double")
        if math.isnan(number):
            self.refuse(value, "NaN is not a number; store NULL")
        if isinstance(value, int) and int(number) != value:
            self.refuse(value, "a double cannot hold this integer exactly")
        # SQLite does not keep the sign of zero; adding 0.0 removes it everywhere.
        return number + 0.0

    def from_text(self, text: str) -> float:
        """Return the float a default's text means."""
        return float(text)

    def from_sqlite(self, stored: Any) -> float:
        """Return a float also where SQLite computed an integer."""
        return float(stored)

    def from_postgresql(self, stored: Any) -> float:
        """Return a float also where PostgreSQL computed a numeric."""
        return float(stored)


class Boolean(PortableType[bool]):
    """True or False; 0 and 1 are not taken for them.

    PostgreSQL: ``boolean``. SQLite: ``INTEGER`` with a CHECK for 0 and 1.
    """

    impl = sa.Boolean
    family: ClassVar[str] = "boolean"
    coerce_to_is_types = (type(None), bool)
    check_kind: ClassVar[str] = "boolean"

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``boolean``."""
        return sa.Boolean()

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return INTEGER."""
        return sa.INTEGER()

    def checked(self, value: Any) -> bool:
        """Refuse everything but True and False."""
        if not isinstance(value, bool):
            self.refuse(value, "not a bool")
        return value

    def from_text(self, text: str) -> bool:
        """Return the truth of ``true``, ``false``, ``1`` or ``0``."""
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]

    def to_sqlite(self, value: bool) -> int:
        """Return 0 or 1."""
        return int(value)

    def from_sqlite(self, stored: Any) -> bool:
        """Return the truth of 0 or 1."""
        return bool(stored)

    def postgresql_literal(self, value: bool) -> str:
        """Return ``true`` or ``false``."""
        return "true" if value else "false"

    def check_sql(self, column: str, dialect_name: str) -> str | None:
        """Check for 0 and 1 on SQLite, which has no boolean."""
        return f"{column} IN (0, 1)" if dialect_name == "sqlite" else None
