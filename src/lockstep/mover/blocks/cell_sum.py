"""Cells that a target computes otherwise than they are, as one value.

Owns how it is known again, whatever the order in which rows are compared, which cells
a plan has named: each by its row, by what it was and by what it became.

Invariant: of one set of cells there is one value, and of another one another.
"""

from __future__ import annotations

import hashlib
from typing import Final

_MODULUS: Final = 2**128


class CellSum:
    """Some cells of one column.

    Attributes:
        count: How many.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, row: bytes, was: str, became: str) -> None:
        """Add a cell.

        Args:
            row: The mark of its row (``Refusals.mark_of``).
            was: In the source, as it stands in a line.
            became: The same of the target.
        """
        digest = hashlib.blake2b(row, digest_size=16)
        digest.update(f"{was}\t{became}".encode("utf-8", "surrogatepass"))
        self.count += 1
        self._sum = (self._sum + int.from_bytes(digest.digest())) % _MODULUS

    def __str__(self) -> str:
        return f"{self.count} {self._sum:032x}" if self.count else ""
