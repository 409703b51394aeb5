"""``Versioned``: a counter that makes a stale write fail.

The ORM compares the version in every UPDATE and DELETE and raises one; a
repository does the same for its single statements.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from lockstep.schema.mixins.order import VERSION
from lockstep.schema.types import BigInteger


class Versioned:
    """Give a model ``version``: 1 at first, one more with every change.

    It is the mapper's ``version_id_col``, also beside a ``__mapper_args__`` of
    the model's own, and for composite keys and inherited tables.
    """

    version: Mapped[int] = mapped_column(
        BigInteger(), default=1, server_default="1", sort_order=VERSION
    )


@event.listens_for(Versioned, "after_mapper_constructed", propagate=True)
def _lock_by_version(mapper: Mapper[Any], _: type[Any]) -> None:
    # A __mapper_args__ on the mixin would be lost, without a word, as soon as a
    # model defines its own. The finished mapper is told instead.
    if mapper.version_id_col is None:
        mapper.version_id_col = mapper.columns["version"]
