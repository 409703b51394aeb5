"""What a finding is, and the list of everything that looks for one.

Owns the registry. Each check is one function in a module of its subject; it is
given one table, column, index, constraint or the whole metadata, and yields
findings. It must not change what it looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that would behave differently per engine.

    Attributes:
        code: A stable name such as ``naive-datetime``.
        where: ``table``, ``table.column`` or ``table: constraint or index``.
        message: What was found.
        reason: What differs, per engine.
        fix: What to write instead.
    """

    code: str
    where: str
    message: str
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} ({self.code}). {self.reason} {self.fix}"


Findings = Iterator[Finding]
ColumnCheck = Callable[[sa.Column[Any]], Findings]
IndexCheck = Callable[[sa.Index], Findings]
ConstraintCheck = Callable[[sa.Constraint], Findings]
TableCheck = Callable[[sa.Table], Findings]
MetadataCheck = Callable[[sa.MetaData], Findings]

COLUMN_CHECKS: list[ColumnCheck] = []
INDEX_CHECKS: list[IndexCheck] = []
CONSTRAINT_CHECKS: list[ConstraintCheck] = []
TABLE_CHECKS: list[TableCheck] = []
METADATA_CHECKS: list[MetadataCheck] = []


def column_check(check: ColumnCheck) -> ColumnCheck:
    """Register a check that is given every column."""
    COLUMN_CHECKS.append(check)
    return check


def index_check(check: IndexCheck) -> IndexCheck:
    """Register a check that is given every index."""
    INDEX_CHECKS.append(check)
    return check


def constraint_check(check: ConstraintCheck) -> ConstraintCheck:
    """Register a check that is given every constraint, types' own excepted."""
    CONSTRAINT_CHECKS.append(check)
    return check


def table_check(check: TableCheck) -> TableCheck:
    """Register a check that is given every table."""
    TABLE_CHECKS.append(check)
    return check


def metadata_check(check: MetadataCheck) -> MetadataCheck:
    """Register a check that is given the whole metadata once."""
    METADATA_CHECKS.append(check)
    return check


def place(item: sa.Column[Any] | sa.Index | sa.Constraint) -> str:
    """Return where an item stands, as a finding says it."""
    if isinstance(item, sa.Column):
        return f"{item.table.fullname}.{item.name}"
    # A CHECK given to Column() belongs to the column, and has no table of its own.
    parent = getattr(item, "parent", None)
    table = parent.table if isinstance(parent, sa.Column) else item.table
    owner = table.fullname if table is not None else "?"
    kind = type(item).__name__
    return f"{owner}: {item.name or f'unnamed {kind}'}"
