"""``Timestamped`` and ``SoftDelete``: when a row was made, changed, deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import (
    Mapped,
    Mapper,
    mapped_column,
    object_session,
)

from lockstep.schema.context import now_for, now_of_statement
from lockstep.schema.mixins.order import CREATED_AT, DELETED_AT, UPDATED_AT
from lockstep.schema.server_time import utc_now
from lockstep.schema.triggers import TOUCHED
from lockstep.schema.types import UtcDateTime


class Timestamped:
    """Give a model ``created_at`` and ``updated_at``.

    The session's clock sets them on a flush, the system's for a Core statement,
    and the database's for raw SQL: by a default and by a touch trigger.
    """

    created_at: Mapped[datetime] = mapped_column(
        UtcDateTime(),
        default=now_of_statement,
        server_default=utc_now(),
        sort_order=CREATED_AT,
    )
    updated_at: Mapped[datetime] = mapped_column(
        UtcDateTime(),
        default=now_of_statement,
        onupdate=now_of_statement,
        server_default=utc_now(),
        info={TOUCHED: True},
        sort_order=UPDATED_AT,
    )


class SoftDelete:
    """Give a model ``deleted_at``; a repository hides rows that have one."""

    deleted_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime(), sort_order=DELETED_AT
    )


@event.listens_for(Timestamped, "before_insert", propagate=True)
def _stamp_new(_: Mapper[Any], __: Any, row: Timestamped) -> None:
    given = vars(row)
    if given.get("created_at") is None:
        row.created_at = now_for(row)
    if given.get("updated_at") is None:
        row.updated_at = row.created_at


@event.listens_for(Timestamped, "before_update", propagate=True)
def _stamp_changed(_: Mapper[Any], __: Any, row: Timestamped) -> None:
    session = object_session(row)
    if session is None or not session.is_modified(row, include_collections=False):
        return
    if not inspect(row).attrs["updated_at"].history.has_changes():
        row.updated_at = now_for(row)
