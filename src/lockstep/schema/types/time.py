"""Moments and days.

A moment is aware and kept in UTC with microseconds: ``timestamptz`` on
PostgreSQL, on SQLite a text of fixed width whose byte order is the order of
time. Owns also ``utc_now()``, the database's own clock written in that form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from lockstep.schema.types.columns import are_all, with_short_way
from lockstep.schema.types.portable import PortableType

_STORED_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)

_TWO = tuple(f"{number:02d}" for number in range(60))
_WIDTH = len("2026-11-20T22:14:00.000000Z")
_MARKS = ((4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "."), (26, "Z"))


class UtcDateTime(PortableType[datetime]):
    """A moment: aware, stored and returned in UTC, exact to the microsecond.

    PostgreSQL: ``timestamptz``. SQLite: ``TEXT`` like
    ``2026-11-20T22:14:00.000000Z``, which sorts as time does. Naive datetimes
    are refused: they do not say when.
    """

    impl = sa.DateTime
    family: ClassVar[str] = "moment"

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``timestamptz``."""
        return sa.DateTime(timezone=True)

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return TEXT."""
        return sa.TEXT()

    def checked(self, value: Any) -> datetime:
        """Refuse naive datetimes; convert any other zone to UTC."""
        if not isinstance(value, datetime):
            self.refuse(value, "not a datetime")
        if value.utcoffset() is None:
            self.refuse(value, "naive: give it a zone, datetime.now(UTC)")
        try:
            return value.astimezone(UTC)
        except OverflowError:
            self.refuse(value, "in UTC outside the years 1 to 9999")

    def writer(self, dialect_name: str) -> Callable[[Any], Any]:
        """Write a moment that is in UTC already at once."""
        ordinary = super().writer(dialect_name)
        is_postgresql = dialect_name == "postgresql"

        def write(value: Any) -> Any:
            if type(value) is not datetime or value.tzinfo is not UTC:
                return ordinary(value)
            if is_postgresql:
                return value
            # ``isoformat`` asks the zone for its offset, which takes longer.
            return (
                f"{value.year:04d}-{_TWO[value.month]}-{_TWO[value.day]}"
                f"T{_TWO[value.hour]}:{_TWO[value.minute]}:{_TWO[value.second]}"
                f".{value.microsecond:06d}Z"
            )

        return write

    def reader(self, dialect_name: str) -> Callable[[Any], datetime | None] | None:
        """Read a text of the form that ``to_sqlite`` gives at once."""
        ordinary = super().reader(dialect_name)
        if dialect_name == "postgresql" or ordinary is None:
            return ordinary
        parsed = datetime.fromisoformat

        def read(stored: Any) -> datetime | None:
            # Of what ``fromisoformat`` takes, only the one form looks like this.
            if (
                type(stored) is str
                and len(stored) == _WIDTH
                and stored[-1] == "Z"
                and stored[4:20:3] == "--T::."
            ):
                try:
                    return parsed(stored)
                except ValueError:
                    pass  # no day of the calendar: refused below
            return ordinary(stored)

        return with_short_way(read, _moments_of)

    def to_sqlite(self, value: datetime) -> str:
        """Return the text of fixed width."""
        # strftime("%Y") does not pad years below 1000; isoformat does.
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def from_sqlite(self, stored: Any) -> datetime:
        """Return the moment of a stored text; anything else is refused."""
        if not isinstance(stored, str) or not _STORED_MOMENT.fullmatch(stored):
            self.refuse(stored, "the database holds no UTC moment here")
        try:
            return datetime.fromisoformat(stored)
        except ValueError:
            self.refuse(stored, "the database holds no UTC moment here")

    def from_text(self, text: str) -> datetime:
        """Return the moment a default's ISO text means."""
        return datetime.fromisoformat(text)

    def from_postgresql(self, stored: Any) -> datetime:
        """Return the moment in UTC, whatever zone the connection speaks."""
        return stored.astimezone(UTC)


class Date(PortableType[date]):
    """A day of the calendar, years 1 to 9999.

    PostgreSQL: ``date``. SQLite: ``TEXT``, ISO 8601.
    """

    impl = sa.Date
    family: ClassVar[str] = "date"

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``date``."""
        return sa.Date()

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return TEXT."""
        return sa.TEXT()

    def checked(self, value: Any) -> date:
        """Refuse datetimes: which day they mean depends on a zone."""
        if isinstance(value, datetime) or not isinstance(value, date):
            self.refuse(value, "not a date")
        return value

    def from_text(self, text: str) -> date:
        """Return the day a default's ISO text means."""
        return date.fromisoformat(text)

    def to_sqlite(self, value: date) -> str:
        """Return the ISO text."""
        return value.isoformat()

    def from_sqlite(self, stored: Any) -> date:
        """Return the day of a stored ISO text."""
        try:
            return date.fromisoformat(stored)
        except (ValueError, TypeError):
            self.refuse(stored, "the database holds no ISO date here")


def _moments_of(texts: Sequence[Any]) -> Sequence[datetime] | None:
    """Return the moments of texts of fixed width."""
    if not are_all(str, texts) or set(map(len, texts)) != {_WIDTH}:
        return None
    count, joined = len(texts), "".join(texts)
    if any(joined[place::_WIDTH] != mark * count for place, mark in _MARKS):
        return None
    return list(map(datetime.fromisoformat, texts))
