"""One row, as it is now, and nobody else changes it before we commit.

SQLite: a write session holds the write lock of the whole file already.
PostgreSQL: ``FOR NO KEY UPDATE``, which lets others insert rows that point at it.
"""

from __future__ import annotations

import uuid
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from lockstep import Repository, UuidKey

ModelT = TypeVar("ModelT", bound=UuidKey)


def lock_row(session: Session, model: type[ModelT], key: uuid.UUID) -> ModelT | None:
    """Lock the row with this ``id`` and read it; None when there is none.

    Locked first and read second, so that the row is the one its last writer left,
    whatever this session had read of it before.
    """
    locked = select(model.id).where(model.id == key).with_for_update(key_share=True)
    if session.scalar(locked) is None:
        return None
    return Repository(model, session).find(key)
