"""Numbers as people read them, and names as they mean them.

Owns how a count is written, and of which words a name is made. It knows no module of
ours.
"""

from __future__ import annotations

import re
import unicodedata

_PART = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 row`` or ``2,000 rows``.

    Example:
        >>> counted(2000, "row")
        '2,000 rows'
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def words(name: str) -> list[str]:
    """Return the words of a name, in lower case.

    Example:
        >>> words("lastUpdated_AT2")
        ['last', 'updated', 'at', '2']
    """
    # Accents go, and what letters are of another alphabet stays as it is.
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFD", name)
        if not unicodedata.combining(letter)
    )
    return [
        word.casefold() for part in _PART.findall(plain) for word in _CAMEL.split(part)
    ]
