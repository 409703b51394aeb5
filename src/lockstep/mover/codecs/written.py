"""Moments written as texts, in a form that a program keeps to, or in any.

Owns the way from such a text to PostgreSQL's own and back. What a form says of
separators, digits and the zone is in ``moments/forms.py``.

    2024-02-28T10:20:30.500Z ──encode──► 2024-02-28 10:20:30.5+00 ──decode──► the same

Invariant: ``decode`` gives back what ``encode`` took; only ``AnyMoment`` respells it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from lockstep.moments.forms import OWN, SHORTEST, forms_of
from lockstep.mover.codecs.base import Codec, refusal
from lockstep.mover.codecs.lines import unescape
from lockstep.mover.codecs.moments import Zoned, postgresql_moment, shapes_of
from lockstep.mover.model.values import Value

UTC_IS_MEANT: Final = " UTC"
"""Behind a form: the texts name no zone, PostgreSQL's type has one."""

ANY: Final = "any"
"""Instead of a form."""

_FORM: Final = re.compile(
    r"(?P<head>(?:YYYY-MM-DD(?P<between>[ T]))?HH:MM:SS)"
    r"(?P<fraction>\[\.f\]|\.f{1,6}|\[\.f{1,6}\])(?P<zone>Z| ?\+00:00|\+00| UTC)?"
)
_OWN: Final = re.compile(
    r"(\d{4}-\d\d-\d\d )?(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(\+00)?", re.ASCII
)
_FAR: Final = re.compile(r"-?infinity|\d{5,}-.*|.* BC", re.ASCII)
"""Moments of PostgreSQL that no form has."""

_DIGITS_MAX: Final = 6


def moment_codec(word: str) -> Codec:
    """Return the codec of a form, or of any.

    Raises:
        ValueError: There is no such form.
    """
    form, meant, rest = word.partition(UTC_IS_MEANT)
    if form == ANY and not rest:
        return AnyMoment(has_zone=bool(meant))
    return Written(word)


class Written(Codec):
    """Texts of one form ↔ ``timestamp``, ``timestamptz`` or ``time``.

    Args:
        form: Such as ``YYYY-MM-DD HH:MM:SS[.ffffff]``.

    Attributes:
        between: What parts day and time in the texts; empty where there is no day.
        zone: What stands behind the texts.
        own_zone: What stands behind PostgreSQL's.
        digits: The fewest that a fraction has; none is said of the shortest form.
        is_fixed: Whether every text has a fraction.
    """

    plain = frozenset({str})
    has_one_spelling = True

    def __init__(self, form: str) -> None:
        found = _FORM.fullmatch(form)
        if found is None or (found["zone"] and not found["between"]):
            raise ValueError(f"'{form}' is no form of moments")
        fraction, zone = found["fraction"], found["zone"] or ""
        self.between = found["between"] or ""
        self.own_zone = "+00" if zone else ""
        self.zone = "" if zone == UTC_IS_MEANT else zone
        self.is_fixed = not fraction.startswith("[")
        self.digits = 0 if fraction == SHORTEST else fraction.count("f")
        self.form = form.removesuffix(UTC_IS_MEANT)
        shortest = f"{found['head']}{SHORTEST}{self.zone}"
        self._shortest = OWN.get(shortest, shortest)
        day = "0000-00-00 " if self.between else ""
        self._padding = {
            f"{day}00:00:00{'.' if digits else ''}{'0' * digits}{self.own_zone}": (
                self._padding_of(digits)
            )
            for digits in range(_DIGITS_MAX + 1)
        }

    def _padding_of(self, digits: int) -> str:
        """Return what is written behind PostgreSQL's fraction."""
        if digits:
            return "0" * (self.digits - digits)
        return f".{'0' * self.digits}" if self.is_fixed else ""

    def encode(self, value: Any) -> str:
        if type(value) is not str:
            raise refusal(value, "moment")
        if not self._has_form(value):
            if _FAR.fullmatch(value):
                return value
            raise ValueError(f"the text is no moment of the form {self.form}")
        text = value.removesuffix(self.zone).replace("T", " ")
        if "." in text:
            text = text.rstrip("0").removesuffix(".")
        return text + self.own_zone

    def _has_form(self, text: str) -> bool:
        if "\n" in text:
            return False
        forms = forms_of(f"{text}\n")
        if OWN.get(self.form, self.form) in forms:
            return True
        # A row of PostgreSQL may have more digits than the program wrote.
        digits = len(text.removesuffix(self.zone).partition(".")[2])
        return self._shortest in forms and digits > self.digits

    def decode(self, text: str) -> Value:
        found = _OWN.fullmatch(text)
        if found is None:
            return text
        day, time, fraction, _ = found.groups(default="")
        end = f".{fraction}" if fraction else ""
        end += self._padding_of(len(fraction))
        return f"{day[:10]}{self.between}{time}{end}{self.zone}"

    def values(self, fields: Sequence[str]) -> list[Value]:
        shapes = shapes_of(fields)
        if len(shapes) != len(fields):
            return super().values(fields)
        padding, between, zone = self._padding, self.between, self.zone
        start, behind = (10, 11) if between else (0, 0)
        cut = len(self.own_zone)
        return [
            f"{field[:start]}{between}{field[behind : len(field) - cut]}"
            f"{padding[shape]}{zone}"
            if shape in padding
            else self._value(field)
            for field, shape in zip(fields, shapes, strict=True)
        ]

    def _value(self, field: str) -> Value:
        text = unescape(field)
        return None if text is None else self.decode(text)


class AnyMoment(Zoned):
    """Texts of moments in whichever forms ↔ ``timestamp``, ``timestamptz``.

    For a column that was one before: the moment is kept, not how it was written.

    Args:
        has_zone: Whether PostgreSQL's type has one; a text without is in UTC.
    """

    def __init__(self, *, has_zone: bool) -> None:
        self._has_zone = has_zone

    def encode(self, value: Any) -> str:
        if type(value) is not str:
            raise refusal(value, "moment")
        if _FAR.fullmatch(value):
            return super().encode(value)
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None and not self._has_zone:
            raise ValueError("the moment has a zone, the column has none")
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
        text = postgresql_moment(moment)
        return f"{text}+00" if self._has_zone else text
