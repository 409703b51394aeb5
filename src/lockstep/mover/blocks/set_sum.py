"""Some things as one value, whatever their order: odd rows, cells computed anew.

Invariant: of one set there is one value, and of another one another. Each thing is
digested, and the digests are added up.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

_BYTES: Final = 16


@dataclass
class SetSum:
    """A set of which only this is held.

    Attributes:
        count: How many things it has.
        total: The sum of their digests.
    """

    count: int = 0
    total: int = 0

    def add(self, thing: bytes) -> None:
        """Add a thing, by all that tells it from others."""
        digest = hashlib.blake2b(thing, digest_size=_BYTES).digest()
        self.count += 1
        self.total = (self.total + int.from_bytes(digest)) % 2 ** (8 * _BYTES)

    def __str__(self) -> str:
        return f"{self.count} {self.total:032x}" if self.count else ""
