"""Two questions about tables, answered with types.

Owns the places where SQLAlchemy's own annotations end: the columns of any
constraint, and the order in which tables can be created. Must not know:
connections, revisions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import schema


def columns_of(constraint: sa.Constraint) -> list[sa.Column[Any]]:
    """Return the columns a constraint names; a CHECK names none."""
    return list(getattr(constraint, "columns", ()))


def in_dependency_order(
    tables: Iterable[sa.Table],
) -> list[tuple[sa.Table | None, list[sa.ForeignKeyConstraint]]]:
    """Return the tables, parents first, with the foreign keys each can have.

    The entry without a table holds the foreign keys that close a cycle; they can
    only be added when all tables are there.
    """
    ordered: Any = cast("Any", schema).sort_tables_and_constraints(list(tables))
    return [(table, list(keys)) for table, keys in ordered]
