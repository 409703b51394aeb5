"""The tables behind one mapped class, and the key's columns in each.

Owns the reading of joined inheritance: the root table holds key and version, each
further table repeats the key. Every other class has one table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy import orm


def tables_of(mapper: orm.Mapper[Any]) -> list[sa.Table]:
    """Return the tables that hold one row of the class, the root first."""
    if mapper.concrete:
        return [cast("sa.Table", mapper.local_table)]
    chain = [cast("sa.Table", each.local_table) for each in mapper.iterate_to_root()]
    return list(dict.fromkeys(reversed(chain)))


def key_in(mapper: orm.Mapper[Any], table: sa.Table) -> list[sa.Column[Any]]:
    """Return the columns of one table that hold the key, in the key's order."""
    found: list[sa.Column[Any]] = []
    for column in mapper.primary_key:
        prop = mapper.get_property_by_column(column)
        found += [
            cast("sa.Column[Any]", each)
            for each in prop.columns
            if cast("sa.Column[Any]", each).table is table
        ][:1]
    return found
