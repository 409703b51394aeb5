"""Moments: counted, in Julian days, or written out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from lockstep.moments.units import JULIAN_DAY_OF_1970, UNIT_OF_WORD, UNIX
from lockstep.mover.codecs.base import Codec, refusal
from lockstep.mover.codecs.lines import unescape
from lockstep.mover.model.values import Value

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?", re.ASCII)
_DIGITS_AS_ZERO: Final = str.maketrans("123456789", "0" * 9)
_WHOLE: Final = "0000-00-00 00:00:00.000000+00"
"""A moment of PostgreSQL whose microseconds do not end with a zero, digits aside."""


_OUTSIDE: Final = "it is no moment of the years 1 to 9999"

WITHOUT_ZONE: Final = " timestamp"
"""Behind a unit: PostgreSQL's type has no zone, and UTC is meant."""


class Epoch(Codec):
    """Integers that count one of the units that have a word ↔ ``timestamptz``.

    Args:
        word: Of the unit; with ``WITHOUT_ZONE`` behind it ↔ ``timestamp``.
    """

    def __init__(self, word: str) -> None:
        unit = word.removesuffix(WITHOUT_ZONE)
        if unit not in UNIT_OF_WORD:
            known = ", ".join(UNIT_OF_WORD)
            raise ValueError(f"an epoch counts one of {known}, not '{unit}'")
        self._unit = UNIT_OF_WORD[unit]
        self._zone = "+00" if unit == word else ""

    def encode(self, value: Any) -> str:
        if type(value) is not int:
            raise refusal(value, "count of time units")
        try:
            return postgresql_moment(self._unit.moment(value)) + self._zone
        except OverflowError as error:
            raise ValueError(_OUTSIDE) from error

    def decode(self, text: str) -> Value:
        moment = datetime.fromisoformat(text if self._zone else f"{text}+00")
        return self._unit.number(moment)


class Julian(Codec):
    """Real Julian days ↔ ``timestamptz``, where a day comes back bit for bit."""

    def encode(self, value: Any) -> str:
        if type(value) is not float:
            raise refusal(value, "Julian day")
        try:
            micros = round((value - JULIAN_DAY_OF_1970) * 86_400_000_000)
            text = postgresql_moment(UNIX + timedelta(microseconds=micros)) + "+00"
        except (OverflowError, ValueError) as error:
            raise ValueError(_OUTSIDE) from error
        if self.decode(text) != value:
            raise ValueError("the Julian day is no whole number of microseconds")
        return text

    def decode(self, text: str) -> Value:
        moment = datetime.fromisoformat(text)
        micros = (moment - UNIX) // timedelta(microseconds=1)
        return micros / 86_400_000_000 + JULIAN_DAY_OF_1970


class Utc(Codec):
    """``2026-11-20T22:14:00.000000Z`` ↔ ``timestamptz``: our models' moments."""

    def encode(self, value: Any) -> str:
        found = _MOMENT.fullmatch(value[:-1]) if type(value) is str else None
        if found is None or value[10] != "T" or not value.endswith("Z"):
            raise ValueError("the text is no UTC moment of fixed width")
        text = _without_zeros(found) + "+00"
        if self.decode(text) != value:
            raise ValueError("the moment does not come back as it was")
        return text

    def decode(self, text: str) -> Value:
        found = _MOMENT.fullmatch(text.removesuffix("+00"))
        if found is None:
            return text
        day, time, fraction = found.groups(default="")
        return f"{day}T{time}.{fraction.ljust(6, '0')}Z"

    def values(self, fields: Sequence[str]) -> list[Value]:
        shapes = shapes_of(fields)
        if len(shapes) != len(fields):
            return super().values(fields)
        return [
            f"{field[:10]}T{field[11:26]}Z"
            if shape == _WHOLE and field.endswith("+00")
            else self._value(field)
            for field, shape in zip(fields, shapes, strict=True)
        ]

    def _value(self, field: str) -> Value:
        text = unescape(field)
        return None if text is None else self.decode(text)


class Zoned(Codec):
    """``timestamptz`` as SQLite's date functions read it: ``…+00:00``."""

    def encode(self, value: Any) -> str:
        if type(value) is not str:
            raise refusal(value, "moment")
        return value.removesuffix(":00") if value.endswith("+00:00") else value

    def decode(self, text: str) -> Value:
        return f"{text}:00" if text.endswith("+00") else text


def shapes_of(fields: Sequence[str]) -> list[str]:
    """Return fields with each digit as zero; more of them where one has a newline."""
    return "\n".join(fields).translate(_DIGITS_AS_ZERO).split("\n")


def postgresql_moment(moment: datetime) -> str:
    """Return a moment as PostgreSQL writes it with ``DateStyle = ISO``."""
    text = moment.replace(tzinfo=None).isoformat(" ")
    return text.rstrip("0") if "." in text else text


def _without_zeros(found: re.Match[str]) -> str:
    day, time, fraction = found.groups(default="")
    fraction = fraction.rstrip("0")
    return f"{day} {time}.{fraction}" if fraction else f"{day} {time}"
