"""A row that was not carried: which one, why, and how it is known again.

Owns the one value that every refusal becomes, whoever refused: a codec, PostgreSQL or
SQLite. The journal keeps it, the quarantine file shows it, and a comparison accounts
for the row by its ``mark``.

Invariant: of one state of a source the same row has the same mark whenever it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lockstep.errors import Unmappable
from lockstep.mover.model.values import Value

_MARK_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was not carried, and the cell that is why.

    Attributes:
        table: The source's name of it.
        key: Of the row, as values; its first cell where the table has none.
        column: The source's name; empty where the row as a whole was refused, such as
            for a key that repeats.
        value: The cell's, or all of the row, shortened for a person.
        reason: Whose words depend on who refused.
        mark: Digest by which the row is known again.
    """

    table: str
    key: str
    column: str
    value: str
    reason: str
    mark: bytes = b""

    def to_json(self) -> dict[str, str]:
        """Return it as the object that a line of the quarantine file is."""
        return {
            "table": self.table,
            "key": self.key,
            "column": self.column,
            "value": self.value,
            "reason": self.reason,
        }

    def raise_if(self, on_dirt: str, what: str = "is refused") -> None:
        """Raise where the plan says ``fail``.

        Args:
            on_dirt: What it says.
            what: What is wrong with the cell, as a verb and its object.

        Raises:
            Unmappable: It does.
        """
        if on_dirt == "fail":
            where = f"{self.table}.{self.column}" if self.column else self.table
            raise Unmappable(
                f"{where} of row {self.key} {what}: {self.reason}: {self.value}",
                detail=self.to_json(),
            )


def mark_of_values(row: Sequence[Value]) -> bytes:
    """Return the mark of a row that has no line, because a cell fits no codec."""
    digest = hashlib.blake2b(digest_size=_MARK_BYTES)
    for value in row:
        digest.update(f"{value!r}\n".encode("utf-8", "surrogatepass"))
    return digest.digest()
