"""The models as the history writes them: with portable server defaults.

Owns the copy of a metadata that is compared and rendered. The application's own
metadata is never changed. Must not know: Alembic, databases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lockstep.migrations.portable_default import portable_default
from lockstep.migrations.render.types import refuse_unportable

if TYPE_CHECKING:
    from collections.abc import Sequence


def effective_metadata(metadata: sa.MetaData | Sequence[sa.MetaData]) -> sa.MetaData:
    """Return a copy whose server defaults mean the same on every engine.

    Raises:
        NotPortable: A default cannot be said on every engine.
    """
    several = [metadata] if isinstance(metadata, sa.MetaData) else list(metadata)
    naming = several[0].naming_convention if several else None
    info = dict(several[0].info) if several else {}
    made = sa.MetaData(naming_convention=naming, info=info)
    for one in several:
        for table in one.tables.values():
            copy = table.to_metadata(made)
            for column in copy.columns:
                refuse_unportable(column.type, f"{table.name}.{column.name}")
                _translate(column)
                _lift_checks(column)
            for index in copy.indexes:
                _complete_condition(index)
    return made


def _translate(column: sa.Column[Any]) -> None:
    default = portable_default(column)
    if default is column.server_default or default is None:
        if default is None:
            column.server_default = None
        return
    column.server_default = sa.DefaultClause(default)


def _lift_checks(column: sa.Column[Any]) -> None:
    """Let a check that was given to the column be one of the table.

    It means the same there, and it can be named and dropped.
    """
    for constraint in list(column.constraints):
        if getattr(constraint, "_type_bound", False):
            continue
        if isinstance(constraint, sa.CheckConstraint):
            column.constraints.discard(constraint)
            lifted = sa.CheckConstraint(constraint.sqltext, name=constraint.name)
            column.table.append_constraint(lifted)


def _complete_condition(index: sa.Index) -> None:
    """Let an index that is partial on one engine be partial on both."""
    names = ("sqlite_where", "postgresql_where")
    given = {name: index.dialect_kwargs.get(name) for name in names}
    known = next((value for value in given.values() if value is not None), None)
    if known is not None:
        for name, value in given.items():
            if value is None:
                index.dialect_kwargs[name] = known
