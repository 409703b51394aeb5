"""``Audited`` and ``AuditTrail``: who changed what.

Owns the columns. Writing the trail is the repository's work.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, Table, event
from sqlalchemy.orm import (
    Mapped,
    Mapper,
    declared_attr,
    mapped_column,
    object_session,
)

from lockstep.schema.context import actor_for, now_of_statement
from lockstep.schema.keys import uuid7
from lockstep.schema.mixins.order import CREATED_BY, KEY_FIRST, UPDATED_BY
from lockstep.schema.names import constraint_name
from lockstep.schema.types import Enum, Json, Text, UtcDateTime, Uuid

SECRET = {"lockstep.secret": True}
"""``mapped_column(info=SECRET)``: the audit trail masks this column's values."""

AUDIT_ACTIONS = ("insert", "update", "delete", "restore")


class Audited:
    """Give a model ``created_by`` and ``updated_by``: the session's actor."""

    created_by: Mapped[str | None] = mapped_column(Text(), sort_order=CREATED_BY)
    updated_by: Mapped[str | None] = mapped_column(Text(), sort_order=UPDATED_BY)


@event.listens_for(Audited, "before_insert", propagate=True)
def _name_creator(_: Mapper[Any], __: Any, row: Audited) -> None:
    actor = actor_for(row)
    if row.created_by is None:
        row.created_by = actor
    if row.updated_by is None:
        row.updated_by = row.created_by


@event.listens_for(Audited, "before_update", propagate=True)
def _name_editor(_: Mapper[Any], __: Any, row: Audited) -> None:
    session, actor = object_session(row), actor_for(row)
    if session is None or actor is None:
        return
    if session.is_modified(row, include_collections=False):
        row.updated_by = actor


class AuditTrail:
    """Make a model the audit table: one row per change.

    The history of one row is found by an index over ``table_name`` and ``row_key``.

    Example:
        >>> from sqlalchemy.orm import DeclarativeBase
        >>> from lockstep.schema.base import Portable
        >>> class Base(Portable, DeclarativeBase):
        ...     pass
        >>> class AuditEntry(AuditTrail, Base):
        ...     pass
        >>> AuditEntry.__tablename__
        'audit_log'
    """

    @declared_attr.directive
    def __tablename__(cls) -> str:
        """Return ``audit_log`` unless the model names its table."""
        return "audit_log"

    id: Mapped[uuid.UUID] = mapped_column(
        Uuid(), primary_key=True, default=uuid7, sort_order=KEY_FIRST
    )
    at: Mapped[datetime] = mapped_column(
        UtcDateTime(), default=now_of_statement, index=True
    )
    actor: Mapped[str | None] = mapped_column(Text(), index=True)
    action: Mapped[str] = mapped_column(Enum(*AUDIT_ACTIONS))
    table_name: Mapped[str] = mapped_column(Text())
    row_key: Mapped[Any] = mapped_column(Json())
    before: Mapped[Any | None] = mapped_column(Json())
    after: Mapped[Any | None] = mapped_column(Json())


@event.listens_for(AuditTrail, "after_mapper_constructed", propagate=True)
def _index_rows(mapper: Mapper[Any], _: type[Any]) -> None:
    # A __table_args__ on the mixin would be lost as soon as a model defines its own.
    table = mapper.local_table
    if not isinstance(table, Table) or mapper.inherits is not None:
        return
    table_name, row_key = mapper.columns["table_name"], mapper.columns["row_key"]
    name = constraint_name("ix", table.name, table_name.name, row_key.name)
    if all(index.name != name for index in table.indexes):
        Index(name, table_name, row_key)
