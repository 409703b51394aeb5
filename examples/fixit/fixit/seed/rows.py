"""Rows with fixed keys, added only where they are missing."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from lockstep.migrations import upsert_seed

_NAMESPACE = uuid.UUID("0190f1c7-5eed-7000-8000-000000000000")

Row = Mapping[str, Any]


def fixed_id(table: str, name: str) -> uuid.UUID:
    """Return the key of a seeded row: the same name gives the same key."""
    return uuid.uuid5(_NAMESPACE, f"{table}/{name}")


def missing_ids(
    session: Session, model: type[Any], ids: Iterable[uuid.UUID]
) -> set[uuid.UUID]:
    """Return which of these keys no row has."""
    wanted = set(ids)
    return wanted - set(session.scalars(select(model.id).where(model.id.in_(wanted))))


def add_missing(session: Session, model: type[Any], rows: Sequence[Row]) -> None:
    """Add those rows whose ``id`` is not in the table; leave the others alone."""
    missing = missing_ids(session, model, (row["id"] for row in rows))
    upsert_seed(session, model, [row for row in rows if row["id"] in missing])
