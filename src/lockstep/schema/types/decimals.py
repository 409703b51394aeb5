"""Decimals with every digit, also where the engine has none.

PostgreSQL: ``numeric(p, s)``. SQLite, up to 18 digits: ``INTEGER`` counting
units of 10⁻ˢ. Beyond: TEXT whose byte order is the numeric order. Nothing is
ever rounded. (docs/decisions/0002)
"""

from __future__ import annotations

import decimal
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from lockstep.schema.types.portable import PortableType

SCALED_DIGITS_MAX = 18
"""Digits a scaled 64-bit integer can always hold."""

_EXACT = decimal.Context(prec=2000, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX)
_COMPLEMENT = str.maketrans("0123456789", "9876543210")


class Decimal(PortableType[decimal.Decimal]):
    """A decimal number with a fixed number of decimal places, exact.

    Args:
        precision: All digits, 1 to 1000.
        scale: Digits after the point, 0 to ``precision``.
    """

    impl = sa.Numeric
    family: ClassVar[str] = "number"

    def __init__(self, precision: int = 18, scale: int = 4) -> None:
        super().__init__()
        if not 1 <= precision <= 1000 or not 0 <= scale <= precision:
            raise ValueError("1 <= precision <= 1000 and 0 <= scale <= precision")
        self.precision = precision
        self.scale = scale

    @property
    def is_scaled(self) -> bool:
        """Whether SQLite stores an integer rather than a text."""
        return self.precision <= SCALED_DIGITS_MAX

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``numeric(p, s)``."""
        return sa.Numeric(self.precision, self.scale)

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return INTEGER, or TEXT beyond 18 digits."""
        return sa.INTEGER() if self.is_scaled else sa.TEXT()

    def checked(self, value: Any) -> decimal.Decimal:
        """Refuse floats, NaN, Infinity and digits that would be lost."""
        if isinstance(value, bool) or not isinstance(value, int | decimal.Decimal):
            self.refuse(value, "not a decimal.Decimal or an int")
        number = decimal.Decimal(value)
        if not number.is_finite():
            self.refuse(value, "not a finite number")
        exact = self._at_scale(number)
        if exact is None:
            self.refuse(value, f"more than {self.scale} decimal places")
        if exact.copy_abs() >= decimal.Decimal(10) ** (self.precision - self.scale):
            self.refuse(value, f"more than {self.precision} digits")
        return exact

    def _at_scale(self, number: decimal.Decimal) -> decimal.Decimal | None:
        try:
            exact = number.quantize(
                decimal.Decimal(1).scaleb(-self.scale), context=_EXACT
            )
        except decimal.InvalidOperation:
            return number
        # A negative zero is stored as zero, so that equal values look equal.
        return _EXACT.add(exact, 0) if exact == number else None

    def to_sqlite(self, value: decimal.Decimal) -> int | str:
        """Return the scaled integer, or the text that sorts as the number."""
        units = int(value.scaleb(self.scale, context=_EXACT))
        if self.is_scaled:
            return units
        digits = str(abs(units)).zfill(self.precision)
        return "-" + digits.translate(_COMPLEMENT) if units < 0 else "0" + digits

    def from_sqlite(self, stored: Any) -> decimal.Decimal:
        """Return the decimal of a scaled integer or a sorting text."""
        if self.is_scaled:
            if not isinstance(stored, int):
                self.refuse(stored, "the result is no integer of 64 bits")
            return decimal.Decimal(stored).scaleb(-self.scale, context=_EXACT)
        sign, digits = stored[0], stored[1:]
        if sign == "-":
            digits = digits.translate(_COMPLEMENT)
        units = decimal.Decimal(int(digits) * (-1 if sign == "-" else 1))
        return units.scaleb(-self.scale, context=_EXACT)

    def from_postgresql(self, stored: Any) -> decimal.Decimal:
        """Return the decimal with this type's number of places."""
        return decimal.Decimal(stored).quantize(
            decimal.Decimal(1).scaleb(-self.scale), context=_EXACT
        )

    def postgresql_literal(self, value: decimal.Decimal) -> str:
        """Return plain digits."""
        return format(value, "f")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.precision}, {self.scale})"


class Money(Decimal):
    """An amount of money: ``Decimal(18, scale)``.

    Args:
        scale: Digits after the point, 2 for cents.
    """

    def __init__(self, scale: int = 2) -> None:
        super().__init__(18, scale)

    def __repr__(self) -> str:
        return f"Money({'' if self.scale == 2 else self.scale})"
