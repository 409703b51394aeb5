"""Column values as JSON, exact enough to read back what a row held.

Owns the encoding of every Python value a column may give. Numbers, text and
booleans stay what they are; everything else becomes text of a fixed form, and
what JSON cannot hold is wrapped in an object with one telling key. Secrets are
masked here and nowhere else, so no other module can forget it.

    Decimal('12.50') -> "12.50"          b'...'    -> {"base64": "AA=="}
    UUID, datetime, date -> their text   1 MB blob -> {"sha256": …, "size_bytes": …}
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import enum
import hashlib
import json
import math
import uuid
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, TypeAlias, cast

from lockstep.repository.keys import is_storable_text
from lockstep.schema import SECRET

#: What ``json.dumps`` takes.
JsonValue: TypeAlias = Any

#: Longer values are recorded as length and hash: a trail is not a second copy of
#: every attachment.
BYTES_KEPT_MAX: Final = 1_024
#: Deeper documents are recorded as their text: an entry nests one level more than
#: the column, and a column may use every level there is.
DEPTH_KEPT_MAX: Final = 100
MASK: Final = "***"
_THEMSELVES: Final = frozenset({type(None), bool, int})
#: The key of ``Column.info`` that ``lockstep.schema.SECRET`` sets.
SECRET_INFO: Final = next(iter(SECRET))


def encode(value: Any, depth: int = 0) -> JsonValue:
    """Return a value as JSON; equal values of one column give equal JSON."""
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind in _THEMSELVES or (kind is str and value.isascii() and "\x00" not in value):
        return value
    if kind is uuid.UUID:
        return str(value)
    if isinstance(value, enum.Enum):
        # What portable enums store: the value if it is text, else the name.
        return encode(value.value if isinstance(value.value, str) else value.name)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value) if is_storable_text(value) else {"text": _quoted(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        return _encode_bytes(bytes(cast("bytes", value)))
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        seconds = value.days * 86_400 + value.seconds
        return {"seconds": seconds, "microseconds": value.microseconds}
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return str(value)
    if depth >= DEPTH_KEPT_MAX:
        return {"json": json.dumps(value, default=str)}
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {_key(key): encode(item, depth + 1) for key, item in items}
    if isinstance(value, Set):
        members = cast("Set[Any]", value)
        return sorted((encode(item, depth + 1) for item in members), key=str)
    if isinstance(value, Sequence):
        return [encode(item, depth + 1) for item in cast("Sequence[Any]", value)]
    return encode(str(value))


def is_same_json(one: JsonValue, other: JsonValue) -> bool:
    """Whether two encoded values are one: to Python ``1`` equals ``True`` and ``1.0``.

    Example:
        >>> is_same_json({"a": [1]}, {"a": [1]}), is_same_json({"a": 1}, {"a": True})
        (True, False)
    """
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, dict):
        items = cast("dict[str, JsonValue]", one).items()
        return all(is_same_json(value, other[key]) for key, value in items)
    if isinstance(one, list):
        return all(map(is_same_json, cast("list[JsonValue]", one), other))
    return True


def _key(key: object) -> str:
    text = str(key)
    return text if is_storable_text(text) else _quoted(text)


def _encode_bytes(value: bytes) -> JsonValue:
    if len(value) <= BYTES_KEPT_MAX:
        return {"base64": base64.b64encode(value).decode()}
    return {"sha256": hashlib.sha256(value).hexdigest(), "size_bytes": len(value)}


def _quoted(value: str) -> str:
    return value.encode("unicode_escape").decode()


def masked(value: JsonValue) -> JsonValue:
    """Return what stands for a secret: that there is one, and nothing about it."""
    return None if value is None else MASK


def fingerprint(value: JsonValue) -> str:
    """Return what stands for a secret that is part of a key.

    A history must be found by key, so the same secret gives the same text.
    """
    return "sha256:" + hashlib.sha256(repr(value).encode()).hexdigest()
