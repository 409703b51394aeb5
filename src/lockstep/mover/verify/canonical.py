"""One canonical text for each value of two databases that no plan connects.

Owns what "the same value" means there: the type of the column on PostgreSQL decides
how a cell of SQLite is read. A number is the same number, a moment the same moment,
a document the same document, bytes the same bytes; nothing is rounded, and what is
no value of the type is itself and nothing else.

    SQLite value ──encode──► canonical text ◄──decode── PostgreSQL's text

Invariant: both directions are total, and two texts are equal only for one value. A
blob or damaged text where PostgreSQL holds a text begins with NUL, which none of
its texts does.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from lockstep.moments.units import (
    JULIAN_DAY_OF_1970,
    SECONDS,
    UNIX,
    Unit,
    unit_of_range,
)
from lockstep.mover.codecs import Codec
from lockstep.mover.model.values import RawText

_WHOLE_NUMBERS: Final = frozenset({"smallint", "integer", "bigint", "oid"})
_DOUBLES: Final = frozenset({"double precision", "real"})
NUMBERS: Final = _WHOLE_NUMBERS | _DOUBLES | {"numeric"}
DAYS: Final = frozenset(
    {"timestamp without time zone", "timestamp with time zone", "date"}
)
"""Types whose values integers may count."""

_DOCUMENTS: Final = frozenset({"json", "jsonb"})
_RESPELLED: Final = (
    _DOUBLES
    | DAYS
    | _DOCUMENTS
    | {"numeric", "boolean", "time without time zone", "character"}
)
_NUMBER: Final = re.compile(
    r"\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)\s*",
    re.ASCII | re.IGNORECASE,
)
_BEYOND_MICROSECONDS: Final = re.compile(r"[.,]\d{6}\d*?[1-9]", re.ASCII)
_WRITTEN_MOMENT: Final = re.compile(
    r"\s*(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:(?:\s+|T)(\d{1,2}):(\d\d(?::\d\d(?:[.,]\d+)?)?))?"
    r"\s*(?:(UTC|GMT|Z)|([+-]\d\d(?::?\d\d(?::?\d\d)?)?))?\s*",
    re.ASCII | re.IGNORECASE,
)
"""As PostgreSQL, too, takes a moment: digits left out, a space before the zone."""

_UUID: Final = re.compile(r"\{?[0-9a-f-]+\}?", re.ASCII | re.IGNORECASE)
_BOOLEANS: Final = {"1.0": "1", "0.0": "0"} | {
    word: number
    for number, words in (("1", "1 t true y yes on"), ("0", "0 f false n no off"))
    for word in words.split()
}
_JULIAN_DAYS: Final = 5_373_485
"""SQLite's Julian days end with the year 9999; a greater real counts seconds."""

_PLAIN_DIGITS_MAX: Final = 400
"""Of a number; one with more places is written with an exponent: a text of ten
characters could ask for a billion of them."""

_NOT_TEXT: Final = "\0"


class Foreign(Codec):
    """One column of a database that was moved by something else.

    Args:
        type: Its type on PostgreSQL.
        unit: What integers count where the type is a moment.

    Attributes:
        is_plain: Whether PostgreSQL's own text is the canonical one.
    """

    def __init__(self, type: str, unit: Unit = SECONDS) -> None:
        self._type = type
        self._unit = unit
        self.is_plain = type not in _RESPELLED

    def encode(self, value: Any) -> str:
        """Return the canonical text of what SQLite stores."""
        if self._type == "bytea":
            return "\\x" + _bytes_of(value).hex()
        if self._type == "uuid":
            return _uuid(value)
        if isinstance(value, bytes):
            return f"{_NOT_TEXT}x{value.hex()}"
        if self._type in NUMBERS:
            return _number(value)
        if self._type in DAYS:
            return self._day(value)
        text = _text(value)
        if self._type == "boolean":
            return _BOOLEANS.get(text.strip().lower(), text)
        if self._type == "time without time zone":
            return _time(text)
        return _document(text) if self._type in _DOCUMENTS else text

    def decode(self, text: str) -> str:
        """Return the canonical text of PostgreSQL's."""
        if self._type in _DOUBLES:
            return _number(float(text))
        if self._type == "character":
            return text.rstrip(" ")  # which pad it, and mean nothing there
        return text if self.is_plain else self.encode(text)

    def _day(self, value: Any) -> str:
        try:
            moment = _moment(value, self._unit)
        except (ValueError, OverflowError):
            return _text(value)
        return moment.removesuffix(" 00:00:00.000000")


def counted_unit(low: int, high: int) -> Unit:
    """Return what a column's integers count, by the least and the greatest."""
    unit = unit_of_range(low, high)
    return unit if unit is not None and unit.word else SECONDS


def _moment(value: Any, unit: Unit) -> str:
    """Return a moment, in UTC where it says a zone.

    Raises:
        ValueError, OverflowError: It is none of the years 1 to 9999, or finer than
            a microsecond.
    """
    if isinstance(value, int):
        return _plain(unit.moment(value))
    if isinstance(value, float):
        if 0 <= value < _JULIAN_DAYS:
            days = value - JULIAN_DAY_OF_1970
            return _plain(UNIX + timedelta(microseconds=round(days * 86_400e6)))
        return _plain(UNIX + timedelta(seconds=value))
    if _BEYOND_MICROSECONDS.search(value):
        raise ValueError("PostgreSQL has no such moment")
    try:
        return _plain(datetime.fromisoformat(value))
    except ValueError:
        return _plain(datetime.fromisoformat(_as_iso(value)))


def _as_iso(text: str) -> str:
    """Return a moment as ISO 8601 writes it; what is none, as it is."""
    found = _WRITTEN_MOMENT.fullmatch(text)
    if found is None:
        return text
    year, month, day, hour, rest, utc, offset = found.groups()
    date = f"{year}-{month:0>2}-{day:0>2}"
    zone = "Z" if utc else offset or ""
    if hour is None:
        return text if zone else date
    return f"{date}T{hour:0>2}:{rest}{zone}"


def _plain(moment: datetime) -> str:
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(" ", "microseconds")


def _time(text: str) -> str:
    if _BEYOND_MICROSECONDS.search(text):
        return text
    try:
        found = time.fromisoformat(text)
    except ValueError:
        return text
    return text if found.tzinfo is not None else found.isoformat("microseconds")


def _number(value: Any) -> str:
    if type(value) is int:
        return str(value)
    # A double is the shortest decimal that reads as the same double.
    text = _text(value)
    if not _NUMBER.fullmatch(text):
        return text
    try:
        return _exact(Decimal(text.strip()))
    except InvalidOperation:
        return text


def _exact(number: Decimal) -> str:
    """Return one text for each number; no digit of it is rounded away."""
    if not number.is_finite():
        return str(number)
    if not number:
        return "0"
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "the number is finite"
    if max(abs(number.adjusted()), abs(exponent)) > _PLAIN_DIGITS_MAX:
        kept = "".join(map(str, digits))
        significant = kept.rstrip("0")
        exponent += len(kept) - len(significant)
        return f"{'-' * sign}{significant}e{exponent}"
    plain = format(number, "f")
    return plain.rstrip("0").removesuffix(".") if "." in plain else plain


def _bytes_of(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes) else _text(value).encode()


def _uuid(value: Any) -> str:
    if isinstance(value, bytes):
        if isinstance(value, RawText) or len(value) != 16:
            return f"{_NOT_TEXT}x{value.hex()}"
        value = value.hex()
    text = _text(value)
    digits = text.strip("{}").replace("-", "").lower()
    if len(digits) != 32 or not _UUID.fullmatch(text):
        return text
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts)


def _document(text: str) -> str:
    try:
        return _written(json.loads(text, parse_float=Decimal, parse_int=Decimal))
    except (ValueError, InvalidOperation, RecursionError):
        return text


def _written(document: Any) -> str:
    """Return a document as one text, whatever the order of its names."""
    if isinstance(document, dict):
        members: list[tuple[str, Any]] = sorted(document.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return f"{{{', '.join(f'{json.dumps(k)}: {_written(v)}' for k, v in members)}}}"
    if isinstance(document, list):
        items: list[Any] = document  # pyright: ignore[reportUnknownVariableType]
        return f"[{', '.join(map(_written, items))}]"
    return _exact(document) if isinstance(document, Decimal) else json.dumps(document)


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
