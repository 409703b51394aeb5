"""What a typed value must look like before a service uses it.

Each function returns the clean value or raises ``Invalid`` with the field's name,
so a page can put the message beside the field.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from fixit.errors import Invalid

EnumT = TypeVar("EnumT", bound=StrEnum)

REQUEST_KEY_LENGTH_MAX = 64


def text(value: str, field: str, *, most: int, least: int = 1) -> str:
    """Return ``value`` without outer spaces and without control characters."""
    kept = "".join(
        char
        for char in value.replace("\r\n", "\n")
        # Cc: control (NUL too); Cs: half of a character, no engine stores it.
        if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs"}
    ).strip()
    if len(kept) < least:
        raise Invalid({field: "Please fill this in."})
    if len(kept) > most:
        raise Invalid({field: f"At most {most} characters."})
    return kept


def code(value: str, field: str, *, most: int = 40) -> str:
    """Return a code for labels: upper case letters, digits and ``- _ .``."""
    kept = text(value, field, most=most).upper()
    if not all(char.isascii() and (char.isalnum() or char in "-_.") for char in kept):
        raise Invalid({field: "Only letters, digits and - _ . please."})
    return kept


def whole(value: int, field: str, *, least: int = 1, most: int = 1_000_000) -> int:
    """Return ``value`` if it lies between ``least`` and ``most``, both included."""
    if not least <= value <= most:
        raise Invalid({field: f"A number from {least} to {most}, please."})
    return value


def choice(kind: type[EnumT], value: str, field: str) -> EnumT:
    """Return the member of ``kind`` that ``value`` names."""
    try:
        return kind(value)
    except ValueError:
        raise Invalid({field: "Please choose one of: " + ", ".join(kind)}) from None


def request_key(value: str | None) -> str | None:
    """Return the key a form carries against being sent twice, or None."""
    if value is None or not value.strip():
        return None
    return text(value, "request_key", most=REQUEST_KEY_LENGTH_MAX)


def folded(value: str | Iterable[str]) -> str:
    """Return text as search compares it: no case, one form per character.

    Folding here and not in SQL makes É find é on both engines; SQLite's own
    ``lower`` knows ASCII only.
    """
    joined = value if isinstance(value, str) else " ".join(value)
    return unicodedata.normalize("NFKC", joined).casefold()
