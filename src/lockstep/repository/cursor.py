"""A position in an order, as text that may travel through a browser.

Owns the format: base64url of ``check || JSON``. The check is a hash over
the payload and the signature of the order, so a cursor that was damaged, or made
for another model, order or engine, is refused. It is no secret: a caller can make
cursors, so every decoded value is of a plain type made here, nothing is ever
evaluated, and length and nesting are bounded.

    ["1", "f", ["s:Bolt", "d:12.50", "u:0190…", "n:"]]     version, mode, values
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import decimal
import hashlib
import json
import math
import uuid
from typing import TYPE_CHECKING, Any, Final, cast

from lockstep.errors import InvalidCursor, InvalidValue
from lockstep.repository.keys import INTEGER_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from lockstep.repository.ordering import Position

VERSION: Final = "1"
#: Longer than any cursor that fits into a URL.
CURSOR_LENGTH_MAX: Final = 8_192
CHECK_BYTES: Final = 8
#: Longest text of a number in a cursor; PostgreSQL's NUMERIC has 147,455 digits.
_DIGITS_MAX: Final = 1_024


def encode(position: Position, *, inclusive: bool, signature: bytes) -> str:
    """Return the cursor of a position.

    Raises:
        InvalidValue: A sort key is too long for a cursor, or of a type that has no
            exact text.
    """
    mode = "i" if inclusive else "x"
    payload = json.dumps(
        [VERSION, mode, [_pack(value) for value in position]],
        ensure_ascii=True,
        separators=(",", ":"),
    ).encode()
    text = base64.urlsafe_b64encode(_check(payload, signature) + payload)
    if len(text) > CURSOR_LENGTH_MAX:
        raise InvalidValue(
            "a row's sort key is too long for a page cursor",
            hint="sort by a shorter column, or by an expression that shortens it",
            detail={"length_max": CURSOR_LENGTH_MAX},
        )
    return text.rstrip(b"=").decode()


def decode(cursor: object, *, count: int, signature: bytes) -> tuple[Position, bool]:
    """Return the position and whether it belongs to the page itself.

    Args:
        cursor: What the caller was given by an earlier page, unchanged.
        count: How many values the order has.
        signature: The order's signature.

    Raises:
        InvalidCursor: It is damaged, forged, too long, or of another query.
    """
    payload = _opened(cursor, signature)
    try:
        version, mode, values = json.loads(payload)
    except (ValueError, TypeError, RecursionError) as exc:
        raise InvalidCursor("this page cursor is damaged") from exc
    if version != VERSION or mode not in ("i", "x"):
        raise InvalidCursor("this page cursor is of another version")
    packed = cast("list[object]", values)
    if not isinstance(values, list) or len(packed) != count:
        raise InvalidCursor("this page cursor belongs to another query")
    return tuple(_unpack(item) for item in packed), mode == "i"


def _opened(cursor: object, signature: bytes) -> bytes:
    if not isinstance(cursor, str) or not 0 < len(cursor) <= CURSOR_LENGTH_MAX:
        raise InvalidCursor("a page cursor is a text of bounded length")
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        blob = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as exc:
        raise InvalidCursor("this page cursor is damaged") from exc
    check, payload = blob[:CHECK_BYTES], blob[CHECK_BYTES:]
    if check != _check(payload, signature):
        raise InvalidCursor(
            "this page cursor is damaged or belongs to another query",
            hint="start again without a cursor",
        )
    return payload


def _check(payload: bytes, signature: bytes) -> bytes:
    return hashlib.sha256(signature + payload).digest()[:CHECK_BYTES]


def _pack(value: Any) -> str:
    # bool before int, datetime before date: each is a subclass of the other.
    for tag, kind, pack in _PACKERS:
        if isinstance(value, kind):
            return f"{tag}:{pack(value)}"
    raise InvalidValue(
        f"a sort key of type {type(value).__name__} cannot stand in a page cursor",
        hint="sort by a number, text, time or key",
    )


def _text_of_bytes(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(bytes(value)).decode()


def _text_of_delta(value: dt.timedelta) -> str:
    return f"{value.days},{value.seconds},{value.microseconds}"


def _iso(value: Any) -> str:
    return cast("str", value.isoformat())


_PACKERS: tuple[tuple[str, Any, Callable[[Any], str]], ...] = (
    ("n", type(None), lambda _: ""),
    ("b", bool, lambda value: "1" if value else "0"),
    ("i", int, str),
    ("f", float, float.hex),
    ("s", str, str),
    ("d", decimal.Decimal, str),
    ("u", uuid.UUID, str),
    ("t", dt.datetime, _iso),
    ("a", dt.date, _iso),
    ("o", dt.time, _iso),
    ("e", dt.timedelta, _text_of_delta),
    ("x", bytes | bytearray | memoryview, _text_of_bytes),
)


def _unpack(item: object) -> Any:
    if not isinstance(item, str) or item[1:2] != ":":
        raise InvalidCursor("this page cursor is damaged")
    reader = _READERS.get(item[0])
    if reader is None:
        raise InvalidCursor("this page cursor is of another version")
    try:
        return reader(item[2:])
    except (ValueError, TypeError, ArithmeticError, binascii.Error) as exc:
        raise InvalidCursor("this page cursor is damaged") from exc


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 20 else INTEGER_MAX + 1
    if not -INTEGER_MAX - 1 <= value <= INTEGER_MAX:
        raise ValueError("more than 64 bits")
    return value


def _number(text: str) -> decimal.Decimal:
    if len(text) > _DIGITS_MAX:
        raise ValueError("too many digits")
    value = decimal.Decimal(text)
    if value.is_finite() and abs(value.adjusted()) > _DIGITS_MAX:
        raise ValueError("an exponent no column can hold")
    if value.is_snan() or value.is_infinite():
        raise ValueError("no number that a column holds")
    return value


def _float(text: str) -> float:
    value = float.fromhex(text)
    if math.isnan(value):
        raise ValueError("not a number")
    return value


def _string(text: str) -> str:
    text.encode()  # a lone surrogate cannot come from a database
    return text


def _nothing(text: str) -> None:
    if text:
        raise ValueError("NULL has no text")


def _boolean(text: str) -> bool:
    return {"0": False, "1": True}[text] if text in ("0", "1") else _refuse()


def _refuse() -> bool:
    raise ValueError("neither 0 nor 1")


def _delta(text: str) -> dt.timedelta:
    days, seconds, microseconds = (_integer(part) for part in text.split(","))
    return dt.timedelta(days, seconds, microseconds)


_READERS: dict[str, Callable[[str], Any]] = {
    "n": _nothing,
    "b": _boolean,
    "i": _integer,
    "f": _float,
    "s": _string,
    "d": _number,
    "u": uuid.UUID,
    "t": dt.datetime.fromisoformat,
    "a": dt.date.fromisoformat,
    "o": dt.time.fromisoformat,
    "e": _delta,
    "x": lambda text: base64.b64decode(text, validate=True),
}
