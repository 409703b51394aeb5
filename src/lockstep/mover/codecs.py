"""How a cell of SQLite and a cell of PostgreSQL mean the same value.

Owns the named conversions that a plan gives to columns. Each one encodes what
SQLite stores into the text PostgreSQL writes for it, and decodes it back; a
verification uses the same pair, so it cannot forgive what a copy did.

    SQLite value ──encode──► text of PostgreSQL ──decode──► the same SQLite value
                                                   (a cell that comes back with
                                                   another class is *odd*)

Invariants: ``encode`` refuses (``ValueError``) what it cannot give back; a block is
converted at once only when every cell of it has the class that makes this exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final, cast

from lockstep.mover.lines import NULL, escape, escape_all
from lockstep.mover.values import (
    EXACT_IN_DOUBLE,
    INTEGER_MAX,
    INTEGER_MIN,
    RawText,
    Value,
    decimal_text,
    is_same,
    looks_like_number,
    real_text,
    real_texts,
    storage_of,
    text_of,
)

_NOTHING = type(None)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOW_62 = 2**62 - 1
_DIGITS_THAT_FIT: Final = 18
_UNITS: Final = {"s": 1, "ms": 1_000, "us": 1_000_000}
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?", re.ASCII)


class CellRefused(ValueError):
    """One cell of a block does not fit its codec; ``row`` is its place."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row
        self.reason = reason


class Codec:
    """One conversion. Subclasses say which classes they convert in blocks.

    Attributes:
        plain: Python types that ``encode_plain`` converts exactly.
        may_be_odd: Whether ``decode`` may give another storage class back.
        has_one_spelling: Whether a cell can be written in one way only.
    """

    plain: ClassVar[frozenset[type]] = frozenset()
    may_be_odd: ClassVar[bool] = False
    has_one_spelling: ClassVar[bool] = False

    def encode(self, value: Any) -> str:
        """Return PostgreSQL's text of a value that is not NULL."""
        raise NotImplementedError

    def decode(self, text: str) -> Value:
        """Return the value SQLite stores for PostgreSQL's text."""
        raise NotImplementedError

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        """Return the escaped cells of a block whose cells are all ``plain``."""
        return escape_all(list(map(self.encode, column)))

    def respelled(self, text: str) -> str:
        """Return PostgreSQL's text as ``encode`` writes the value it stands for.

        ``0.10`` is ``0.1`` as a real; of twenty digits none may be forgiven.

        Raises:
            ValueError: SQLite would hold something else, or nothing.
        """
        again = self.encode(self.decode(text))
        if again != text and not _is_same_number(again, text):
            raise ValueError(f"only {again} of it would be kept")
        return again

    def fields(self, column: Sequence[Value]) -> Sequence[str]:
        """Return a block's cells as they stand in lines.

        Raises:
            CellRefused: A cell cannot be converted so that it comes back.
        """
        kinds = set(map(type, column))
        if kinds <= self.plain:
            return self.encode_plain(column)
        if kinds == {_NOTHING}:
            return [NULL] * len(column)
        if kinds - {_NOTHING} <= self.plain:
            encoded = iter(self.encode_plain([v for v in column if v is not None]))
            return [NULL if value is None else next(encoded) for value in column]
        fields: list[str] = []
        for row, value in enumerate(column):
            try:
                text = NULL if value is None else escape(self.encode(value))
            except (ValueError, TypeError, OverflowError) as error:
                raise CellRefused(row, str(error)) from error
            fields.append(text)
        return fields

    def odd_rows(self, column: Sequence[Value]) -> list[int]:
        """Return the rows whose storage class the cell alone would not give back."""
        if not self.may_be_odd:
            return []
        return [
            row
            for row, value in enumerate(column)
            if value is not None and not is_same(self.decode(self.encode(value)), value)
        ]

    def values(self, texts: Sequence[str | None]) -> list[Value]:
        """Return the SQLite values of a column of a block."""
        if None not in texts:
            return self.decode_all(cast("Sequence[str]", texts))
        decoded = iter(self.decode_all([text for text in texts if text is not None]))
        return [None if text is None else next(decoded) for text in texts]

    def decode_all(self, texts: Sequence[str]) -> list[Value]:
        """Return what ``decode`` gives for each; codecs may have a quicker way."""
        return list(map(self.decode, texts))


def _is_same_number(one: str, two: str) -> bool:
    is_number = _DECIMAL.fullmatch(one) and _DECIMAL.fullmatch(two)
    return bool(is_number) and Decimal(one) == Decimal(two)


def _refuse(value: Any, what: str) -> ValueError:
    return ValueError(f"a {storage_of(value)} is no {what}")


class Integer(Codec):
    """``integer`` ↔ ``bigint``."""

    has_one_spelling = True

    plain = frozenset({int})

    def encode(self, value: Any) -> str:
        if type(value) is not int:
            raise _refuse(value, "integer")
        return str(value)

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        return list(map(str, column))

    def decode(self, text: str) -> Value:
        number = int(text)
        # PostgreSQL's wider types may hold what SQLite's integer cannot.
        return number if INTEGER_MIN <= number <= INTEGER_MAX else text

    def decode_all(self, texts: Sequence[str]) -> list[Value]:
        numbers: list[Value] = list(map(int, texts))
        if max(map(len, texts), default=0) < _DIGITS_THAT_FIT:
            return numbers
        return list(map(self.decode, texts))


class Boolean(Codec):
    """0 and 1 ↔ ``boolean``."""

    has_one_spelling = True

    def encode(self, value: Any) -> str:
        if type(value) is int and value in (0, 1):
            return "t" if value else "f"
        raise ValueError("a boolean is 0 or 1")

    def decode(self, text: str) -> Value:
        return int(text == "t")

    def fields(self, column: Sequence[Value]) -> Sequence[str]:
        if set(column) <= {0, 1, None} and set(map(type, column)) <= {int, _NOTHING}:
            words = {0: "f", 1: "t", None: NULL}
            return [words[value] for value in column]  # pyright: ignore[reportArgumentType]
        return super().fields(column)


class Real(Codec):
    """``real`` ↔ ``double precision`` (never 4 bytes).

    NaN, which SQLite cannot store as a number, is the text ``NaN`` there.
    """

    plain = frozenset({float})

    def encode(self, value: Any) -> str:
        if value == "NaN":
            return "NaN"
        if type(value) is not float:
            raise _refuse(value, "real")
        return real_text(value)

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        return real_texts(column)

    def decode(self, text: str) -> Value:
        return "NaN" if text == "NaN" else float(text)

    def decode_all(self, texts: Sequence[str]) -> list[Value]:
        if "NaN" in texts:
            return list(map(self.decode, texts))
        return list(map(float, texts))


class Number(Codec):
    """Integers and reals of a column with numeric affinity ↔ ``double precision``.

    Such a column stores every integral real as an integer, so the class comes
    back from the value.
    """

    plain = frozenset({float})
    may_be_odd = True

    def encode(self, value: Any) -> str:
        if type(value) is float:
            return real_text(value)
        if type(value) is not int:
            raise _refuse(value, "number")
        if abs(value) > EXACT_IN_DOUBLE:
            raise ValueError("the integer has more digits than a double holds")
        return str(value)

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        return real_texts(column)

    def decode(self, text: str) -> Value:
        number = float(text)
        if number.is_integer() and abs(number) <= EXACT_IN_DOUBLE:
            return int(number)
        return number


class Numeric(Codec):
    """Integers and reals ↔ ``numeric``; ``3`` is an integer, ``3.0`` a real."""

    plain = frozenset({float})

    def encode(self, value: Any) -> str:
        if type(value) is float:
            finite = value - value == 0
            return decimal_text(value) if finite else real_text(value)
        if type(value) is not int:
            raise _refuse(value, "number")
        return str(value)

    def decode(self, text: str) -> Value:
        if text.isdigit() or text[1:].isdigit():
            number = int(text)
            return number if INTEGER_MIN <= number <= INTEGER_MAX else float(text)
        return float(text)


class Text(Codec):
    """``text`` ↔ ``text``, or any type that writes the same text back."""

    has_one_spelling = True

    plain = frozenset({str})

    def encode(self, value: Any) -> str:
        if type(value) is RawText:
            raise ValueError("the text is not valid UTF-8")
        if type(value) is not str:
            raise _refuse(value, "text")
        if "\0" in value:
            raise ValueError("PostgreSQL's text cannot hold NUL")
        return value

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        if "\0" in "".join(column):
            row = next(i for i, text in enumerate(column) if "\0" in text)
            raise CellRefused(row, "PostgreSQL's text cannot hold NUL")
        return escape_all(column)

    def decode(self, text: str) -> Value:
        return text

    def decode_all(self, texts: Sequence[str]) -> list[Value]:
        return list(texts)


class MixedText(Text):
    """Text, integers and reals ↔ ``text``; a text that reads as a number is odd."""

    may_be_odd = True
    decode_all = Codec.decode_all

    def encode(self, value: Any) -> str:
        if type(value) is int:
            return str(value)
        return repr(value) if type(value) is float else super().encode(value)

    def decode(self, text: str) -> Value:
        if not looks_like_number(text) and text not in ("inf", "-inf"):
            return text
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is not None and str(number) == text:
            return number if INTEGER_MIN <= number <= INTEGER_MAX else text
        real = float(text)
        return real if repr(real) == text else text


class Bytes(Codec):
    """``blob`` ↔ ``bytea``."""

    has_one_spelling = True

    plain = frozenset({bytes})

    def encode(self, value: Any) -> str:
        if type(value) is not bytes:
            raise _refuse(value, "blob")
        return "\\x" + value.hex()

    def encode_plain(self, column: Sequence[Any]) -> Sequence[str]:
        return ["\\\\x" + value.hex() for value in column]

    def decode(self, text: str) -> Value:
        return bytes.fromhex(text[2:])

    def decode_all(self, texts: Sequence[str]) -> list[Value]:
        return [bytes.fromhex(text[2:]) for text in texts]


class TextBytes(Codec):
    """Text with NUL or invalid UTF-8 ↔ ``bytea`` of the same bytes."""

    has_one_spelling = True

    def encode(self, value: Any) -> str:
        if type(value) is str:
            return "\\x" + value.encode("utf-8", "surrogatepass").hex()
        if type(value) is RawText:
            return "\\x" + value.hex()
        raise _refuse(value, "text")

    def decode(self, text: str) -> Value:
        return text_of(bytes.fromhex(text[2:]))


class MixedBytes(TextBytes):
    """Anything ↔ ``bytea``; numbers are their digits, the rarer classes are odd."""

    may_be_odd = True

    def __init__(self, usual: str) -> None:
        self._usual = usual

    def encode(self, value: Any) -> str:
        if type(value) is bytes:
            return "\\x" + value.hex()
        if type(value) is int or type(value) is float:
            return "\\x" + repr(value).encode().hex()
        return super().encode(value)

    def decode(self, text: str) -> Value:
        raw = bytes.fromhex(text[2:])
        return raw if self._usual == "blob" else class_from_bytes(raw, self._usual)


def class_from_bytes(raw: bytes, storage: str) -> Value:
    """Return the value of a storage class whose bytes ``MixedBytes`` wrote."""
    try:
        if storage == "integer":
            return int(raw)
        if storage == "real":
            return float(raw)
    except ValueError:
        return raw
    return text_of(raw) if storage == "text" else raw


class Epoch(Codec):
    """Integers that count seconds, ms or µs since 1970 ↔ ``timestamptz``."""

    def __init__(self, unit: str) -> None:
        if unit not in _UNITS:
            raise ValueError(f"an epoch counts s, ms or us, not '{unit}'")
        self._per_second = _UNITS[unit]

    def encode(self, value: Any) -> str:
        if type(value) is not int:
            raise _refuse(value, "count of time units")
        seconds, rest = divmod(value, self._per_second)
        micros = rest * (1_000_000 // self._per_second)
        moment = _EPOCH + timedelta(seconds=seconds, microseconds=micros)
        return postgresql_moment(moment) + "+00"

    def decode(self, text: str) -> Value:
        moment = datetime.fromisoformat(text)
        micros = (moment - _EPOCH) // timedelta(microseconds=1)
        return micros // (1_000_000 // self._per_second)


class Julian(Codec):
    """Real Julian days ↔ ``timestamptz``, where a day comes back bit for bit."""

    _UNIX_DAY: ClassVar[float] = 2440587.5

    def encode(self, value: Any) -> str:
        if type(value) is not float:
            raise _refuse(value, "Julian day")
        micros = round((value - self._UNIX_DAY) * 86_400_000_000)
        text = postgresql_moment(_EPOCH + timedelta(microseconds=micros)) + "+00"
        if self.decode(text) != value:
            raise ValueError("the Julian day is no whole number of microseconds")
        return text

    def decode(self, text: str) -> Value:
        moment = datetime.fromisoformat(text)
        micros = (moment - _EPOCH) // timedelta(microseconds=1)
        return micros / 86_400_000_000 + self._UNIX_DAY


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


class Zoned(Codec):
    """``timestamptz`` as SQLite's date functions read it: ``…+00:00``."""

    def encode(self, value: Any) -> str:
        if type(value) is not str:
            raise _refuse(value, "moment")
        return value.removesuffix(":00") if value.endswith("+00:00") else value

    def decode(self, text: str) -> Value:
        return f"{text}:00" if text.endswith("+00") else text


class Scaled(Codec):
    """Integers that count units of 10⁻ˢ ↔ ``numeric(p, s)``."""

    has_one_spelling = True

    def __init__(self, scale: str) -> None:
        self._scale = int(scale)

    def encode(self, value: Any) -> str:
        if type(value) is not int:
            raise _refuse(value, "scaled number")
        if self._scale == 0:
            return str(value)
        sign, digits = ("-", str(-value)) if value < 0 else ("", str(value))
        digits = digits.rjust(self._scale + 1, "0")
        return f"{sign}{digits[: -self._scale]}.{digits[-self._scale :]}"

    def decode(self, text: str) -> Value:
        return int(text.replace(".", ""))


class UuidBytes(Codec):
    """Sixteen bytes ↔ ``uuid``."""

    def encode(self, value: Any) -> str:
        if type(value) is not bytes or len(value) != 16:
            raise ValueError("a UUID has 16 bytes")
        digits = value.hex()
        parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        return "-".join(parts)

    def decode(self, text: str) -> Value:
        return bytes.fromhex(text.replace("-", ""))


class Uuid7(Codec):
    """An integer key ↔ the ``uuid`` made of it (``plan/rekey.py``).

    ``words`` are the instant in milliseconds and the table's tag.
    """

    has_one_spelling = True

    def __init__(self, words: str) -> None:
        now_ms, tag = map(int, words.split(","))
        self._head = now_ms << 80 | 0x7 << 76 | tag << 66 | 0b10 << 62
        self._shown = self._head >> 66

    def encode(self, value: Any) -> str:
        if type(value) is not int:
            raise _refuse(value, "integer key")
        number = value - INTEGER_MIN
        digits = f"{self._head | number >> 62 << 64 | number & _LOW_62:032x}"
        parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        return "-".join(parts)

    def decode(self, text: str) -> Value:
        number = int(text.replace("-", ""), 16)
        if number >> 66 != self._shown:
            return text  # a key that was given later
        return ((number >> 64 & 0b11) << 62 | number & _LOW_62) + INTEGER_MIN


class LookedUp(Codec):
    """An integer key ↔ its digits, or the UUID that an orphan still has.

    ``words`` are the instant and the tags of the tables it may refer to.
    """

    def __init__(self, words: str) -> None:
        now_ms, *tags = words.split(",")
        self._of = [Uuid7(f"{now_ms},{tag}") for tag in tags]

    def encode(self, value: Any) -> str:
        if type(value) is not int:
            raise _refuse(value, "integer key")
        return str(value)

    def decode(self, text: str) -> Value:
        if "-" not in text[1:]:
            return int(text)
        decoded = (codec.decode(text) for codec in self._of)
        return next((found for found in decoded if found != text), text)

    def respelled(self, text: str) -> str:
        return self.encode(self.decode(text))


class Uuid7By(Codec):
    """An integer key of the table that another column of the row names.

    ``words`` are the instant, the directing column, and ``value=tag`` pairs. A row
    that names no known table keeps no key: it is refused.
    """

    has_one_spelling = True

    def __init__(self, words: str) -> None:
        now_ms, self.directing, *pairs = words.split(",")
        self._of: dict[Any, Uuid7] = {}
        for pair in pairs:
            value, _, tag = pair.rpartition("=")
            self._of[value] = Uuid7(f"{now_ms},{tag}")

    def encode(self, value: Any) -> str:
        word, number = value
        codec = self._of.get(word)
        if codec is None:
            raise ValueError(f"{word!r} directs to no table of the plan")
        return codec.encode(number)

    def decode(self, text: str) -> Value:
        for codec in self._of.values():
            found = codec.decode(text)
            if found != text:
                return found
        return text

    def respelled(self, text: str) -> str:
        return text  # a UUID has one spelling, and its number no word beside it


def postgresql_moment(moment: datetime) -> str:
    """Return a moment as PostgreSQL writes it with ``DateStyle = ISO``."""
    text = moment.replace(tzinfo=None).isoformat(" ")
    return text.rstrip("0") if "." in text else text


def _without_zeros(found: re.Match[str]) -> str:
    day, time, fraction = found.groups(default="")
    fraction = fraction.rstrip("0")
    return f"{day} {time}.{fraction}" if fraction else f"{day} {time}"


_PLAIN: Final[dict[str, Callable[[], Codec]]] = {
    "integer": Integer,
    "boolean": Boolean,
    "real": Real,
    "number": Number,
    "numeric": Numeric,
    "text": Text,
    "mixed_text": MixedText,
    "bytes": Bytes,
    "text_bytes": TextBytes,
    "julian": Julian,
    "utc": Utc,
    "zoned": Zoned,
    "uuid_bytes": UuidBytes,
}
_WITH_WORD: Final[dict[str, Callable[[str], Codec]]] = {
    "mixed_bytes": MixedBytes,
    "epoch": Epoch,
    "scaled": Scaled,
    "uuid7": Uuid7,
    "uuid7_by": Uuid7By,
    "looked_up": LookedUp,
}
_OF_MODELS: Final = frozenset({"json", "array", "wide_decimal"})
CODEC_NAMES: Final = (*_PLAIN, "mixed_bytes:<class>", "epoch:<unit>", "scaled:<digits>")


def codec_of(name: str) -> Codec:
    """Return the codec of a plan's word, such as ``integer`` or ``epoch:ms``.

    Raises:
        ValueError: There is none of this name.
    """
    word, _, rest = name.partition(":")
    if word == "stored":
        from lockstep.mover.stored_codec import Stored

        return Stored(rest)
    if word in _WITH_WORD:
        return _WITH_WORD[word](rest)
    if word in _OF_MODELS:
        from lockstep.mover.model_codecs import model_codec

        made = model_codec(word, rest, codec_of)
        assert made is not None, "the words of one module"
        return made
    if name not in _PLAIN:
        raise ValueError(f"'{name}' is none of {', '.join(CODEC_NAMES)}")
    return _PLAIN[name]()
