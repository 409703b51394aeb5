"""UUIDs: keys that a device can make without asking anybody.

PostgreSQL stores ``uuid``; SQLite the canonical text, lower case with hyphens,
whose byte order is the UUID's own order.
"""

from __future__ import annotations

import struct
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from lockstep.schema.keys import UNKNOWN, new_object, set_int, set_is_safe
from lockstep.schema.types.columns import are_all, with_short_way
from lockstep.schema.types.portable import PortableType

_DIGITS = 32
_WIDTH = 36
_HYPHENS = (8, 13, 18, 23)


class Uuid(PortableType[uuid.UUID]):
    """A UUID; Python's ``uuid.UUID``.

    PostgreSQL: ``uuid``. SQLite: ``TEXT``, canonical, so that raw SQL reads and
    writes what people see.
    """

    impl = sa.Uuid
    family: ClassVar[str] = "uuid"

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``uuid``."""
        return sa.Uuid()

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return TEXT."""
        return sa.TEXT()

    def checked(self, value: Any) -> uuid.UUID:
        """Refuse what is no ``uuid.UUID``; a string is not parsed silently."""
        if not isinstance(value, uuid.UUID):
            self.refuse(value, "not a uuid.UUID; write uuid.UUID(text)")
        return value

    def from_text(self, text: str) -> uuid.UUID:
        """Return the UUID a default's text means."""
        return uuid.UUID(text)

    def writer(self, dialect_name: str) -> Callable[[Any], Any]:
        """Write a UUID at once."""
        ordinary = super().writer(dialect_name)
        if dialect_name == "postgresql":
            return ordinary

        def write(value: Any) -> Any:
            if type(value) is not uuid.UUID:
                return ordinary(value)
            # What ``str`` does, without its calls, and sooner than by a format.
            digits = value.int.to_bytes(16, "big").hex()
            return (
                f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}"
                f"-{digits[16:20]}-{digits[20:]}"
            )

        return with_short_way(write, _texts_of)

    def reader(self, dialect_name: str) -> Callable[[Any], uuid.UUID | None] | None:
        """Read canonical text without the constructor, which takes twice as long."""
        ordinary = super().reader(dialect_name)
        if dialect_name == "postgresql" or ordinary is None:
            return ordinary

        def read(stored: Any) -> uuid.UUID | None:
            try:
                digits = stored.replace("-", "")
                if len(digits) != _DIGITS:
                    return ordinary(stored)
                number = int(digits, 16)
            except (ValueError, TypeError, AttributeError):
                return ordinary(stored)
            value = new_object(uuid.UUID)  # ``uuid_of``, without its call
            set_int(value, number)
            set_is_safe(value, UNKNOWN)
            return value

        return with_short_way(read, _uuids_of)

    def to_sqlite(self, value: uuid.UUID) -> str:
        """Return the canonical text."""
        return str(value)

    def from_sqlite(self, stored: Any) -> uuid.UUID:
        """Return the UUID of a stored text."""
        try:
            return uuid.UUID(stored)
        except (ValueError, AttributeError, TypeError):
            self.refuse(stored, "the database holds no UUID here")


def _texts_of(values: Sequence[Any]) -> Sequence[str] | None:
    """Return the canonical texts of UUIDs."""
    if not are_all(uuid.UUID, values):
        return None
    numbers = map(int.to_bytes, map(attrgetter("int"), values), repeat(16))
    digits = b"".join(numbers).hex().encode()
    texts = bytearray(b"-") * (_WIDTH * len(values))
    places = (place for place in range(_WIDTH) if place not in _HYPHENS)
    for number, place in enumerate(places):
        texts[place::_WIDTH] = digits[number::_DIGITS]
    joined = texts.decode()
    return [joined[at : at + _WIDTH] for at in range(0, len(joined), _WIDTH)]


def _uuids_of(texts: Sequence[Any]) -> Sequence[uuid.UUID] | None:
    """Return the UUIDs of canonical texts."""
    if not are_all(str, texts) or set(map(len, texts)) != {_WIDTH}:
        return None
    count, joined = len(texts), "".join(texts)
    if any(joined[place::_WIDTH] != "-" * count for place in _HYPHENS):
        return None
    digits = bytes.fromhex(joined.replace("-", ""))
    if len(digits) * 2 != _DIGITS * count:
        return None  # a hyphen or a space stands where a digit should
    numbers = struct.unpack("16s" * count, digits)
    found: list[uuid.UUID] = list(map(new_object, repeat(uuid.UUID, count)))
    integers: Iterable[int] = map(int.from_bytes, numbers)
    for fill, values in ((set_int, integers), (set_is_safe, repeat(UNKNOWN))):
        deque[None](map(fill, found, values), maxlen=0)
    return found
