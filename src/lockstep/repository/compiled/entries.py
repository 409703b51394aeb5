"""Audit entries of compiled writes: the same contents, in the same transaction.

Owns the images that a compiled write reads before and after itself, and the one
compiled INSERT into the audit table. What an entry holds is decided by
``audit.images.Change``, as for every other write.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lockstep.repository.audit.images import Change, Image, Shape, shape_of
from lockstep.repository.audit.trail import entries_of, trail_of
from lockstep.repository.audit.values import encode
from lockstep.repository.compiled.inserts import Declined, Recipe, plain_recipe_of
from lockstep.repository.compiled.lookup import Lookup
from lockstep.repository.compiled.plan import Plan, plan_of
from lockstep.repository.compiled.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lockstep.repository.compiled.place import InSession, InUnit
    from lockstep.repository.keys import Identity
    from lockstep.schema import AuditTrail

#: What the trail's own writing gives for each entry, in the entry's order.
_NAMES = ("at", "actor", "action", "table_name", "row_key", "before", "after")


@dataclass(frozen=True, eq=False)
class Journal:
    """How the changes of one recorded model are written down.

    Attributes:
        lookup: Finds all values of rows by key.
        locked: Finds the row that is about to be changed, and locks it.
        stored: Finds it afterwards.
        mark: Where the soft-delete mark stands in a row, if there is one.
        places: Where each attribute stands in a row.
    """

    plan: Plan[Any]
    trail: type[AuditTrail]
    shape: Shape
    recipe: Recipe
    lookup: Lookup
    locked: Statement
    stored: Statement
    mark: int | None
    places: dict[str, int]

    def values_of(self, row: Sequence[Any], names: Sequence[str]) -> Sequence[Any]:
        """Return the values of some attributes."""
        if names == self.shape.attributes:
            return row
        return [row[self.places[name]] for name in names]

    def image(self, values: Sequence[Any]) -> Image:
        """Return a row's image."""
        return dict(zip(self.shape.names, map(encode, values), strict=True))

    def change(
        self,
        identity: Identity,
        before: Sequence[Any] | None,
        after: Sequence[Any] | None,
    ) -> Change:
        """Return the change from one row's values to another's."""
        if before is None or after is None or self._is_marked(before, after):
            old = None if before is None else self.image(before)
            new = None if after is None else self.image(after)
            return Change(self.shape, identity, old, new)
        # Equal values have equal images: only the others need one. Decimals may be
        # equal and yet be written with more or fewer digits.
        places = [
            place
            for place, (old, new) in enumerate(zip(before, after, strict=True))
            if (old is not new and (old != new or isinstance(old, decimal.Decimal)))
            or place == self.mark
        ]
        names = self.shape.names
        return Change(
            self.shape,
            identity,
            {names[place]: encode(before[place]) for place in places},
            {names[place]: encode(after[place]) for place in places},
        )

    def _is_marked(self, before: Sequence[Any], after: Sequence[Any]) -> bool:
        return self.mark is not None and before[self.mark] != after[self.mark]

    def write(
        self, driver: Any, place: InSession | InUnit, changes: Iterable[Change]
    ) -> None:
        """Insert one entry per change that changed something."""
        rows = entries_of(changes, place.now(), place.actor)
        if rows:
            self.recipe.insert(driver, rows, place)


def journal_of(plan: Plan[Any]) -> Journal | None:
    """Return how a model's changes are recorded; None if they are not."""
    trail = trail_of(plan.facts.mapper)
    if trail is None:
        return None
    return plan.kept.of(("journal", trail), lambda: _journal(plan, trail))


def _journal(plan: Plan[Any], trail: type[AuditTrail]) -> Journal:
    shape = shape_of(plan.facts.mapper)
    mark = None if shape.deleted is None else shape.names.index(shape.deleted)
    trail_plan = plan_of(trail, plan.dialect)
    if trail_plan.reason_writes:
        raise Declined("the audit model's columns are not plain")
    recipe = plain_recipe_of(
        trail_plan, _NAMES, {}, lambda slots: sa.insert(trail_plan.table).values(slots)
    )
    lookup = Lookup(plan, "images", shape.columns)
    places = {name: place for place, name in enumerate(shape.attributes)}
    locked, stored = lookup.by_key(lock=True), lookup.by_key(lock=False)
    return Journal(plan, trail, shape, recipe, lookup, locked, stored, mark, places)
