"""Decimals with every digit, also where the engine has none.

PostgreSQL: ``numeric(p, s)``. SQLite, up to 18 digits: ``INTEGER`` counting
units of 10⁻ˢ. Beyond: TEXT whose byte order is the numeric order. Owns both
encodings and the type of an expression that calculates with decimals;
``lockstep.schema.expressions.scales`` compiles such expressions.

Invariant: nothing is ever rounded (docs/decisions/0002).
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, ClassVar, cast

import sqlalchemy as sa
from sqlalchemy.sql import operators
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from lockstep.schema.types.columns import are_all, with_short_way
from lockstep.schema.types.portable import PortableType

SCALED_DIGITS_MAX = 18
"""Digits a scaled 64-bit integer can always hold."""

PRECISION_MAX = 1000

_EXACT = decimal.Context(
    prec=decimal.MAX_PREC, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX
)
_DIGITS_MAX = 131_072
"""Digits before the point that PostgreSQL's ``numeric`` can hold."""

_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_ADDITIVE = frozenset({operators.add, operators.sub})


def places_of(number: decimal.Decimal | int) -> int:
    """Return how many digits a number has after the point as it is written."""
    exponent = decimal.Decimal(number).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def is_integer(kind: TypeEngine[Any]) -> bool:
    """Tell whether a type, portable or not, holds whole numbers."""
    affinity = cast("Any", kind)._type_affinity
    return affinity is not None and issubclass(affinity, sa.Integer)


class DecimalComparator(TypeDecorator.Comparator[Any]):
    """Types the result of an operator on a ``Decimal``."""

    def _adapt_expression(
        self, op: Any, other_comparator: Any
    ) -> tuple[Any, TypeEngine[Any]]:
        mine = self.type
        assert isinstance(mine, Decimal)
        other: Any = other_comparator.type
        if isinstance(other, Decimal):
            number: TypeEngine[Any] | None = other
            places = other.scale
        else:
            number, places = (other if is_integer(other) else None), 0
        if number is None:
            # In a class body an annotated column has no type yet. What compiles
            # the expression looks again and refuses what does not fit.
            is_later = isinstance(other, NullType) and op is operators.mul
            return op, mine if op in _ADDITIVE or is_later else sa.Numeric()
        if op in _ADDITIVE:
            return op, mine.result(number, max(mine.scale, places))
        if op is operators.mul:
            return op, mine.result(number, mine.scale + places)
        # A quotient has as many places as PostgreSQL gives it; SQLite refuses it.
        return op, sa.Numeric()


class Decimal(PortableType[decimal.Decimal]):
    """A decimal number with a fixed number of decimal places, exact.

    Args:
        precision: All digits, 1 to 1000.
        scale: Digits after the point, 0 to ``precision``.

    PostgreSQL: ``numeric(p, s)``. SQLite: ``INTEGER`` scaled by 10ˢ up to 18
    digits, else TEXT that can be compared and sorted, but not calculated with.
    Floats, NaN, Infinity and digits that would be lost are refused.
    """

    impl = sa.Numeric
    family: ClassVar[str] = "number"
    comparator_factory = DecimalComparator  # pyright: ignore[reportAssignmentType]

    def __init__(self, precision: int = 18, scale: int = 4) -> None:
        super().__init__()
        if not 1 <= precision <= PRECISION_MAX or not 0 <= scale <= precision:
            raise ValueError(
                f"1 <= precision <= {PRECISION_MAX} and 0 <= scale <= precision, "
                f"not {precision}, {scale}"
            )
        self.precision = precision
        self.scale = scale

    @property
    def is_scaled(self) -> bool:
        """Whether SQLite stores an integer rather than a text."""
        return self.precision <= SCALED_DIGITS_MAX

    def result(self, other: TypeEngine[Any], scale: int) -> Decimal:
        """Return the type of a sum or product with another number."""
        wide = isinstance(other, Decimal) and not other.is_scaled
        if self.is_scaled and not wide and scale <= SCALED_DIGITS_MAX:
            return Decimal(SCALED_DIGITS_MAX, scale)
        digits = max(self.precision, getattr(other, "precision", 0), scale)
        return Decimal(min(PRECISION_MAX, max(digits, SCALED_DIGITS_MAX + 1)), scale)

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``numeric(p, s)``."""
        return sa.Numeric(self.precision, self.scale)

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return INTEGER, or TEXT beyond 18 digits."""
        return sa.INTEGER() if self.is_scaled else sa.TEXT()

    def checked(self, value: Any) -> decimal.Decimal:
        """Refuse floats, NaN, Infinity and digits that would be lost."""
        number = self.finite(value)
        units = number.scaleb(self.scale, context=_EXACT)
        if units.copy_abs().adjusted() >= self.precision and units:
            self.refuse(value, f"more than {self.precision} digits")
        if units != units.to_integral_value(context=_EXACT):
            self.refuse(value, f"more than {self.scale} decimal places")
        return self.of_units(int(units))

    def finite(self, value: Any) -> decimal.Decimal:
        """Return a number that is neither a float nor infinite nor no number."""
        if isinstance(value, bool) or not isinstance(value, int | decimal.Decimal):
            self.refuse(value, "not a decimal.Decimal or an int")
        number = decimal.Decimal(value)
        if not number.is_finite():
            self.refuse(value, "not a finite number")
        if number and abs(number.adjusted()) > _DIGITS_MAX:
            self.refuse(value, "beyond every engine's range")
        return number

    def of_units(self, units: int) -> decimal.Decimal:
        """Return the decimal that counts so many units of 10⁻ˢ."""
        return decimal.Decimal(units).scaleb(-self.scale, context=_EXACT)

    def writer(self, dialect_name: str) -> Callable[[Any], Any]:
        """Scale a decimal that fits at once."""
        ordinary = super().writer(dialect_name)
        if dialect_name == "postgresql" or not self._is_plain():
            return ordinary
        limit, factor = decimal.Decimal(10**self.precision), 10**self.scale
        scaled = _EXACT.multiply
        # Raises where a product would have more digits, or would be rounded.
        bounded = decimal.Context(
            prec=self.precision,
            Emax=self.precision - 1,
            Emin=decimal.MIN_EMIN,
            traps=[decimal.InvalidOperation, decimal.Overflow, decimal.Inexact],
        )

        def write(value: Any) -> Any:
            if type(value) is decimal.Decimal and value.is_finite():
                units = scaled(value, factor)
                # Compared first: an integer of a huge exponent fills the memory.
                if -limit < units < limit and (whole := int(units)) == units:
                    return whole
            return ordinary(value)

        def write_column(values: Sequence[Any]) -> Sequence[int] | None:
            if not are_all(decimal.Decimal, values):
                return None
            units = list(map(bounded.multiply, values, repeat(factor)))
            whole = list(map(int, units))
            return whole if whole == units else None

        return with_short_way(write, write_column)

    def reader(
        self, dialect_name: str
    ) -> Callable[[Any], decimal.Decimal | None] | None:
        """Read at once a scaled integer, or a decimal with the right places."""
        ordinary = super().reader(dialect_name)
        assert ordinary is not None, "decimals are checked on every engine"
        unit, times = decimal.Decimal((0, (1,), -self.scale)), _EXACT.multiply

        def read(stored: Any) -> decimal.Decimal | None:
            return times(stored, unit) if type(stored) is int else ordinary(stored)

        def read_numeric(stored: Any) -> decimal.Decimal | None:
            if type(stored) is decimal.Decimal and stored.same_quantum(unit):
                return stored
            return ordinary(stored)

        def read_column(stored: Sequence[Any]) -> Sequence[decimal.Decimal] | None:
            if not are_all(int, stored):
                return None
            return list(map(times, stored, repeat(unit)))

        if dialect_name == "postgresql":
            return read_numeric
        return with_short_way(read, read_column) if self._is_plain() else ordinary

    def _is_plain(self) -> bool:
        return self.is_scaled and not isinstance(self, Comparand)

    def to_sqlite(self, value: decimal.Decimal) -> int | str | float:
        """Return the scaled integer, or the text that sorts as the number."""
        units = int(value.scaleb(self.scale, context=_EXACT))
        return units if self.is_scaled else self.sorting_text(units)

    def sorting_text(self, units: int) -> str:
        """Return the text whose byte order is the order of the numbers.

        A sign and as many digits as the precision has; of a negative number the
        nines' complement, so that more below zero sorts before.
        """
        digits = str(abs(units)).zfill(self.precision)
        return "-" + digits.translate(_COMPLEMENT) if units < 0 else "0" + digits

    def from_sqlite(self, stored: Any) -> decimal.Decimal:
        """Return the decimal of a scaled integer or a sorting text."""
        if self.is_scaled:
            if not isinstance(stored, int):
                # An overflowing sum or product of SQLite's is a float.
                self.refuse(stored, "the result is no integer of 64 bits")
            return self.of_units(stored)
        if not isinstance(stored, str) or not stored[1:].isdecimal():
            self.refuse(stored, "the database holds no decimal here")
        if stored[0] == "-":
            return self.of_units(-int(stored[1:].translate(_COMPLEMENT)))
        return self.of_units(int(stored[1:]))

    def from_postgresql(self, stored: Any) -> decimal.Decimal:
        """Return the decimal with this type's places, or all it has."""
        number = decimal.Decimal(stored)
        units = number.scaleb(self.scale, context=_EXACT)
        if units != units.to_integral_value(context=_EXACT):
            return number
        return self.of_units(int(units))

    def postgresql_literal(self, value: decimal.Decimal) -> str:
        """Return plain digits."""
        return format(value, "f")

    def from_text(self, text: str) -> decimal.Decimal:
        """Return the decimal a default's text means."""
        return decimal.Decimal(text)

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """Type a Python value beside this column by what the operator needs."""
        is_number = isinstance(value, int | decimal.Decimal)
        places = places_of(value) if is_number else 0
        if op is operators.mul:
            return self.result(self, places) if places else Decimal(18, 0)
        if op in _ADDITIVE:
            return self.result(self, max(self.scale, places))
        return Comparand(self.precision, self.scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.precision}, {self.scale})"


class Money(Decimal):
    """An amount of money: ``Decimal(18, scale)``.

    Args:
        scale: Digits after the point, 2 for cents.
    """

    def __init__(self, scale: int = 2) -> None:
        super().__init__(SCALED_DIGITS_MAX, scale)

    def __repr__(self) -> str:
        return f"Money({'' if self.scale == 2 else self.scale})"


class Comparand(Decimal):
    """A number that a ``Decimal`` column is compared with; never stored.

    It may have more digits than the column. SQLite then gets a value that lies
    between the two neighbours the column can hold, so that every comparison has
    the answer that PostgreSQL gives.
    """

    _HALVES_MAX = 2**52
    """Below this a double can hold a half."""

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``numeric`` without limits."""
        return sa.Numeric()

    def checked(self, value: Any) -> decimal.Decimal:
        """Refuse only what is no finite number."""
        return self.finite(value)

    def to_sqlite(self, value: decimal.Decimal) -> int | str | float:
        """Return the units, or something between two neighbouring ones."""
        units = value.scaleb(self.scale, context=_EXACT)
        below = int(units.to_integral_value(decimal.ROUND_FLOOR, context=_EXACT))
        is_exact = units == below
        if not self.is_scaled:
            return self._text(below, is_exact=is_exact)
        if not -(2**63) <= below < 2**63:
            return float("inf") if below > 0 else float("-inf")
        if is_exact:
            return below
        if abs(below) >= self._HALVES_MAX:
            self.refuse(value, f"compared exactly only with {self.scale} places")
        return below + 0.5

    def _text(self, below: int, *, is_exact: bool) -> str:
        if abs(below) >= 10**self.precision:
            return "1" if below > 0 else ","
        text = self.sorting_text(below)
        # "~" sorts after every digit: behind this text, before the next number's.
        return text if is_exact else text + "~"
