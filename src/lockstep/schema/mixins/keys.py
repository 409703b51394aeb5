"""``UuidKey``: a primary key that a device makes without asking anybody."""

from __future__ import annotations

import uuid

from sqlalchemy.orm import Mapped, mapped_column

from lockstep.schema.keys import uuid7
from lockstep.schema.mixins.order import KEY_FIRST
from lockstep.schema.types import Uuid


class UuidKey:
    """Give a model ``id``, a UUIDv7 made when the row is flushed."""

    id: Mapped[uuid.UUID] = mapped_column(
        Uuid(), primary_key=True, default=uuid7, sort_order=KEY_FIRST
    )
