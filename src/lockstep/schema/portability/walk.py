"""The walk over a metadata that gives every check what it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from lockstep.schema.checks import TypeCheck
from lockstep.schema.portability.registry import (
    COLUMN_CHECKS,
    CONSTRAINT_CHECKS,
    INDEX_CHECKS,
    METADATA_CHECKS,
    TABLE_CHECKS,
    Finding,
)


def check_portability(metadata: sa.MetaData) -> list[Finding]:
    """Return what in ``metadata`` would behave differently per engine.

    Args:
        metadata: Of lockstep's, SQLAlchemy's or SQLModel's models.

    Returns:
        Findings with a reason and a fix, sorted by place. Empty for models made
        of portable types and plain constraints.
    """
    found = [finding for check in METADATA_CHECKS for finding in check(metadata)]
    for table in metadata.tables.values():
        found += [finding for check in TABLE_CHECKS for finding in check(table)]
        for column in table.columns:
            found += [finding for check in COLUMN_CHECKS for finding in check(column)]
        for index in table.indexes:
            found += [finding for check in INDEX_CHECKS for finding in check(index)]
        for constraint in _constraints(table):
            for check in CONSTRAINT_CHECKS:
                found += check(constraint)
    return sorted(set(found), key=lambda f: (f.where, f.code, f.message))


def _constraints(table: sa.Table) -> Iterator[sa.Constraint]:
    """Yield the constraints that people wrote, on the table and on columns."""
    yield from (c for c in table.constraints if not _is_types_own(c))
    for column in table.columns:
        yield from (c for c in column.constraints if not _is_types_own(c))


def _is_types_own(constraint: Any) -> bool:
    return isinstance(constraint, TypeCheck) or bool(constraint._type_bound)
