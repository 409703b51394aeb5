"""Which columns hold the integer keys of which table.

Owns the way of a key through a schema: a table's own key, what refers to it, and
what refers to that, through columns of composite keys and keys that two tables
share. It says nothing about what a key becomes.

    ticket.id ◄── link.ticket_id ◄── usage.ticket_id        all hold keys of ticket

Invariant: both sides of every foreign key hold keys of one table, or neither does.
"""

from __future__ import annotations

from collections.abc import Mapping

from lockstep.errors import InvalidPlan
from lockstep.mover.model.plan import Plan, Reference, TablePlan

Place = tuple[str, str]
"""A table and a column of it, by their source names."""


def key_holders(plan: Plan) -> dict[Place, str]:
    """Return every column that holds integer keys, and the table they are keys of.

    Raises:
        InvalidPlan: A column refers to the keys of two tables.
    """
    found = {
        place: place[0]
        for table in plan.carried()
        if (place := _own_key(table)) is not None
    }
    edges = [
        ((table.source, reference.column), (reference.parent, reference.parent_column))
        for table in plan.carried()
        for reference in table.references
    ]
    # Each round goes one reference further, and no way is longer than all of them.
    for _ in edges:
        before = len(found)
        for child, parent in edges:
            if parent in found:
                found.setdefault(child, found[parent])
        if len(found) == before:
            break
    for child, parent in edges:
        if found.get(child) != found.get(parent):
            raise InvalidPlan(
                f"{'.'.join(child)} holds keys of {found[child]} and refers to "
                f"{'.'.join(parent)}, which does not: it cannot become a UUID",
                hint="drop one of its two references in the source",
            )
    return found


def _own_key(table: TablePlan) -> Place | None:
    """Return a table's key, if it is one integer that refers to no other."""
    if len(table.primary_key) != 1:
        return None
    for column in table.columns:
        if column.target == table.primary_key[0] and column.codec == "integer":
            place = (table.source, column.source)
            refers = any(_leads_away(place, item) for item in table.references)
            return None if refers else place
    return None


def _leads_away(place: Place, reference: Reference) -> bool:
    is_of_it = reference.column == place[1]
    return is_of_it and (reference.parent, reference.parent_column) != place


def key_place(plan: Plan, table: str) -> Place | None:
    """Return where a table's key of one column stands.

    Raises:
        KeyError: There is no such table.
    """
    found = plan.table(table)
    for column in found.columns:
        if [column.target] == found.primary_key:
            return table, column.source
    return None


def undirected(plan: Plan, holders: Mapping[Place, str]) -> list[Place]:
    """Return integers called like references that no foreign key says more about."""
    return [
        place
        for table in plan.carried()
        for column in table.columns
        if column.codec == "integer"
        and column.source.lower().endswith("_id")
        and (place := (table.source, column.source)) not in holders
    ]
