"""Rows with fixed keys, added only where they are missing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

_NAMESPACE = uuid.UUID("0190f1c7-5eed-7000-8000-000000000000")


def fixed_id(table: str, name: str) -> uuid.UUID:
    """Return the key of a seeded row: the same name gives the same key."""
    return uuid.uuid5(_NAMESPACE, f"{table}/{name}")


def add_missing(session: Session, rows: Sequence[Any]) -> list[Any]:
    """Add those rows (all of one model) whose key is not in the table yet.

    Returns:
        The rows that were added.
    """
    model: Any = type(rows[0])
    wanted = [row.id for row in rows]
    known = set(session.scalars(select(model.id).where(model.id.in_(wanted))))
    missing = [row for row in rows if row.id not in known]
    session.add_all(missing)
    session.flush()
    return missing
