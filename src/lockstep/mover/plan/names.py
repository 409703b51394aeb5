"""Names that the target takes: short enough, free, and never confused.

Owns what becomes of a name that PostgreSQL would cut, refuse, or already has:
tables, indexes and sequences share one set of names there.

Invariant: the same source gives the same names, every time.
"""

from __future__ import annotations

import hashlib

from lockstep.schema.names import IDENTIFIER_BYTES_MAX, shorten

SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
UNNAMED = "unnamed"


def clean(name: str) -> str:
    """Return a name that PostgreSQL can have, at most 63 bytes."""
    return shorten(name.replace("\0", "") or UNNAMED)


class Names:
    """The names already given in one namespace."""

    def __init__(self, taken: frozenset[str] = frozenset()) -> None:
        self._taken = set(taken)

    def give(self, wanted: str) -> str:
        """Return ``wanted``, or a name made from it that nobody has."""
        name = clean(wanted)
        if name in self._taken:
            digest = hashlib.sha256(wanted.encode("utf-8", "replace")).hexdigest()[:8]
            stem = name.encode()[: IDENTIFIER_BYTES_MAX - 12].decode("utf-8", "ignore")
            name = f"{stem}_{digest}"
        count = 2
        while name in self._taken:
            name = f"{clean(wanted)[:50]}_{count}"
            count += 1
        self._taken.add(name)
        return name


def column_names(wanted: list[str]) -> list[str]:
    """Return the target's names of a table's columns, in order."""
    names = Names(SYSTEM_COLUMNS)
    return [names.give(name) for name in wanted]
