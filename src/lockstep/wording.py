"""Numbers as people read them.

Owns how a count is written. It knows no module of ours.
"""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 row`` or ``2,000 rows``.

    Example:
        >>> counted(2000, "row")
        '2,000 rows'
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
